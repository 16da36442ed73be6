//! A network compiled on an engine for one size, largest batch, precision and set of outputs.

use super::encode::Recorded;
use super::pending::OutputLayout;
use super::place::Place;
use super::program::{Evaluate, Geometry, Parameters, Program};
use super::{Engine, Input, Outputs};
use crate::gpu::Scope;
use crate::graph::{Graph, Param, passes};
use crate::kernel::Precision;
use crate::model::Model;
use crate::picture::{FramePreprocessor, KERNELS, Preprocessor, Staging};
use crate::plan::{Plan, PlanOptions, Preference};
use crate::tune::Tuning;
use crate::weights::Weights;
use crate::{Error, Result, Tensor};
use std::sync::{Arc, Weak};

/// What a session is made for.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// Height and width of the network's input; the model's own if `None`.
    pub size: Option<[u32; 2]>,
    /// Largest batch of one submission; larger inputs are run in parts. Halved until its inputs and outputs fit the device.
    pub batch: u32,
    /// Most pictures that go through the network's steps together, a larger batch in several passes; 0: what suits the device (see
    /// [`PlanOptions::micro_batch`]).
    pub micro_batch: u32,
    /// Types of storage, arithmetic and accumulation.
    pub precision: Precision,
    /// Nodes whose values are wanted, by name; the graph's own outputs if empty.
    pub outputs: Vec<String>,
    /// Graph passes to leave out, by name.
    pub without_passes: Vec<String>,
    /// Variants to take wherever they apply.
    pub prefer: Vec<Preference>,
    /// Records of measurements, asked before the cost model; those that ship with the crate by default.
    pub tuning: Tuning,
    /// Runs within which a kernel has to repay its compile time (see [`PlanOptions::runs`]).
    pub runs: u32,
    /// Inferences that can be under way at one time.
    pub in_flight: usize,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            size: None,
            batch: 1,
            micro_batch: 0,
            precision: Precision::F32,
            outputs: Vec::new(),
            without_passes: Vec::new(),
            prefer: Vec::new(),
            tuning: Tuning::default(),
            runs: crate::plan::RUNS,
            in_flight: 2,
        }
    }
}

/// A compiled network. `&mut` to record; as many sessions as one likes share an engine and a model's weights.
#[derive(Debug)]
pub struct Session {
    pub(super) engine: Engine,
    pub(super) program: Program,
    pub(super) layout: Arc<Vec<OutputLayout>>,
    pub(super) places: Vec<Arc<Place>>,
    /// What each place's uniforms are written for.
    pub(super) geometry: Vec<Geometry>,
    pub(super) preprocessor: Preprocessor,
    /// Made when the first frame comes.
    pub(super) frames: Option<FramePreprocessor>,
    /// Each place's own: it is whole when the place is free, so no run waits for another's, or makes more because another is late.
    pub(super) staging: Vec<Staging>,
    /// Alive while a sliced inference holds the activations.
    pub(super) lease: Weak<()>,
    /// The next inference's network, recorded while the last one ran.
    pub(super) ahead: Option<Recorded>,
    /// Pictures of the last submission.
    pub(super) latest_batch: u32,
    weights: Option<Arc<Weights>>,
}

impl Engine {
    /// Compiles a graph. `owner` tells whose parameters `evaluate` gives: sessions of one owner share weight buffers.
    ///
    /// # Errors
    /// Those of [`Plan::new`], [`Error::Tensor`] for parameters, [`Error::Kernel`] and [`Error::OutOfMemory`] of the device.
    pub async fn compile_graph(&self, graph: &Graph, owner: usize, evaluate: &Evaluate<'_>, options: &SessionOptions) -> Result<Session> {
        self.compile_with(graph, Parameters { owner, evaluate, weights: None }, options).await
    }

    async fn compile_with(&self, graph: &Graph, parameters: Parameters<'_>, options: &SessionOptions) -> Result<Session> {
        self.check_alive()?;
        let (graph, names) = if options.outputs.is_empty() {
            (graph.clone(), graph.outputs().iter().map(|id| graph.node(*id).name.clone()).collect())
        } else {
            (graph.with_outputs(&options.outputs)?, options.outputs.clone())
        };
        for name in &options.without_passes {
            passes::find(name)?;
        }
        let graph = passes::run(&graph, &options.without_passes);
        let plan_options = PlanOptions {
            batch: options.batch,
            micro_batch: options.micro_batch,
            precision: options.precision,
            prefer: options.prefer.clone(),
            tuning: options.tuning.clone(),
            runs: options.runs,
        };
        let plan = Plan::fitting(&graph, self.profile(), self.variants(), &plan_options)?;
        Session::new(self.clone(), plan, names, parameters, options.in_flight.max(1)).await
    }
}

impl Engine {
    /// Compiles a model at a size, for up to a batch. Of a model that is still arriving it uploads what comes as it comes,
    /// and is done with the last tensor that the outputs need.
    ///
    /// # Errors
    /// As [`Engine::compile_graph`], and [`Error::Graph`] for a size that the network cannot take.
    pub async fn session_async(&self, model: &Model, options: &SessionOptions) -> Result<Session> {
        let graph = model.graph(options.size)?;
        let weights = model.weights().clone();
        let owner = Arc::as_ptr(&weights) as usize;
        let evaluate = |param: &Param| param.evaluate(&|name| weights.get(name));
        let parameters = Parameters { owner, evaluate: &evaluate, weights: Some(&weights) };
        let mut session = self.compile_with(&graph, parameters, options).await?;
        // The address is the owner's identity as long as somebody keeps it.
        session.weights = Some(weights.clone());
        Ok(session)
    }

    /// [`Engine::session_async`], waiting.
    ///
    /// # Errors
    /// As [`Engine::session_async`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn session(&self, model: &Model, options: &SessionOptions) -> Result<Session> {
        pollster::block_on(self.session_async(model, options))
    }
}

impl Session {
    async fn new(engine: Engine, plan: Plan, names: Vec<String>, parameters: Parameters<'_>, in_flight: usize) -> Result<Self> {
        let mut layout = Vec::new();
        let mut end = 0;
        for (output, name) in plan.outputs.iter().zip(names) {
            let picture_bytes = output.shape.padded_elements() * plan.precision.bytes();
            layout.push(OutputLayout { name, shape: output.shape, offset: end, picture_bytes });
            end += (picture_bytes * u64::from(plan.batch)).next_multiple_of(256);
        }
        let (places, caught) = {
            let scope = Scope::open(engine.device());
            let places: Vec<_> = (0..in_flight).map(|_| Arc::new(place(&engine, &plan, end))).collect();
            (places, scope.close())
        };
        caught.await.map_err(|e| engine.failure(e))?;
        engine.shared.loss.watch(&places);
        let inputs: Vec<_> = places.iter().map(|p| p.input.clone()).collect();
        let program = Program::new(&engine, plan, parameters, &inputs).await?;
        let geometry = places.iter().map(|_| Geometry::default()).collect();
        let staging = places.iter().map(|_| Staging::default()).collect();
        let preprocessor = Preprocessor::new(engine.device(), program.plan.precision).await?;
        super::lock(&engine.shared.made).pipelines += KERNELS.len() as u64;
        Ok(Self {
            engine,
            program,
            layout: Arc::new(layout),
            places,
            geometry,
            preprocessor,
            frames: None,
            staging,
            lease: Weak::new(),
            ahead: None,
            latest_batch: 0,
            weights: None,
        })
    }

    /// What runs.
    pub fn plan(&self) -> &Plan {
        &self.program.plan
    }
    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
    /// Largest batch of one [`Session::encode`].
    pub fn max_batch(&self) -> u32 {
        self.program.plan.batch
    }

    /// Runs the network on any number of pictures or tensors, without blocking.
    ///
    /// # Errors
    /// As [`Session::encode`] and [`Pending::try_take`](super::Pending::try_take).
    pub async fn run_async(&mut self, input: Input<'_>) -> Result<Outputs> {
        let mut parts = Vec::new();
        for part in self.parts(&input)? {
            parts.push(self.submit(part.as_input(&input))?.await?);
        }
        join(parts)
    }

    /// Runs the network on any number of pictures or tensors and waits.
    ///
    /// # Errors
    /// As [`Session::run_async`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run(&mut self, input: Input<'_>) -> Result<Outputs> {
        let mut parts = Vec::new();
        for part in self.parts(&input)? {
            parts.push(self.submit(part.as_input(&input))?.wait()?);
        }
        join(parts)
    }

    fn parts(&self, input: &Input<'_>) -> Result<Vec<Part>> {
        let (total, most) = (input.batch(), self.max_batch() as usize);
        if total == 0 {
            return Err(Error::Input("no pictures".into()));
        }
        let part = |start: usize| {
            let end = (start + most).min(total);
            let tensor = match input {
                Input::Tensor(t) if total > most => {
                    let size = t.shape.elements() as usize;
                    let data = t.data.get(start * size..end * size).unwrap_or_default().to_vec();
                    Some(Tensor { batch: (end - start) as u32, shape: t.shape, data })
                }
                _ => None,
            };
            Part { range: start..end, tensor }
        };
        Ok((0..total).step_by(most).map(part).collect())
    }
}

/// A part of an input that is larger than the session's batch.
struct Part {
    range: std::ops::Range<usize>,
    tensor: Option<Tensor>,
}

impl Part {
    fn as_input<'a>(&'a self, whole: &Input<'a>) -> Input<'a> {
        match (whole, &self.tensor) {
            (_, Some(tensor)) => Input::Tensor(tensor),
            (Input::Pictures(pictures, rule), _) => Input::Pictures(&pictures[self.range.clone()], rule),
            (Input::Frames(frames, rule), _) => Input::Frames(&frames[self.range.clone()], rule),
            (whole, _) => *whole,
        }
    }
}

fn join(parts: Vec<Outputs>) -> Result<Outputs> {
    let mut parts = parts.into_iter();
    let mut all = parts.next().ok_or_else(|| Error::Input("no pictures".into()))?;
    for part in parts {
        for ((_, whole), (_, tensor)) in all.tensors.iter_mut().zip(part.tensors) {
            whole.batch += tensor.batch;
            whole.data.extend(tensor.data);
        }
    }
    Ok(all)
}

fn place(engine: &Engine, plan: &Plan, output_bytes: u64) -> Place {
    use wgpu::BufferUsages as U;
    let buffer = |label, size: u64, usage| {
        engine.device().create_buffer(&wgpu::BufferDescriptor { label: Some(label), size: size.max(16), usage, mapped_at_creation: false })
    };
    Place::new(
        buffer("input", plan.input_bytes(plan.batch), U::STORAGE | U::COPY_DST | U::COPY_SRC),
        buffer("outputs", output_bytes, U::STORAGE | U::COPY_SRC | U::COPY_DST),
        buffer("read-back", output_bytes, U::MAP_READ | U::COPY_DST),
    )
}
