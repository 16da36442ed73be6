//! From a graph to what will run on a device: kernels chosen, memory assigned. A plan is a value, made without a GPU.

mod choose;
mod fuse;
mod memory;
mod micro_batch;
mod settle;

pub use choose::{Measured, Preference, Why};
pub use memory::Assignment;

use choose::Choice;

use crate::gpu::DeviceProfile;
use crate::graph::{BatchNorm, Conv2d, Graph, Groups, Node, NodeId, Op, Param, Shape};
use crate::kernel::{Binding, Case, Layer, Packing, Precision, Variant, WeightShape};
use crate::tune::Tuning;
use crate::{Error, Result};
use serde::Serialize;

/// What a plan is made for, beside the graph and the device.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// Largest batch; 0 counts as 1.
    pub batch: u32,
    /// Most pictures that go through the steps together, a larger batch in several passes; 0: what suits the device.
    pub micro_batch: u32,
    /// Storage, arithmetic and accumulation types.
    pub precision: Precision,
    /// Variants that are taken wherever they apply, before record and cost model.
    pub prefer: Vec<Preference>,
    /// Records of measurements, asked before the cost model.
    pub tuning: Tuning,
    /// Runs within which a kernel has to repay its compile time, on devices that compile at the first dispatch. A user's own
    /// record decides without regard to it.
    pub runs: u32,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self { batch: 1, micro_batch: 0, precision: Precision::F32, prefer: Vec::new(), tuning: Tuning::default(), runs: RUNS }
    }
}

/// Runs within which kernels repay their compile time if nothing else is asked for: ten seconds of a video.
pub const RUNS: u32 = 300;

/// Where a step finds a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The network's input, which belongs to the run.
    Input,
    /// A slot.
    Slot(usize),
}

/// A parameter as a step's kernel reads it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Weight {
    /// The expression.
    #[serde(serialize_with = "text")]
    pub param: Param,
    /// Its canonical shape.
    pub shape: WeightShape,
    /// Order in memory.
    pub packing: Packing,
}

fn text<S: serde::Serializer>(param: &Param, s: S) -> std::result::Result<S::Ok, S::Error> {
    s.collect_str(param)
}

/// One dispatch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// The node that it computes.
    pub node: String,
    /// The problem, at the plan's micro-batch.
    pub case: Case,
    /// The variant's name.
    pub variant: String,
    /// Its row in the engine's table.
    #[serde(skip)]
    pub row: usize,
    /// Why this variant.
    pub why: Why,
    /// Workgroups at the plan's micro-batch.
    pub workgroups: [u32; 3],
    /// First input.
    pub input: Source,
    /// Second input, where there is one.
    pub residual: Option<Source>,
    /// Slot of the output.
    pub output: usize,
    /// Filters and biases, one of each for every convolution of the node.
    pub weights: Vec<Weight>,
    /// Biases.
    pub biases: Vec<Weight>,
}

impl Step {
    /// Workgroups and uniform for `batch` pictures.
    pub fn at(&self, batch: u32, variant: &Variant, profile: &DeviceProfile) -> ([u32; 3], Layer) {
        let case = self.case.with_batch(batch);
        let geometry = variant.dispatch(&case, profile);
        (geometry.workgroups, Layer::new(&case, &geometry))
    }
    /// The parameter or place behind a binding.
    pub fn weight(&self, binding: Binding) -> Option<&Weight> {
        match binding {
            Binding::Weights(i) => self.weights.get(i),
            Binding::Bias(i) => self.biases.get(i),
            _ => None,
        }
    }
    /// Bytes that it must read: inputs, and each weight once.
    pub fn bytes_read(&self, precision: Precision) -> u64 {
        let inputs = self.case.input.padded_elements() * u64::from(self.case.batch);
        let residual = if self.residual.is_some() { self.values_written() } else { 0 };
        let weights: u64 = self.weights.iter().chain(&self.biases).map(|w| w.shape.packed(w.packing)).sum();
        (inputs + residual + weights) * precision.bytes()
    }
    /// Bytes that it must write.
    pub fn bytes_written(&self, precision: Precision) -> u64 {
        self.values_written() * precision.bytes()
    }
    fn values_written(&self) -> u64 {
        self.case.output.padded_elements() * u64::from(self.case.batch)
    }
}

/// A value that the caller gets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Output {
    /// The node's name.
    pub node: String,
    /// Shape of one picture.
    pub shape: Shape,
    /// Where it stands after the last step.
    pub slot: usize,
}

/// What will run on a device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The device that it was made for.
    pub device: String,
    /// Largest batch of a run.
    pub batch: u32,
    /// Pictures that go through the steps together. A larger batch takes several passes, and the slots hold one of them.
    pub micro_batch: u32,
    /// Types.
    pub precision: Precision,
    /// Shape of one input picture.
    pub input: Shape,
    /// Dispatches in order.
    pub steps: Vec<Step>,
    /// Bytes of each slot.
    pub slots: Vec<u64>,
    /// Bytes of the largest set of values that are alive at one time.
    pub live_bytes: u64,
    /// Bytes that slots which are whole buffers cannot be below.
    pub bound_bytes: u64,
    /// What the caller gets.
    pub outputs: Vec<Output>,
}

impl Plan {
    /// Plans `graph` (passes done) for a device.
    ///
    /// # Errors
    /// [`Error::NoVariant`] if no kernel applies to a node, [`Error::Limit`] if a value does not fit the device.
    pub fn new(graph: &Graph, profile: &DeviceProfile, variants: &[Variant], options: &PlanOptions) -> Result<Self> {
        let batch = options.batch.max(1);
        if options.precision.needs_f16() && !profile.f16 {
            let message = format!("{} cannot compute in f16; use f32 or auto", profile.name);
            return Err(Error::Option { option: "precision", message });
        }
        let Some((input, input_shape)) = graph.input() else {
            return Err(Error::Graph { node: "input".into(), message: "the graph has no input".into() });
        };
        if graph.outputs().contains(&input) {
            return Err(Error::Graph { node: graph.node(input).name.clone(), message: "the input itself cannot be an output".into() });
        }
        let picture = |shape: Shape| shape.padded_elements() * options.precision.bytes();
        let outputs = graph.outputs();
        for (node, nodes) in [(Some(&input), &[input][..]), (outputs.first(), outputs)] {
            let whole = u64::from(batch) * nodes.iter().map(|id| picture(graph.node(*id).shape)).sum::<u64>();
            if let Some(node) = node.filter(|_| whole > profile.max_buffer_size) {
                return Err(limit(&graph.node(*node).name, WHOLE_BATCH, whole, profile.max_buffer_size));
            }
        }
        let micro_batch = micro_batch::of(graph, profile, options);
        let runs = options.runs.saturating_mul(batch.div_ceil(micro_batch));
        let bytes = |shape: Shape| u64::from(micro_batch) * picture(shape);
        // First, so that whatever counts pixels of a batch stays in its range.
        fits(&graph.node(input).name, bytes(input_shape), profile)?;
        let graph = &fuse::fuse(graph, profile, variants, &PlanOptions { batch: micro_batch, runs, ..options.clone() });
        for node in graph.nodes() {
            fits(&node.name, bytes(node.shape), profile)?;
        }
        let input = NodeId(graph.nodes().iter().position(|n| matches!(n.op, Op::Input)).unwrap_or(input.0));
        let memory = memory::assign(graph, bytes);
        let source = |id: NodeId| if id == input { Source::Input } else { Source::Slot(memory.slot[id.0]) };
        let mut choices = Vec::with_capacity(graph.nodes().len());
        for node in graph.nodes() {
            let case = Case::of(graph, node, micro_batch);
            choices.push(case.map(|case| choose::choose(&node.name, &case, profile, variants, options)).transpose()?);
        }
        settle::settle(&mut choices, runs, profile, variants);
        let mut steps = Vec::new();
        for ((i, node), choice) in graph.nodes().iter().enumerate().zip(choices) {
            let Some(Choice { case, row, why, .. }) = choice else { continue };
            let variant = &variants[row];
            let (weights, biases) = weights(node, &case, variant.packing);
            for weight in weights.iter().chain(&biases) {
                fits(&node.name, weight.shape.packed(weight.packing) * options.precision.bytes(), profile)?;
            }
            steps.push(Step {
                node: node.name.clone(),
                case,
                variant: variant.name.to_string(),
                row,
                why,
                workgroups: variant.dispatch(&case, profile).workgroups,
                input: source(node.inputs[0]),
                residual: node.inputs.get(1).map(|id| source(*id)),
                output: memory.slot[i],
                weights,
                biases,
            });
        }
        let outputs = graph.outputs().iter().map(|id| {
            let node = graph.node(*id);
            Output { node: node.name.clone(), shape: node.shape, slot: memory.slot[id.0] }
        });
        Ok(Self {
            device: profile.key(),
            batch,
            micro_batch,
            precision: options.precision,
            input: input_shape,
            outputs: outputs.collect(),
            steps,
            slots: memory.slots,
            live_bytes: memory.live_bytes,
            bound_bytes: memory.bound_bytes,
        })
    }

    /// The largest plan for up to `options.batch` pictures that fits: what exceeds the device's limits is halved, first the micro-batch,
    /// and the batch where its inputs and outputs alone do.
    ///
    /// # Errors
    /// As [`Plan::new`], if not even one picture fits.
    pub fn fitting(graph: &Graph, profile: &DeviceProfile, variants: &[Variant], options: &PlanOptions) -> Result<Self> {
        let mut options = options.clone();
        loop {
            match Plan::new(graph, profile, variants, &options) {
                Err(Error::Limit { limit: WHOLE_BATCH, .. }) if options.batch > 1 => options.batch /= 2,
                Err(Error::Limit { .. } | Error::NoVariant { .. }) if options.batch > 1 => {
                    micro_batch::shrink(graph, profile, &mut options)
                }
                result => return result,
            }
        }
    }

    /// Bytes of `batch` pictures of the input.
    pub fn input_bytes(&self, batch: u32) -> u64 {
        u64::from(batch) * self.input.padded_elements() * self.precision.bytes()
    }

    /// Passes through the steps that `batch` pictures take.
    pub fn passes(&self, batch: u32) -> u32 {
        batch.div_ceil(self.micro_batch.max(1))
    }

    /// Dispatches of a full batch.
    pub fn dispatches(&self) -> usize {
        self.steps.len() * self.passes(self.batch) as usize
    }

    /// Bytes of all weights, each counted once.
    pub fn weight_bytes(&self) -> u64 {
        let mut seen = std::collections::BTreeMap::new();
        for weight in self.steps.iter().flat_map(|s| s.weights.iter().chain(&s.biases)) {
            seen.insert((weight.param.to_string(), weight.packing), weight.shape.packed(weight.packing) * self.precision.bytes());
        }
        seen.values().sum()
    }

    /// Bytes of all slots.
    pub fn activation_bytes(&self) -> u64 {
        self.slots.iter().sum()
    }

    /// Multiply-accumulates of a full batch.
    pub fn macs(&self) -> u64 {
        u64::from(self.batch) * self.steps.iter().map(|s| s.case.with_batch(1).macs()).sum::<u64>()
    }
}

/// The limit of what holds all of a batch, its inputs or its outputs.
const WHOLE_BATCH: &str = "max_buffer_size";

fn fits(node: &str, needed: u64, profile: &DeviceProfile) -> Result<()> {
    if needed <= profile.max_storage_binding {
        return Ok(());
    }
    Err(limit(node, "max_storage_buffer_binding_size", needed, profile.max_storage_binding))
}

fn limit(node: &str, limit: &'static str, needed: u64, available: u64) -> Error {
    Error::Limit { node: node.to_string(), limit, needed, available, hint: "use a smaller size or batch".into() }
}

/// The parameters of a node as its kernel reads them.
pub(crate) fn weights(node: &Node, case: &Case, packing: Packing) -> (Vec<Weight>, Vec<Weight>) {
    let vector = |param: Param, channels| Weight { param, shape: WeightShape::Depthwise { taps: 1, channels }, packing: Packing::Rows };
    let bias = |c: &Conv2d| vector(c.bias.clone().unwrap_or(Param::Zeros(c.out_channels)), c.out_channels);
    let filters = |c: &Conv2d, cin: u32| {
        let taps = c.kernel[0] * c.kernel[1];
        let (shape, packing) = match c.groups {
            Groups::Dense => (WeightShape::Dense { taps, cin, cout: c.out_channels }, packing),
            Groups::Depthwise => (WeightShape::Depthwise { taps, channels: c.out_channels }, Packing::Rows),
        };
        Weight { param: c.filters.clone(), shape, packing }
    };
    let (cin, cout) = (case.input.channels, case.output.channels);
    match &node.op {
        Op::Conv2d(c) => (vec![filters(c, cin)], vec![bias(c)]),
        Op::Linear(l) => {
            let weight = Weight { param: l.weights.clone(), shape: WeightShape::Dense { taps: 1, cin, cout }, packing };
            (vec![weight], vec![vector(l.bias.clone().unwrap_or(Param::Zeros(cout)), cout)])
        }
        Op::BatchNorm(BatchNorm { norm }) => {
            let norm = Box::new(norm.clone());
            (vec![vector(Param::NormScale(norm.clone()), cout)], vec![vector(Param::Shifted(None, norm), cout)])
        }
        Op::SeparableBlock(b) => {
            (vec![filters(&b.depthwise, cin), filters(&b.pointwise, cin)], vec![bias(&b.depthwise), bias(&b.pointwise)])
        }
        Op::InvertedResidual(b) => {
            let hidden = b.expand.out_channels;
            let weights = vec![filters(&b.expand, cin), filters(&b.depthwise, hidden), filters(&b.project, hidden)];
            (weights, vec![bias(&b.expand), bias(&b.depthwise), bias(&b.project)])
        }
        _ => (Vec::new(), Vec::new()),
    }
}
