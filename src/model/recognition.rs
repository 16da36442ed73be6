//! What was recognised of a checkpoint, and why: what `mobilenet inspect` shows.

use super::model::architecture_name;
use super::{MobileNetConfig, PaddingRule};
use crate::labels::Labels;
use crate::picture::Preprocessing;
use crate::weights::{Recognised, Weights};
use std::collections::BTreeMap;
use std::fmt;

/// The report on a checkpoint.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Recognition {
    /// The framework whose names the tensors have: `torchvision`, `timm`, `transformers`, `keras`, `tf_slim`, `gluoncv`,
    /// `caffe`, `mobilenet-wgpu` (our own names), `custom` (a graph of a program's own).
    pub scheme: String,
    /// `mobilenet_v1`, `mobilenet_v2` or `custom`.
    pub architecture: String,
    /// The width multiplier whose channels are nearest.
    pub width: Option<f32>,
    /// Outputs of the classifier; `None`: a backbone.
    pub classes: Option<u32>,
    /// Whether output 0 is a background class.
    pub background_class: bool,
    /// Whether batch norm is folded into the convolutions.
    pub folded: bool,
    /// Epsilon of the batch norms, where they are not folded.
    pub bn_eps: Option<f32>,
    /// `symmetric` or `same`.
    pub padding: Option<String>,
    /// `relu6` or `relu`.
    pub activation: Option<String>,
    /// The stem's stride and one a stage.
    pub strides: Vec<u32>,
    /// Height and width of the input.
    pub input_size: [u32; 2],
    /// What pictures become.
    pub preprocessing: Preprocessing,
    /// Where the labels are from: `imagenet`, `own` or `none`.
    pub labels: &'static str,
    /// Trained values (running means and variances are not).
    pub parameters: u64,
    /// What stands before every name in the file.
    pub prefix: String,
    /// Orders of the kernels' axes in the file: dense, depthwise, linear.
    pub layouts: Option<[String; 3]>,
    /// Types of the tensors in use, with their number.
    pub types: BTreeMap<String, usize>,
    /// Bytes of the file.
    pub bytes: usize,
    /// Tensors in the file.
    pub tensors: usize,
    /// Tensors that the network does not need.
    pub unused: Vec<String>,
    /// What each conclusion follows from.
    pub why: Vec<String>,
    /// What is odd, could not be read, or contradicts the tensors.
    pub notes: Vec<String>,
}

impl Recognition {
    pub(super) fn of_graph(input_size: [u32; 2], preprocessing: Preprocessing, weights: &Weights) -> Self {
        Self {
            scheme: "custom".into(),
            architecture: "custom".into(),
            width: None,
            classes: None,
            background_class: false,
            folded: false,
            bn_eps: None,
            padding: None,
            activation: None,
            strides: Vec::new(),
            input_size,
            preprocessing,
            labels: "none",
            parameters: weights.parameters(),
            prefix: String::new(),
            layouts: None,
            types: weights.types(),
            bytes: weights.bytes(),
            tensors: weights.names().len(),
            unused: Vec::new(),
            why: vec!["a graph of the program's own".into()],
            notes: Vec::new(),
        }
    }
}

/// What a report is made of, beside the model itself.
pub(super) struct Findings<'a> {
    pub found: &'a Recognised,
    pub config: &'a MobileNetConfig,
    pub weights: &'a Weights,
    pub preprocessing: Preprocessing,
    pub background_class: bool,
    pub labels: &'a Labels,
    /// Tensors in the file.
    pub tensors: usize,
    /// Settings by where they come from.
    pub settings: Vec<(&'static str, Vec<String>)>,
    pub notes: Vec<String>,
}

impl Findings<'_> {
    pub fn report(self) -> Recognition {
        let Self { found, config, weights, labels, .. } = self;
        let layouts = found.architecture.layouts;
        Recognition {
            scheme: found.scheme.name.to_string(),
            architecture: architecture_name(config.version).into(),
            width: Some(config.width()),
            classes: config.classes,
            background_class: self.background_class,
            folded: config.batch_norm.is_none(),
            bn_eps: config.batch_norm,
            padding: Some(config.padding.to_string()),
            activation: Some(config.activation.name().into()),
            strides: config.strides(),
            input_size: config.input,
            preprocessing: self.preprocessing,
            labels: match (labels.is_empty(), labels.is_imagenet()) {
                (true, _) => "none",
                (_, true) => "imagenet",
                _ => "own",
            },
            parameters: weights.parameters(),
            prefix: found.prefix.clone(),
            layouts: Some([layouts.dense.to_string(), layouts.depthwise.to_string(), layouts.linear.to_string()]),
            types: weights.types(),
            bytes: weights.bytes(),
            tensors: self.tensors,
            unused: found.unused.clone(),
            why: why(found, config, weights, self.settings),
            notes: self.notes,
        }
    }
}

fn why(found: &Recognised, config: &MobileNetConfig, weights: &Weights, settings: Vec<(&'static str, Vec<String>)>) -> Vec<String> {
    let stem = weights.name_in_file("stem.filters").unwrap_or_default();
    let mut why = vec![format!("names are {}'s: the stem is `{stem}`", found.scheme)];
    if !found.prefix.is_empty() {
        why.push(format!("every name stands under `{}`", found.prefix));
    }
    let last = config.last.or(config.blocks.last().map(|b| b.channels)).unwrap_or(config.stem_channels);
    why.push(format!("the shapes give {} channels in the stem, {} blocks, {last} features", config.stem_channels, config.blocks.len()));
    why.push(match config.batch_norm {
        None => "there are biases and no norms: batch norm is folded".into(),
        Some(_) => "there are means and variances: batch norm is not folded".into(),
    });
    if config.padding == PaddingRule::SameKeras {
        why.push("Keras pads V1's strided depthwise convolutions at the bottom and right whatever the size".into());
    }
    why.push(format!(
        "padding, epsilon, activation, preprocessing and strides are {}'s where nothing below says otherwise",
        found.scheme.name
    ));
    for (from, named) in settings {
        if !named.is_empty() {
            why.push(format!("{from} sets {}", named.join(", ")));
        }
    }
    why
}

/// The input's side in a name that gives width and size, as Keras and Google write it: `mobilenet_v1_0.25_128`.
pub(super) fn size_in_name(name: &str) -> Option<u32> {
    let size_in = |part: &str| {
        let words: Vec<&str> = part.split(['_', '-']).collect();
        words.windows(2).find_map(|pair| {
            let width = pair[0].parse::<f32>().ok().filter(|w| pair[0].contains('.') && (0.05..=4.0).contains(w));
            width.and_then(|_| pair[1].parse::<u32>().ok()).filter(|n| (32..=1024).contains(n))
        })
    };
    // Of folders and files the innermost; hubs keep snapshots some levels below the model's name.
    let parts = name.split(['/', '\\']).rev().take(5);
    parts.filter(|part| part.to_lowercase().contains("mobilenet")).find_map(|part| size_in(part.trim_end_matches(".safetensors")))
}

impl fmt::Display for Recognition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [height, width] = self.input_size;
        write!(f, "{}", self.architecture)?;
        if let Some(multiplier) = self.width {
            write!(f, " {multiplier}")?;
        }
        write!(f, " ({}), {height}x{width}, ", self.scheme)?;
        match self.classes {
            Some(classes) => write!(f, "{classes} classes")?,
            None => write!(f, "no classifier")?,
        }
        write!(f, ", {} parameters", self.parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_names() {
        for (name, size) in [
            ("models/mobilenet_v1_0.25_128/model.safetensors", Some(128)),
            ("mobilenetv2_1.00_224/", Some(224)),
            ("hub/models--google--mobilenet_v1_0.75_192/snapshots/0123abc/model.safetensors", Some(192)),
            ("mobilenet_v2_1.4_224.safetensors", Some(224)),
            ("mobilenet_v2_1.0_224_torch", Some(224)),
            ("mobilenetv2_100.ra_in1k/model.safetensors", None),
            ("resnet_1.0_224", None),
            ("mobilenet_0.50_None/", None),
        ] {
            assert_eq!(size_in_name(name), size, "{name}");
        }
    }
}
