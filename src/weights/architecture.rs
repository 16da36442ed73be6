//! The network that a file's shapes describe: channels, blocks, classes, folded or not; every shape checked on the way.

use super::Source;
use super::file::{File, FileTensor, not_weights};
use super::layout::{Axes, Kind, Layout};
use super::recognise::missing;
use super::schemes::{Layouts, Part, Unit, canonical};
use super::stages::{Stages, stages};
use super::survey::Survey;
use crate::model::{BlockConfig, MobileNetConfig, Version};
use crate::{Error, Result};
use std::collections::HashMap;

/// The network, with what its scheme implies.
pub(crate) struct Architecture {
    pub config: MobileNetConfig,
    /// Whether the strides follow from scheme and depth; else someone has to say them.
    pub strides_known: bool,
    pub layouts: Layouts,
}

pub(super) struct Built {
    pub architecture: Architecture,
    pub sources: HashMap<String, Source>,
    pub notes: Vec<String>,
}

pub(super) fn build(survey: &Survey, file: &File, names: &[&str]) -> Result<Built> {
    let layouts = Layouts {
        dense: likeliest(survey, file, Kind::Dense, survey.scheme.layouts.dense),
        depthwise: likeliest(survey, file, Kind::Depthwise, survey.scheme.layouts.depthwise),
        linear: survey.scheme.layouts.linear,
    };
    let mut walk = Walk::new(survey, file, names, layouts)?;
    let config = walk.network()?;
    let (stages, strides_known) = stages(survey, &config.blocks);
    let config = conventional(config, stages, survey, strides_known)?;
    let layouts = Layouts { linear: walk.layouts.linear, ..layouts };
    Ok(Built { architecture: Architecture { config, strides_known, layouts }, sources: walk.sources, notes: walk.notes })
}

/// The configuration with the scheme's conventions: strides, then residuals where they allow it.
fn conventional(config: MobileNetConfig, stages: Stages, survey: &Survey, strides_known: bool) -> Result<MobileNetConfig> {
    let conventions = survey.scheme.conventions;
    let config = MobileNetConfig { stages: stages.repeats, ..config };
    let strides = conventions.strides.filter(|s| s.len() == config.stages.len() + 1).map_or(stages.strides, <[u32]>::to_vec);
    if strides_known { with_strides(config, &strides, conventions.first_residual) } else { Ok(config) }
}

/// The configuration with these strides, and residuals where they and the scheme allow them.
pub(crate) fn with_strides(config: MobileNetConfig, strides: &[u32], first_residual: bool) -> Result<MobileNetConfig> {
    let mut config = config.with_strides(strides)?;
    if let Some(block) = config.blocks.first_mut() {
        block.residual &= first_residual;
    }
    Ok(config)
}

/// The order of axes that most kernels of a kind fit; the scheme's own where several do.
fn likeliest(survey: &Survey, file: &File, kind: Kind, own: Layout) -> Layout {
    let kernels: Vec<(&[usize], usize)> = survey
        .units
        .iter()
        .filter_map(|found| {
            let (of, side) = match found.unit {
                Unit::Stem => (Kind::Dense, 3),
                Unit::Expand(_) | Unit::Project(_) | Unit::Last(_) => (Kind::Dense, 1),
                Unit::Depthwise(_) => (Kind::Depthwise, 3),
                Unit::Logits => (Kind::Linear, 1),
            };
            (of == kind).then_some(())?;
            Some((file.tensors[found.part(Part::Filters)?].shape.as_slice(), side))
        })
        .collect();
    let fits = |layout: &Layout| {
        let fit = |shape: &[usize], side: usize| {
            layout.axes(shape).is_some_and(|a| a.h == side && a.w == side && (kind != Kind::Depthwise || a.i == 1))
        };
        kernels.iter().filter(|(shape, side)| fit(shape, *side)).count()
    };
    let others = kind.layouts().iter().filter(|l| **l != own);
    // `max_by_key` gives the last of equals, so the scheme's own stands last.
    others.chain([&own]).max_by_key(|l| fits(l)).copied().unwrap_or(own)
}

/// Goes through the network from input to output, with the channels at each point.
struct Walk<'a> {
    survey: &'a Survey<'a>,
    file: &'a File,
    names: &'a [&'a str],
    layouts: Layouts,
    norms: Norms,
    sources: HashMap<String, Source>,
    notes: Vec<String>,
}

/// Which vectors the file's convolutions have.
#[derive(Clone, Copy)]
struct Norms {
    norm: bool,
    gamma: bool,
    beta: bool,
    bias: bool,
}

impl<'a> Walk<'a> {
    fn new(survey: &'a Survey<'a>, file: &'a File, names: &'a [&'a str], layouts: Layouts) -> Result<Self> {
        let any = |part: Part| survey.units.iter().any(|u| u.unit != Unit::Logits && u.part(part).is_some());
        let (gamma, beta) = (any(Part::Gamma), any(Part::Beta));
        let norm = gamma || beta || any(Part::Mean) || any(Part::Variance);
        let norms = Norms { norm, gamma, beta, bias: any(Part::Bias) };
        let walk = Self { survey, file, names, layouts, norms, sources: HashMap::new(), notes: Vec::new() };
        if norm || norms.bias { Ok(walk) } else { Err(walk.missing(0, Part::Mean)) }
    }

    fn network(&mut self) -> Result<MobileNetConfig> {
        let mut index = 0;
        let mut next = || {
            index += 1;
            index - 1
        };
        let stem_channels = self.dense(next(), 3, 3)?;
        let mut channels = stem_channels;
        let mut blocks = Vec::with_capacity(self.survey.blocks.len());
        for block in &self.survey.blocks {
            let expansion = if block.expanded { Some(self.dense(next(), channels, 1)?) } else { None };
            let wide = expansion.unwrap_or(channels);
            self.depthwise(next(), wide)?;
            channels = self.dense(next(), wide, 1)?;
            blocks.push(BlockConfig { expansion, channels, stride: 1, residual: false });
        }
        let last = next();
        let last = if self.survey.units[last].is_there() { Some(self.dense(last, channels, 1)?) } else { None };
        if last.is_none() && self.survey.scheme.version == Version::V2 {
            self.notes.push("the 1x1 convolution before the pool is not there: the last block's map is pooled".into());
        }
        let (classes, classifier_bias) = self.classifier(next(), last.unwrap_or(channels))?;
        let conventions = self.survey.scheme.conventions;
        Ok(MobileNetConfig {
            version: self.survey.scheme.version,
            input: [224, 224],
            stem_channels,
            stem_stride: 2,
            blocks,
            stages: Vec::new(),
            last,
            classes,
            classifier_bias,
            padding: conventions.padding,
            activation: conventions.activation,
            batch_norm: self.norms.norm.then_some(conventions.bn_eps),
            conv_bias: self.norms.bias,
        })
    }

    /// A convolution's kernel and vectors; gives its output channels.
    fn dense(&mut self, unit: usize, inputs: u32, side: usize) -> Result<u32> {
        let outputs = self.kernel(unit, Kind::Dense, self.layouts.dense, Axes { o: 0, i: inputs as usize, h: side, w: side })?;
        self.vectors(unit, outputs)?;
        Ok(outputs)
    }

    fn depthwise(&mut self, unit: usize, channels: u32) -> Result<()> {
        let axes = Axes { o: channels as usize, i: 1, h: 3, w: 3 };
        self.kernel(unit, Kind::Depthwise, self.layouts.depthwise, axes)?;
        self.vectors(unit, channels)
    }

    fn classifier(&mut self, unit: usize, features: u32) -> Result<(Option<u32>, bool)> {
        let found = &self.survey.units[unit];
        if !found.is_there() {
            return Ok((None, false));
        }
        let bias = found.part(Part::Bias);
        let mut layout = self.layouts.linear;
        if let Some(filters) = found.part(Part::Filters) {
            let shape = &self.file.tensors[filters].shape;
            let classes = bias.and_then(|b| self.file.tensors[b].shape.first().copied());
            layout = linear_layout(shape, features as usize, classes, layout);
        }
        let classes = self.kernel(unit, Kind::Linear, layout, Axes { o: 0, i: features as usize, h: 1, w: 1 })?;
        self.layouts.linear = layout;
        match bias {
            Some(tensor) => self.vector(unit, Part::Bias, tensor, classes)?,
            None if self.survey.scheme.conventions.logits_bias => return Err(self.missing(unit, Part::Bias)),
            None => {}
        }
        Ok((Some(classes), bias.is_some()))
    }

    /// Checks a kernel against the axes that are expected (0 outputs: any number) and gives its outputs.
    fn kernel(&mut self, unit: usize, kind: Kind, layout: Layout, expected: Axes) -> Result<u32> {
        let found = &self.survey.units[unit];
        let Some(index) = found.part(Part::Filters) else { return Err(self.missing(unit, Part::Filters)) };
        let tensor = self.weights(index)?;
        let outputs = if expected.o == 0 { self.outputs_by_vectors(unit) } else { Some(expected.o) };
        let wrong = |axes: Axes| {
            let free = if axes.o == 0 {
                format!(" with any number at {}", if kind == Kind::Linear { "classes" } else { "O" })
            } else {
                String::new()
            };
            let message = format!("shape {:?}, expected {:?} ({layout}{free})", tensor.shape, layout.shape(axes));
            Err(Error::Tensor { name: tensor.name.clone(), message })
        };
        let Some(axes) = layout.axes(&tensor.shape) else { return wrong(Axes { o: outputs.unwrap_or(0), ..expected }) };
        let expected = Axes { o: outputs.unwrap_or(axes.o), ..expected };
        if axes != expected || axes.o == 0 {
            return wrong(expected);
        }
        let Ok(outputs) = u32::try_from(axes.o) else { return wrong(expected) };
        self.source(unit, Part::Filters, Source::tensor(index, kind, layout));
        Ok(outputs)
    }

    /// The outputs of a convolution as its norm's vectors have them, if there are several and they agree: then it is
    /// the kernel that is wrong where they differ.
    fn outputs_by_vectors(&self, unit: usize) -> Option<usize> {
        let found = &self.survey.units[unit];
        let parts = [Part::Gamma, Part::Beta, Part::Mean, Part::Variance];
        let mut lengths = parts.iter().filter_map(|p| found.part(*p)).map(|i| self.file.tensors[i].elements());
        let first = lengths.next()?;
        let mut others = 0;
        let agree = lengths.all(|n| {
            others += 1;
            n == first
        });
        (agree && others > 0).then_some(first)
    }

    /// Bias and norm of a convolution.
    fn vectors(&mut self, unit: usize, channels: u32) -> Result<()> {
        let Norms { norm, gamma, beta, bias } = self.norms;
        let fill = |value: f32| Source::Constant { value, length: channels as usize };
        // A scale or offset that no norm of the file has was not trained; one that a single norm lacks is missing.
        let parts = [
            (Part::Bias, bias, (norm || !bias).then(|| fill(0.0))),
            (Part::Gamma, norm, (!gamma).then(|| fill(1.0))),
            (Part::Beta, norm, (!beta).then(|| fill(0.0))),
            (Part::Mean, norm, None),
            (Part::Variance, norm, None),
        ];
        for (part, needed, otherwise) in parts {
            match (self.survey.units[unit].part(part), otherwise) {
                (Some(tensor), _) => self.vector(unit, part, tensor, channels)?,
                (None, _) if !needed => {}
                (None, Some(constant)) => self.source(unit, part, constant),
                (None, None) => return Err(self.missing(unit, part)),
            }
        }
        Ok(())
    }

    fn vector(&mut self, unit: usize, part: Part, index: usize, channels: u32) -> Result<()> {
        let tensor = self.weights(index)?;
        // Some converters keep [1, C] or [C, 1, 1].
        if tensor.elements() != channels as usize || tensor.shape.iter().filter(|n| **n != 1).count() > 1 {
            let message = format!("shape {:?}, expected [{channels}], as many as its layer has outputs", tensor.shape);
            return Err(Error::Tensor { name: tensor.name.clone(), message });
        }
        let mut source = Source::vector(index);
        if let (Part::Mean | Part::Variance, Some(count)) = (part, self.survey.units[unit].part(Part::NormCount)) {
            let tensor = self.weights(count)?;
            if tensor.elements() != 1 {
                let message = format!("shape {:?}, expected [1]: the count that divides mean and variance", tensor.shape);
                return Err(Error::Tensor { name: tensor.name.clone(), message });
            }
            source = Source::divided(index, count);
        }
        self.source(unit, part, source);
        Ok(())
    }

    /// The tensor, if it is of a type that weights have.
    fn weights(&self, index: usize) -> Result<&'a FileTensor> {
        let tensor = &self.file.tensors[index];
        if tensor.is_float() { Ok(tensor) } else { Err(not_weights(&tensor.name, tensor.dtype)) }
    }

    fn source(&mut self, unit: usize, part: Part, source: Source) {
        let found = &self.survey.units[unit];
        if let Some(name) = canonical(&found.name, found.unit == Unit::Logits, part) {
            self.sources.insert(name, source);
        }
    }

    fn missing(&self, unit: usize, part: Part) -> Error {
        missing(self.survey, unit, part, self.names)
    }
}

/// The order of the classifier's axes: the one that fits the features, and the classes where they are known.
fn linear_layout(shape: &[usize], features: usize, classes: Option<usize>, own: Layout) -> Layout {
    let fits = |layout: &Layout| {
        layout.axes(shape).map_or(0, |a| {
            let flat = a.h == 1 && a.w == 1;
            1 + u32::from(flat) + 2 * u32::from(flat && a.i == features) + 2 * u32::from(flat && Some(a.o) == classes)
        })
    };
    let others = Kind::Linear.layouts().iter().filter(|l| **l != own);
    others.chain([&own]).max_by_key(|l| fits(l)).copied().unwrap_or(own)
}
