//! A network with its weights, and what pictures must become for it.

use super::config_json::{from_config, from_preprocessor};
use super::recognition::{Findings, Recognition, size_in_name};
use super::settings::{Settings, from_metadata};
use super::{MobileNetConfig, Version};
use crate::graph::{Graph, Op, Param, Shape};
use crate::labels::Labels;
use crate::picture::Preprocessing;
use crate::weights::{Arriving, Bytes, File, Recognised, Weights, recognise, with_strides};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How a checkpoint is to be read where it should not be taken as it is.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Settings over those of scheme, metadata and `config.json`.
    pub settings: Settings,
    /// Names of tensors, `name in the file -> name in a scheme that we know` (or one of our own, `stem.filters`).
    pub name_map: BTreeMap<String, String>,
    /// The text of a `config.json`; for files the one beside them is read if this is `None`.
    pub config_json: Option<String>,
    /// The text of transformers' `preprocessor_config.json`, likewise.
    pub preprocessor_json: Option<String>,
}

#[derive(Clone, Debug)]
enum Network {
    Config(Box<MobileNetConfig>),
    Graph(Box<Graph>),
}

/// A network with its weights, its preprocessing and its labels. Cheap to clone.
///
/// ```no_run
/// use mobilenet_wgpu::model::Model;
/// let model = Model::open("mobilenet_v2.safetensors")?;
/// println!("{}", model.recognition());
/// let graph = model.graph(Some([160, 224]))?;
/// # Ok::<(), mobilenet_wgpu::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    network: Network,
    weights: Arc<Weights>,
    preprocessing: Preprocessing,
    labels: Arc<Labels>,
    recognition: Arc<Recognition>,
}

impl Model {
    /// A checkpoint on disk: a `.safetensors` file, which is mapped, or a folder with `model.safetensors`. A `config.json`
    /// beside it (timm's or transformers') is honoured.
    ///
    /// # Errors
    /// [`Error::File`] if there is no such file, [`Error::Checkpoint`] if it is not a checkpoint that we know, and
    /// [`Error::Tensor`] naming the tensor that is missing, of a wrong shape or type, or not finite.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(path: impl AsRef<std::path::Path>) -> Result<Self> {
        Self::open_with(path, &LoadOptions::default())
    }

    /// As [`Model::open`], with options.
    ///
    /// # Errors
    /// As [`Model::open`], and [`Error::Option`] for options that do not fit the checkpoint.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open_with(path: impl AsRef<std::path::Path>, options: &LoadOptions) -> Result<Self> {
        let path = path.as_ref();
        let file = super::load::checkpoint(path)?;
        let (bytes, options) = super::load::with_neighbours(&file, options)?;
        let size = size_in_name(&path.to_string_lossy()).or_else(|| size_in_name(&file.to_string_lossy()));
        let loaded = File::parse(bytes).and_then(|file| Self::from_file(file, &options, size));
        loaded.map_err(|e| match e {
            Error::Checkpoint(message) => Error::Checkpoint(format!("{}: {message}", file.display())),
            other => other,
        })
    }

    /// A checkpoint in memory: `Vec<u8>`, `Arc<[u8]>` or `include_bytes!`.
    ///
    /// # Errors
    /// As [`Model::open_with`].
    pub fn from_bytes(bytes: impl Into<Bytes>, options: &LoadOptions) -> Result<Self> {
        Self::from_file(File::parse(bytes.into())?, options, None)
    }

    /// A checkpoint that is still on its way: the model is there as soon as the header is. Its weights follow
    /// ([`Weights::complete`](crate::weights::Weights::complete)); sessions on a GPU upload them as they come. A name, such
    /// as the checkpoint's address, may tell the size, as `mobilenet_v1_0.25_128` does.
    ///
    /// # Errors
    /// As [`Model::open_with`], and [`Error::Checkpoint`] if it is cut off.
    pub fn arriving(arriving: &Arriving, name: &str, options: &LoadOptions) -> impl Future<Output = Result<Self>> + use<> {
        let (arrived, size, options) = (arriving.arrived().clone(), size_in_name(name), options.clone());
        async move { Self::from_file(arrived.file().await?, &options, size) }
    }

    /// A checkpoint as tensors, by the names and in the layouts of the framework that made it.
    ///
    /// # Errors
    /// As [`Model::open_with`].
    pub fn from_tensors<N: Into<String>>(
        tensors: impl IntoIterator<Item = (N, Vec<usize>, Vec<f32>)>,
        options: &LoadOptions,
    ) -> Result<Self> {
        Self::from_file(Weights::from_tensors(tensors)?.into_file(), options, None)
    }

    /// A network of a program's own: its graph, and weights by the graph's names.
    ///
    /// # Errors
    /// [`Error::Tensor`] if a tensor that the graph reads is missing or has another shape.
    pub fn from_graph(graph: Graph, weights: Weights) -> Result<Self> {
        check_parameters(&graph, &weights)?;
        weights.check()?;
        let size = graph.input().map_or([1, 1], |(_, shape)| [shape.height, shape.width]);
        let preprocessing = Preprocessing::TORCH;
        let recognition = Arc::new(Recognition::of_graph(size, preprocessing, &weights));
        let network = Network::Graph(Box::new(graph));
        Ok(Self { network, weights: Arc::new(weights), preprocessing, labels: Arc::default(), recognition })
    }

    fn from_file(file: File, options: &LoadOptions, size_by_name: Option<u32>) -> Result<Self> {
        let found = recognise(&file, &options.name_map)?;
        let mut notes = found.notes.clone();
        let layers = layers(&file, &found, options, size_by_name, &mut notes)?;
        let settings = layers.iter().rev().fold(Settings::default(), |over, (_, settings)| over.over(settings.clone()));
        let config = configured(&found, &settings)?;
        config.graph()?;
        let background = settings.background_class.unwrap_or(config.classes == Some(1001));
        let labels = labels(&config, &settings, options.settings.labels.is_some(), background, &mut notes)?;
        let preprocessing = settings.preprocessing(found.scheme.conventions.preprocessing);
        let metadata = layers.into_iter().map(|(from, settings)| (from, settings.named())).collect();
        let tensors = file.tensors.len();
        let weights = Weights::new(file, found.sources.clone());
        if weights.is_complete() {
            weights.check()?;
        }
        let findings = Findings {
            found: &found,
            config: &config,
            weights: &weights,
            preprocessing,
            background_class: background,
            labels: &labels,
            tensors,
            settings: metadata,
            notes,
        };
        let recognition = findings.report();
        Ok(Self {
            network: Network::Config(Box::new(config)),
            weights: Arc::new(weights),
            preprocessing,
            labels: Arc::new(labels),
            recognition: Arc::new(recognition),
        })
    }

    /// With another preprocessing.
    #[must_use]
    pub fn with_preprocessing(mut self, preprocessing: Preprocessing) -> Self {
        self.preprocessing = preprocessing;
        self
    }

    /// With other labels.
    #[must_use]
    pub fn with_labels(mut self, labels: Labels) -> Self {
        self.labels = Arc::new(labels);
        self
    }

    /// The network for pictures of `size` (height and width; `None`: the model's own).
    ///
    /// # Errors
    /// [`Error::Option`] for a size that the network cannot have, [`Error::Input`] for another size than that of a graph
    /// of a program's own.
    pub fn graph(&self, size: Option<[u32; 2]>) -> Result<Graph> {
        match &self.network {
            Network::Config(config) => (**config).clone().with_input(size.unwrap_or(config.input)).graph(),
            Network::Graph(graph) => match (size, graph.input()) {
                (Some([height, width]), Some((_, shape))) if (height, width) != (shape.height, shape.width) => {
                    Err(Error::Input(format!("this network takes {shape}, not {height}x{width}: its graph was built for that size")))
                }
                _ => Ok((**graph).clone()),
            },
        }
    }

    /// The configuration; `None` for a graph of a program's own.
    pub fn config(&self) -> Option<&MobileNetConfig> {
        match &self.network {
            Network::Config(config) => Some(config),
            Network::Graph(_) => None,
        }
    }

    /// Height and width of the input that the model is made for.
    pub fn input_size(&self) -> [u32; 2] {
        self.recognition.input_size
    }

    /// The weights.
    pub fn weights(&self) -> &Arc<Weights> {
        &self.weights
    }

    /// What a picture must become.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// Names of the classes; empty for a backbone and for classes that nobody named.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// What was recognised, and why.
    pub fn recognition(&self) -> &Recognition {
        &self.recognition
    }
}

/// The settings from the weakest to the strongest, each with where it comes from.
fn layers(
    file: &File,
    found: &Recognised,
    options: &LoadOptions,
    size_by_name: Option<u32>,
    notes: &mut Vec<String>,
) -> Result<Vec<(&'static str, Settings)>> {
    let config = &found.architecture.config;
    let size = size_by_name.or_else(|| size_in_name(&found.prefix));
    let by_name = Settings { input_size: size.map(|n| [n, n]), ..Settings::default() };
    let mut layers = vec![("the name", by_name), ("metadata", from_metadata(&file.metadata, config, notes))];
    if let Some(text) = &options.config_json {
        layers.push(("config.json", from_config(text, config, notes)?));
    }
    if let Some(text) = &options.preprocessor_json {
        layers.push(("preprocessor_config.json", from_preprocessor(text)?));
    }
    layers.push(("options", options.settings.clone()));
    Ok(layers)
}

/// The architecture with the settings put in.
fn configured(found: &Recognised, settings: &Settings) -> Result<MobileNetConfig> {
    let architecture = &found.architecture;
    let mut config = architecture.config.clone();
    config.padding = settings.padding.unwrap_or(config.padding);
    config.activation = settings.activation.unwrap_or(config.activation);
    config.input = settings.input_size.unwrap_or(config.input);
    config.batch_norm = config.batch_norm.map(|epsilon| settings.bn_eps.unwrap_or(epsilon));
    match &settings.strides {
        Some(strides) => with_strides(config, strides, found.scheme.conventions.first_residual),
        None if architecture.strides_known => Ok(config),
        None => Err(Error::Option {
            option: "strides",
            message: format!(
                "a {} of {} blocks in {} stages is not the paper's, and no tensor shows its strides: give them, the stem's and one a stage",
                config.version,
                config.blocks.len(),
                config.stages.len()
            ),
        }),
    }
}

/// The labels that were given, or ImageNet's where the number of classes is its.
fn labels(config: &MobileNetConfig, settings: &Settings, by_options: bool, background: bool, notes: &mut Vec<String>) -> Result<Labels> {
    let Some(classes) = config.classes.map(|n| n as usize) else { return Ok(Labels::default()) };
    if let Some(names) = &settings.labels {
        if names.len() == classes {
            return Ok(Labels::new(names.iter().cloned()));
        }
        if background && names.len() + 1 == classes {
            return Ok(Labels::new(std::iter::once("background".to_string()).chain(names.iter().cloned())));
        }
        let message = format!("{} labels for {classes} classes", names.len());
        if by_options {
            return Err(Error::Option { option: "labels", message: format!("{message}; there must be one for each, one a line") });
        }
        notes.push(format!("{message}: not used"));
    }
    Ok(match (classes, background) {
        (1000, false) => Labels::imagenet(false),
        (1001, true) => Labels::imagenet(true),
        _ => Labels::default(),
    })
}

/// Every tensor that the graph reads must be there, in the shape that its node wants.
fn check_parameters(graph: &Graph, weights: &Weights) -> Result<()> {
    let check = |param: &Param, shape: &[usize]| match param {
        Param::Tensor(name) => {
            let found = weights.shape(name)?;
            let message = || format!("shape {found:?}, the graph wants {shape:?}");
            if found == shape { Ok(()) } else { Err(Error::Tensor { name: name.clone(), message: message() }) }
        }
        folded => folded.tensors().into_iter().try_for_each(|name| weights.shape(name).map(drop)),
    };
    for node in graph.nodes() {
        let inputs = graph.input_shape(node).map_or(0, |s: Shape| s.channels);
        let outputs = [node.shape.channels as usize];
        match &node.op {
            Op::Conv2d(conv) => {
                check(&conv.filters, &conv.filter_shape(inputs))?;
                conv.bias.iter().try_for_each(|bias| check(bias, &outputs))?;
            }
            Op::Linear(linear) => {
                check(&linear.weights, &[inputs as usize, outputs[0]])?;
                linear.bias.iter().try_for_each(|bias| check(bias, &outputs))?;
            }
            Op::BatchNorm(norm) => norm.norm.params().into_iter().try_for_each(|vector| check(vector, &outputs))?,
            other => other.params().into_iter().flat_map(Param::tensors).try_for_each(|name| weights.shape(name).map(drop))?,
        }
    }
    Ok(())
}

/// `mobilenet_v1` or `mobilenet_v2`.
pub(super) fn architecture_name(version: Version) -> &'static str {
    match version {
        Version::V1 => "mobilenet_v1",
        Version::V2 => "mobilenet_v2",
    }
}
