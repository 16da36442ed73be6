//! A network compiled on an engine for one size, largest batch, precision and set of outputs.

use super::pending::{OutputLayout, Place};
use super::program::{Evaluate, Program};
use super::{Engine, Outputs, Pending};
use crate::gpu::Scope;
use crate::graph::{Graph, Param, passes};
use crate::kernel::Precision;
use crate::model::Model;
use crate::plan::{Plan, PlanOptions, Preference};
use crate::tune::Tuning;
use crate::weights::Weights;
use crate::{Error, Result, Tensor};
use std::sync::Arc;

/// What a session is made for.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// Height and width of the network's input; the model's own if `None`.
    pub size: Option<[u32; 2]>,
    /// Largest batch of one dispatch list; larger inputs are run in parts. Halved until it fits the device.
    pub batch: u32,
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
    /// Inferences that can be under way at one time.
    pub in_flight: usize,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            size: None,
            batch: 1,
            precision: Precision::F32,
            outputs: Vec::new(),
            without_passes: Vec::new(),
            prefer: Vec::new(),
            tuning: Tuning::default(),
            in_flight: 2,
        }
    }
}

/// What a network is given.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Normalised values, `[N, H, W, C]`.
    Tensor(&'a Tensor),
}

impl Input<'_> {
    pub(crate) fn batch(&self) -> usize {
        match self {
            Input::Tensor(t) => t.batch as usize,
        }
    }
}

/// A compiled network. `&mut` to record; as many sessions as one likes share an engine and a model's weights.
#[derive(Debug)]
pub struct Session {
    engine: Engine,
    program: Program,
    layout: Arc<Vec<OutputLayout>>,
    places: Vec<Arc<Place>>,
    /// Batch that each place's uniforms are written for, and the workgroups of its steps.
    geometry: Vec<(u32, Vec<[u32; 3]>)>,
    packed: Vec<u8>,
    weights: Option<Arc<Weights>>,
}

impl Engine {
    /// Compiles a graph. `owner` tells whose parameters `evaluate` gives: sessions of one owner share weight buffers.
    ///
    /// # Errors
    /// Those of [`Plan::new`], [`Error::Tensor`] for parameters, [`Error::Kernel`] and [`Error::OutOfMemory`] of the device.
    pub async fn compile_graph(&self, graph: &Graph, owner: usize, evaluate: &Evaluate<'_>, options: &SessionOptions) -> Result<Session> {
        self.check_alive()?;
        let (graph, names) = if options.outputs.is_empty() {
            (graph.clone(), graph.outputs().iter().map(|id| graph.node(*id).name.clone()).collect())
        } else {
            (graph.with_outputs(&options.outputs)?, options.outputs.clone())
        };
        let graph = passes::run(&graph, &options.without_passes);
        let plan_options = PlanOptions {
            batch: options.batch,
            precision: options.precision,
            prefer: options.prefer.clone(),
            tuning: options.tuning.clone(),
        };
        let plan = Plan::fitting(&graph, self.profile(), self.variants(), &plan_options)?;
        Session::new(self.clone(), plan, names, owner, evaluate, options.in_flight.max(1)).await
    }
}

impl Engine {
    /// Compiles a model at a size, for up to a batch.
    ///
    /// # Errors
    /// As [`Engine::compile_graph`], and [`Error::Graph`] for a size that the network cannot take.
    pub async fn session_async(&self, model: &Model, options: &SessionOptions) -> Result<Session> {
        let graph = model.graph(options.size)?;
        let weights = model.weights().clone();
        let owner = Arc::as_ptr(&weights) as usize;
        let evaluate = |param: &Param| param.evaluate(&|name| weights.get(name));
        let mut session = self.compile_graph(&graph, owner, &evaluate, options).await?;
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
    async fn new(engine: Engine, plan: Plan, names: Vec<String>, owner: usize, evaluate: &Evaluate<'_>, in_flight: usize) -> Result<Self> {
        let mut layout = Vec::new();
        let mut end = 0;
        for (output, name) in plan.outputs.iter().zip(names) {
            let picture_bytes = output.shape.pixels() * u64::from(output.shape.c4()) * 4 * plan.precision.bytes();
            layout.push(OutputLayout { name, shape: output.shape, offset: end, picture_bytes });
            end += (picture_bytes * u64::from(plan.batch)).next_multiple_of(256);
        }
        let (places, caught) = {
            let scope = Scope::open(engine.device());
            let places: Vec<_> = (0..in_flight).map(|_| Arc::new(place(&engine, &plan, end))).collect();
            (places, scope.close())
        };
        caught.await.map_err(|e| engine.failure(e))?;
        let inputs: Vec<_> = places.iter().map(|p| p.input.clone()).collect();
        let program = Program::new(&engine, plan, owner, evaluate, &inputs).await?;
        let geometry = vec![(0, Vec::new()); places.len()];
        Ok(Self { engine, program, layout: Arc::new(layout), places, geometry, packed: Vec::new(), weights: None })
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

    /// Records one inference into `encoder`: preprocessing, the network, and the read-back.
    ///
    /// # Errors
    /// [`Error::Busy`] if the ring is full, [`Error::Input`] for a wrong shape or batch.
    pub fn encode(&mut self, encoder: &mut wgpu::CommandEncoder, input: Input<'_>) -> Result<Pending> {
        self.engine.check_alive()?;
        self.check(&input)?;
        let batch = input.batch() as u32;
        let index = self.places.iter().position(|p| p.claim()).ok_or(Error::Busy(self.places.len()))?;
        let pending = Pending {
            engine: self.engine.clone(),
            place: self.places[index].clone(),
            layout: self.layout.clone(),
            batch,
            precision: self.program.plan.precision,
            done: false,
        };
        self.write_input(index, input);
        self.write_layers(index, batch);
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some("mobilenet"), timestamp_writes: None });
            for (i, groups) in self.geometry[index].1.iter().enumerate() {
                self.program.dispatch(&mut pass, i, index, *groups);
            }
        }
        self.read_back(encoder, index, batch);
        Ok(pending)
    }

    /// Runs the network on any number of pictures or tensors, without blocking.
    ///
    /// # Errors
    /// As [`Session::encode`] and [`Pending::try_take`].
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

    /// Records one inference into an encoder of our own and submits it.
    ///
    /// # Errors
    /// As [`Session::encode`], and what the device says of the commands.
    pub fn submit(&mut self, input: Input<'_>) -> Result<Pending> {
        let mut encoder = self.engine.device().create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("mobilenet") });
        let pending = self.encode(&mut encoder, input)?;
        self.engine.queue().submit([encoder.finish()]);
        Ok(pending)
    }

    /// For measuring: step `i` again, on what the last run through the first place of the ring has left.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn record_step(&self, pass: &mut wgpu::ComputePass<'_>, i: usize, repeats: u32) {
        if let Some(groups) = self.geometry[0].1.get(i) {
            (0..repeats).for_each(|_| self.program.dispatch(pass, i, 0, *groups));
        }
    }

    fn check(&self, input: &Input<'_>) -> Result<()> {
        let (plan, batch) = (&self.program.plan, input.batch());
        if batch == 0 || batch > plan.batch as usize {
            return Err(Error::Input(format!("a batch of {batch}, where this session takes 1 to {}", plan.batch)));
        }
        match input {
            Input::Tensor(t) if t.shape != plan.input => {
                Err(Error::Input(format!("shape {}, where the network takes {}", t.shape, plan.input)))
            }
            Input::Tensor(t) if t.data.len() as u64 != u64::from(t.batch) * t.shape.elements() => {
                Err(Error::Input(format!("{} values for {}x{}", t.data.len(), t.batch, t.shape)))
            }
            _ => Ok(()),
        }
    }

    fn write_input(&mut self, index: usize, input: Input<'_>) {
        match input {
            Input::Tensor(tensor) => {
                pad(tensor, self.program.plan.precision, &mut self.packed);
                self.engine.queue().write_buffer(&self.places[index].input, 0, &self.packed);
            }
        }
    }

    /// Uniforms change only with the batch.
    fn write_layers(&mut self, index: usize, batch: u32) {
        if self.geometry[index].0 != batch {
            let (groups, bytes) = self.program.geometry(&self.engine, batch);
            self.engine.queue().write_buffer(&self.program.uniforms, (index * bytes.len()) as u64, &bytes);
            self.geometry[index] = (batch, groups);
        }
    }

    fn read_back(&self, encoder: &mut wgpu::CommandEncoder, index: usize, batch: u32) {
        let place = &self.places[index];
        let mut end = 0;
        for (output, layout) in self.program.plan.outputs.iter().zip(self.layout.iter()) {
            let bytes = layout.picture_bytes * u64::from(batch);
            encoder.copy_buffer_to_buffer(&self.program.slots[output.slot], 0, &place.result, layout.offset, bytes);
            end = layout.offset + bytes;
        }
        encoder.copy_buffer_to_buffer(&place.result, 0, &place.staging, 0, end);
        place.read_back(encoder, place.staging.size());
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
            Part { tensor }
        };
        Ok((0..total).step_by(most).map(part).collect())
    }
}

/// A part of an input that is larger than the session's batch.
struct Part {
    tensor: Option<Tensor>,
}

impl Part {
    fn as_input<'a>(&'a self, whole: &Input<'a>) -> Input<'a> {
        match (whole, &self.tensor) {
            (_, Some(tensor)) => Input::Tensor(tensor),
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
    let input = u64::from(plan.batch) * plan.input.pixels() * u64::from(plan.input.c4()) * 4 * plan.precision.bytes();
    Place::new(
        buffer("input", input, U::STORAGE | U::COPY_DST | U::COPY_SRC),
        buffer("outputs", output_bytes, U::STORAGE | U::COPY_SRC | U::COPY_DST),
        buffer("read-back", output_bytes, U::MAP_READ | U::COPY_DST),
    )
}

/// Values with channels padded to a multiple of 4, in the storage type.
fn pad(tensor: &Tensor, precision: Precision, packed: &mut Vec<u8>) {
    let channels = tensor.shape.channels as usize;
    let padded = channels.div_ceil(4) * 4;
    packed.clear();
    for pixel in tensor.data.chunks_exact(channels.max(1)) {
        let lanes = pixel.iter().copied().chain(std::iter::repeat_n(0.0, padded - channels));
        if precision.needs_f16() {
            lanes.for_each(|v| packed.extend(half::f16::from_f32(v).to_le_bytes()));
        } else {
            lanes.for_each(|v| packed.extend(v.to_le_bytes()));
        }
    }
}
