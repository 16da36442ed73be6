//! Pictures in, labels out: a model on a GPU or, where there is none, on the CPU, with one way of use for both.
//!
//! A [`Classifier`] is a thin layer over [`crate::engine::Session`] and [`crate::reference::Session`]. What must hold:
//! both backends give the same outputs in the same order by the same names; nothing that is `async` blocks.

mod batch;
mod prediction;
mod running;

pub use prediction::Prediction;
pub use running::Running;

use crate::engine::{Engine, Input, Outputs, Session, SessionOptions};
use crate::gpu::AdapterOptions;
use crate::model::Model;
use crate::picture::Picture;
use crate::{Error, Result, Tensor, reference};
use std::sync::Arc;

/// Where and how a [`Classifier`] computes.
#[derive(Clone, Debug)]
pub struct ClassifierOptions {
    /// Which adapter to take.
    pub adapter: AdapterOptions,
    /// Compute on the CPU, whatever adapters there are.
    pub cpu: bool,
    /// Compute on the CPU if there is no adapter; otherwise that is an error.
    pub fallback: bool,
    /// Size, largest batch, precision, outputs and kernels. Without outputs: a classifier's `logits` and `probabilities`,
    /// a backbone's `embedding`. The CPU computes in f32 whatever the precision, and has no use for the rest.
    pub session: SessionOptions,
}

impl Default for ClassifierOptions {
    fn default() -> Self {
        Self { adapter: AdapterOptions::default(), cpu: false, fallback: true, session: SessionOptions::default() }
    }
}

/// A model, ready to run at one size.
///
/// ```no_run
/// use mobilenet_wgpu::{Classifier, ClassifierOptions, Model, Picture};
/// let mut classifier = Classifier::new(Model::open("model.safetensors")?, &ClassifierOptions::default())?;
/// for prediction in &classifier.classify(&[Picture::open("photo.jpg")?], 5)?[0] {
///     println!("{:6.2} %  {}", prediction.probability * 100.0, prediction.label);
/// }
/// # Ok::<(), mobilenet_wgpu::Error>(())
/// ```
#[derive(Debug)]
pub struct Classifier {
    model: Model,
    size: [u32; 2],
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    Gpu(Box<Session>),
    Cpu(Arc<Cpu>),
}

/// The reference with its outputs' names.
#[derive(Debug)]
struct Cpu {
    session: reference::Session,
    names: Vec<String>,
    batch: u32,
}

impl Cpu {
    fn run(&self, input: &Tensor) -> Result<Outputs> {
        let tensors = self.session.run(input)?;
        Ok(Outputs { tensors: self.names.iter().cloned().zip(tensors).collect() })
    }
}

/// What a classifier gives if nothing is asked for.
fn default_outputs(model: &Model) -> Vec<String> {
    let is_classifier = model.recognition().classes.is_some();
    let names: &[&str] = if is_classifier { &["logits", "probabilities"] } else { &["embedding"] };
    names.iter().map(|n| n.to_string()).collect()
}

impl Classifier {
    /// Prepares `model` on the adapter that the options ask for.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] where there is none and the CPU may not stand in; those of [`Engine::session`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(model: Model, options: &ClassifierOptions) -> Result<Self> {
        pollster::block_on(Self::new_async(model, options))
    }

    /// [`Classifier::new`], without waiting.
    ///
    /// # Errors
    /// As [`Classifier::new`].
    pub async fn new_async(model: Model, options: &ClassifierOptions) -> Result<Self> {
        if options.cpu {
            return Self::on_cpu(model, &options.session);
        }
        match Engine::request(&options.adapter).await {
            Ok(engine) => Self::with_engine_async(&engine, model, &options.session).await,
            Err(Error::NoAdapter(_)) if options.fallback => Self::on_cpu(model, &options.session),
            Err(error) => Err(error),
        }
    }

    /// Prepares `model` on an engine that is there, for instance on an application's own device.
    ///
    /// # Errors
    /// Those of [`Engine::session`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn with_engine(engine: &Engine, model: Model, options: &SessionOptions) -> Result<Self> {
        pollster::block_on(Self::with_engine_async(engine, model, options))
    }

    /// [`Classifier::with_engine`], without waiting.
    ///
    /// # Errors
    /// As [`Classifier::with_engine`].
    pub async fn with_engine_async(engine: &Engine, model: Model, options: &SessionOptions) -> Result<Self> {
        let mut options = options.clone();
        if options.outputs.is_empty() && model.config().is_some() {
            options.outputs = default_outputs(&model);
        }
        let session = engine.session_async(&model, &options).await?;
        let input = session.plan().input;
        Ok(Self { model, size: [input.height, input.width], backend: Backend::Gpu(Box::new(session)) })
    }

    /// Prepares `model` on the CPU.
    ///
    /// # Errors
    /// [`Error::Graph`] for outputs that the network does not have, [`Error::Tensor`] for its parameters.
    pub fn on_cpu(model: Model, options: &SessionOptions) -> Result<Self> {
        let mut graph = model.graph(options.size)?;
        let mut names = options.outputs.clone();
        if names.is_empty() && model.config().is_some() {
            names = default_outputs(&model);
        }
        if names.is_empty() {
            names = graph.outputs().iter().map(|id| graph.node(*id).name.clone()).collect();
        } else {
            graph = graph.with_outputs(&names)?;
        }
        // Norms are folded before, not at every picture.
        let graph = crate::graph::passes::run(&graph, &options.without_passes);
        let weights = model.weights().clone();
        let session = reference::Session::new(&graph, &|param| param.evaluate(&|name| weights.get(name)))?;
        let size = graph.input().map_or(model.input_size(), |(_, shape)| [shape.height, shape.width]);
        let cpu = Cpu { session, names, batch: options.batch.max(1) };
        Ok(Self { model, size, backend: Backend::Cpu(Arc::new(cpu)) })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Height and width of the network's input.
    pub fn size(&self) -> [u32; 2] {
        self.size
    }

    /// What computes: adapter, backend and driver, or `the CPU (reference)`.
    pub fn backend(&self) -> String {
        match &self.backend {
            Backend::Gpu(session) => {
                let profile = session.engine().profile();
                format!("{} ({}, {})", profile.name, profile.backend, profile.driver)
            }
            Backend::Cpu(_) => "the CPU (reference)".into(),
        }
    }

    /// The session on the GPU; `None` on the CPU.
    pub fn session(&self) -> Option<&Session> {
        match &self.backend {
            Backend::Gpu(session) => Some(session),
            Backend::Cpu(_) => None,
        }
    }

    /// Most pictures of one [`Classifier::submit`].
    pub fn max_batch(&self) -> usize {
        match &self.backend {
            Backend::Gpu(session) => session.max_batch() as usize,
            Backend::Cpu(cpu) => cpu.batch as usize,
        }
    }

    /// The `top` most probable classes of each picture, the most probable first.
    ///
    /// # Errors
    /// [`Error::Option`] if the model has no classifier, or `probabilities` is not among the outputs; those of
    /// [`Classifier::run_pictures`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn classify(&mut self, pictures: &[Picture], top: usize) -> Result<Vec<Vec<Prediction>>> {
        let outputs = self.run_pictures(pictures)?;
        self.predictions(&outputs, top)
    }

    /// [`Classifier::classify`], without blocking.
    ///
    /// # Errors
    /// As [`Classifier::classify`].
    pub async fn classify_async(&mut self, pictures: &[Picture], top: usize) -> Result<Vec<Vec<Prediction>>> {
        let outputs = self.run_pictures_async(pictures).await?;
        self.predictions(&outputs, top)
    }

    /// The outputs for pictures, which are resized, cropped and normalised as the model wants them. Any number of them.
    ///
    /// # Errors
    /// Those of the session.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_pictures(&mut self, pictures: &[Picture]) -> Result<Outputs> {
        let parts = pictures.chunks(self.max_batch()).map(|part| self.submit(part)?.wait());
        batch::join(parts.collect::<Result<_>>()?)
    }

    /// [`Classifier::run_pictures`], without blocking.
    ///
    /// # Errors
    /// As [`Classifier::run_pictures`].
    pub async fn run_pictures_async(&mut self, pictures: &[Picture]) -> Result<Outputs> {
        let mut parts = Vec::new();
        for part in pictures.chunks(self.max_batch()) {
            parts.push(self.submit(part)?.await?);
        }
        batch::join(parts)
    }

    /// The outputs for normalised values, `[N, H, W, 3]`; any number of pictures.
    ///
    /// # Errors
    /// [`Error::Input`] for another shape than the network's; those of the session.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run(&mut self, input: &Tensor) -> Result<Outputs> {
        match &mut self.backend {
            Backend::Gpu(session) => session.run(Input::Tensor(input)),
            Backend::Cpu(cpu) => batch::join(batch::parts(input, cpu.batch).iter().map(|part| cpu.run(part)).collect::<Result<_>>()?),
        }
    }

    /// [`Classifier::run`], without blocking.
    ///
    /// # Errors
    /// As [`Classifier::run`].
    pub async fn run_async(&mut self, input: &Tensor) -> Result<Outputs> {
        match &mut self.backend {
            Backend::Gpu(session) => session.run_async(Input::Tensor(input)).await,
            Backend::Cpu(cpu) => {
                let mut parts = Vec::new();
                for part in batch::parts(input, cpu.batch) {
                    let cpu = cpu.clone();
                    parts.push(Running::spawn(move || cpu.run(&part)).await?);
                }
                batch::join(parts)
            }
        }
    }

    /// Sets pictures going, at most [`Classifier::max_batch`] of them, and does not wait: decode the next ones meanwhile.
    /// On the GPU [`SessionOptions::in_flight`] such batches can be under way.
    ///
    /// # Errors
    /// [`Error::Busy`] if as many as can be are under way; [`Error::Input`] for none or too many pictures.
    pub fn submit(&mut self, pictures: &[Picture]) -> Result<Running> {
        if pictures.is_empty() || pictures.len() > self.max_batch() {
            return Err(Error::Input(format!("{} pictures at a time, where 1 to {} can be", pictures.len(), self.max_batch())));
        }
        let rule = *self.model.preprocessing();
        match &mut self.backend {
            Backend::Gpu(session) => Ok(session.submit(Input::Pictures(pictures, &rule))?.into()),
            Backend::Cpu(cpu) => {
                let (cpu, size) = (cpu.clone(), self.size);
                let input = batch::stack(pictures.iter().map(|picture| rule.apply(picture, size)))?;
                Ok(Running::spawn(move || cpu.run(&input)))
            }
        }
    }

    /// The `top` most probable classes of each picture of `outputs`.
    ///
    /// # Errors
    /// [`Error::Option`] if `probabilities` is not among them.
    pub fn predictions(&self, outputs: &Outputs, top: usize) -> Result<Vec<Vec<Prediction>>> {
        let Some(probabilities) = outputs.get("probabilities") else {
            let message = if self.model.recognition().classes.is_none() {
                "the model has no classifier: ask for its `embedding` instead"
            } else {
                "`probabilities` is not among the outputs that the classifier was made for: name it there"
            };
            return Err(Error::Option { option: "outputs", message: message.into() });
        };
        let labels = self.model.labels();
        Ok((0..probabilities.batch as usize).map(|n| Prediction::best(probabilities.picture(n), labels, top)).collect())
    }
}

/// `values` with length 1, as embeddings are compared; zeros stay zeros.
pub fn normalized(values: &[f32]) -> Vec<f32> {
    let length = values.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
    values.iter().map(|v| (f64::from(*v) / length.max(1e-12)) as f32).collect()
}
