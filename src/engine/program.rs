//! A plan compiled for a device: pipelines, weight buffers, slots and bind groups. Immutable.

use super::pipelines::Pipeline;
use super::{Engine, lock};
use crate::gpu::Scope;
use crate::graph::Param;
use crate::kernel::{Binding, Layer};
use crate::plan::{Plan, Source, Step};
use crate::weights::Weights;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

/// Evaluates a parameter to f32 values in the canonical layout.
pub(super) type Evaluate<'a> = dyn Fn(&Param) -> Result<Vec<f32>> + 'a;

/// Whose parameters a program has, and where they come from.
#[derive(Clone, Copy)]
pub(super) struct Parameters<'a> {
    pub owner: usize,
    pub evaluate: &'a Evaluate<'a>,
    /// What may still be arriving.
    pub weights: Option<&'a Weights>,
}

/// Weights and biases of a step, by binding.
type Bound = Vec<(u32, Arc<wgpu::Buffer>)>;

#[derive(Debug)]
pub(super) struct Program {
    pub plan: Plan,
    pub slots: Vec<wgpu::Buffer>,
    pub steps: Vec<Compiled>,
    /// Uniforms of all steps, for each place of the ring: for passes of a whole micro-batch, and for a smaller last one.
    pub uniforms: wgpu::Buffer,
    /// Bytes from one step's uniform to the next.
    pub stride: u32,
}

/// A step with what the device needs for it.
#[derive(Debug)]
pub(super) struct Compiled {
    pipeline: Arc<Pipeline>,
    weights: Bound,
    /// A bind group for each place of the ring, passes of a whole micro-batch and smaller ones apart, as they have uniforms of their own;
    /// of a step that reads the input, for each of its passes as well.
    bind_groups: Vec<wgpu::BindGroup>,
    /// Bind groups of a place that differ in the pass.
    passes: usize,
}

/// How a number of pictures goes through the steps.
#[derive(Debug, Default)]
pub(super) struct Geometry {
    pub batch: u32,
    /// Workgroups of each step in a pass of a whole micro-batch.
    whole: Vec<[u32; 3]>,
    /// The same in the last pass, if it has fewer pictures.
    rest: Vec<[u32; 3]>,
}

/// One of a run's passes through the steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    /// Place of the ring.
    pub place: usize,
    /// Which pass.
    pub index: u32,
    /// Its first picture.
    pub first: u32,
    /// Its pictures.
    pub pictures: u32,
}

impl Program {
    /// Compiles `plan`; `inputs` are the ring's input buffers. Weights go up while pipelines are compiled, as far as the
    /// driver does that elsewhere.
    pub async fn new(engine: &Engine, plan: Plan, parameters: Parameters<'_>, inputs: &[wgpu::Buffer]) -> Result<Self> {
        let (pipelines, weights) = both(pipelines(engine, &plan), upload(engine, &plan, parameters)).await;
        let (pipelines, weights) = (pipelines?, weights?);
        let (program, caught) = {
            let scope = Scope::open(engine.device());
            let program = build(engine, plan, inputs, pipelines, weights);
            (program, scope.close())
        };
        caught.await.map_err(|e| engine.failure(e))?;
        program
    }

    /// Workgroups of each step and the bytes of one place's uniforms for `batch` pictures.
    pub fn geometry(&self, engine: &Engine, batch: u32) -> (Geometry, Vec<u8>) {
        let steps = &self.plan.steps;
        let mut bytes = vec![0; self.stride as usize * kinds(&self.plan) * steps.len()];
        let mut groups = |pictures: u32, first: usize| -> Vec<[u32; 3]> {
            let one = |(i, step): (usize, &Step)| {
                let (groups, layer) = step.at(pictures, &engine.variants()[step.row], engine.profile());
                let start = (first + i) * self.stride as usize;
                bytes[start..start + size_of::<Layer>()].copy_from_slice(bytemuck::bytes_of(&layer));
                groups
            };
            if pictures == 0 { Vec::new() } else { steps.iter().enumerate().map(one).collect() }
        };
        let micro = self.plan.micro_batch;
        let whole = groups(if batch >= micro { micro } else { 0 }, 0);
        let rest = groups(batch % micro, steps.len());
        (Geometry { batch, whole, rest }, bytes)
    }

    /// Pass `index` of `batch` pictures.
    pub fn pass(&self, place: usize, index: u32, batch: u32) -> Pass {
        let first = index * self.plan.micro_batch;
        Pass { place, index, first, pictures: self.plan.micro_batch.min(batch.saturating_sub(first)) }
    }

    /// Records step `i` of a pass. A step that there is not is no step.
    pub fn dispatch(&self, encoder: &mut wgpu::ComputePass<'_>, i: usize, pass: Pass, geometry: &Geometry) {
        let less = pass.pictures < self.plan.micro_batch;
        let (Some(step), Some(groups)) = (self.steps.get(i), if less { &geometry.rest } else { &geometry.whole }.get(i)) else { return };
        let kind = pass.place * kinds(&self.plan) + usize::from(less);
        encoder.set_pipeline(&step.pipeline.pipeline);
        encoder.set_bind_group(0, step.bind_groups.get(kind * step.passes + pass.index as usize % step.passes), &[]);
        encoder.dispatch_workgroups(groups[0], groups[1], groups[2]);
    }
}

/// Kinds of passes: whole ones, and smaller ones if there can be any.
fn kinds(plan: &Plan) -> usize {
    if plan.micro_batch > 1 { 2 } else { 1 }
}

async fn pipelines(engine: &Engine, plan: &Plan) -> Result<Vec<Arc<Pipeline>>> {
    let rows: Vec<_> = plan.steps.iter().map(|step| step.row).collect();
    let pipelines = engine.pipelines(&rows, plan.precision).await?;
    if engine.profile().compiles_at_dispatch {
        warm_up(engine, &pipelines).await?;
    }
    Ok(pipelines)
}

/// The weights of each step, uploaded in the order in which they arrive.
async fn upload(engine: &Engine, plan: &Plan, Parameters { owner, evaluate, weights }: Parameters<'_>) -> Result<Vec<Bound>> {
    let mut bound = vec![Bound::new(); plan.steps.len()];
    let mut wanted = Vec::new();
    for (i, step) in plan.steps.iter().enumerate() {
        let bindings = step.case.op.bindings().iter();
        wanted.extend(bindings.filter_map(|(_, binding, what)| Some((i, *binding, step.weight(*what)?))));
    }
    let mut outcomes = Vec::new();
    loop {
        let arrived = weights.map_or(0, Weights::arrived);
        let (here, later): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|(.., weight)| weights.is_none_or(|weights| weights.has(&weight.param)));
        let (uploaded, caught) = {
            let scope = Scope::open(engine.device());
            let uploaded = here.into_iter().try_for_each(|(step, binding, weight)| {
                let buffer = engine.weight(owner, weight, plan.precision, || evaluate(&weight.param))?;
                bound[step].push((binding, buffer));
                Ok(())
            });
            (uploaded, scope.close())
        };
        outcomes.push(caught);
        uploaded?;
        match weights {
            Some(weights) if !later.is_empty() => weights.more_than(arrived).await?,
            _ => break,
        }
        wanted = later;
    }
    // A device that is busy compiling answers late.
    for outcome in outcomes {
        outcome.await.map_err(|e| engine.failure(e))?;
    }
    Ok(bound)
}

/// Two futures at once, the first one ahead.
async fn both<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut of_a, mut of_b) = (None, None);
    poll_fn(|context| {
        if of_a.is_none()
            && let Poll::Ready(done) = a.as_mut().poll(context)
        {
            of_a = Some(done);
        }
        if of_b.is_none()
            && let Poll::Ready(done) = b.as_mut().poll(context)
        {
            of_b = Some(done);
        }
        match (of_a.take(), of_b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (of_a, of_b) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

fn build(engine: &Engine, plan: Plan, inputs: &[wgpu::Buffer], pipelines: Vec<Arc<Pipeline>>, weights: Vec<Bound>) -> Result<Program> {
    let device = engine.device();
    let stride = (size_of::<Layer>() as u32).next_multiple_of(engine.profile().uniform_alignment.max(16));
    let uniforms = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("layers"),
        size: u64::from(stride) * (kinds(&plan) * plan.steps.len() * inputs.len()) as u64,
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let slot = |size: &u64| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("activations"),
            size: (*size).max(16),
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        })
    };
    let slots: Vec<_> = plan.slots.iter().map(slot).collect();
    let mut steps = Vec::new();
    for (i, ((step, pipeline), weights)) in plan.steps.iter().zip(pipelines).zip(weights).enumerate() {
        let reads_input = step.input == Source::Input || step.residual == Some(Source::Input);
        let passes = if reads_input { plan.passes(plan.batch) } else { 1 };
        let mut compiled = Compiled { pipeline, weights, bind_groups: Vec::new(), passes: passes as usize };
        for (place, input) in inputs.iter().enumerate() {
            for kind in 0..kinds(&plan) {
                let first = (place * kinds(&plan) + kind) * plan.steps.len();
                let size = wgpu::BufferSize::new(size_of::<Layer>() as u64);
                let layer = wgpu::BufferBinding { buffer: &uniforms, offset: u64::from(stride) * (first + i) as u64, size };
                for pass in 0..passes {
                    let group = bind_group(engine, step, &compiled, &slots, layer.clone(), part(&plan, input, pass))?;
                    compiled.bind_groups.push(group);
                }
            }
        }
        steps.push(compiled);
    }
    Ok(Program { plan, slots, steps, uniforms, stride })
}

/// The pictures of the input that a pass reads.
fn part<'a>(plan: &Plan, input: &'a wgpu::Buffer, pass: u32) -> wgpu::BindingResource<'a> {
    let first = pass * plan.micro_batch;
    let size = plan.input_bytes(plan.micro_batch.min(plan.batch - first));
    wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer: input, offset: plan.input_bytes(first), size: size.try_into().ok() })
}

fn bind_group(
    engine: &Engine,
    step: &Step,
    compiled: &Compiled,
    slots: &[wgpu::Buffer],
    layer: wgpu::BufferBinding<'_>,
    input: wgpu::BindingResource<'_>,
) -> Result<wgpu::BindGroup> {
    let source = |source: Source| match source {
        Source::Input => input.clone(),
        Source::Slot(i) => slots[i].as_entire_binding(),
    };
    lock(&engine.shared.made).bind_groups += 1;
    compiled.pipeline.bind(engine.device(), &step.node, layer, |name, binding, what| match what {
        Binding::Input => Ok(source(step.input)),
        Binding::Output => Ok(slots[step.output].as_entire_binding()),
        Binding::Residual => Ok(source(step.residual.unwrap_or(step.input))),
        Binding::Weights(_) | Binding::Bias(_) => {
            let found = compiled.weights.iter().find(|(b, _)| *b == binding).map(|(_, buffer)| buffer.as_entire_binding());
            found.ok_or_else(|| Error::Kernel { name: step.variant.clone(), message: format!("`{name}` has no weights") })
        }
    })
}

/// Dispatches each pipeline once with no workgroups: a driver that compiles at the first dispatch, on its queue, then
/// does so while we pack and upload weights.
async fn warm_up(engine: &Engine, pipelines: &[Arc<Pipeline>]) -> Result<()> {
    let device = engine.device();
    let mut distinct = BTreeMap::new();
    for pipeline in pipelines {
        distinct.entry(Arc::as_ptr(pipeline) as usize).or_insert(pipeline);
    }
    let fresh: Vec<_> = {
        let mut warmed = lock(&engine.shared.pipelines.warmed);
        distinct.into_iter().filter(|(key, _)| warmed.insert(*key)).map(|(_, p)| p).collect()
    };
    let caught = {
        let scope = Scope::open(device);
        let buffer =
            |usage| device.create_buffer(&wgpu::BufferDescriptor { label: Some("warm-up"), size: 256, usage, mapped_at_creation: false });
        let (uniform, read, write) =
            (buffer(wgpu::BufferUsages::UNIFORM), buffer(wgpu::BufferUsages::STORAGE), buffer(wgpu::BufferUsages::STORAGE));
        let mut encoder = device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for pipeline in fresh {
                let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: uniform.as_entire_binding() }];
                entries.extend(pipeline.op.bindings().iter().map(|(_, binding, what)| {
                    let buffer = if *what == Binding::Output { &write } else { &read };
                    wgpu::BindGroupEntry { binding: *binding, resource: buffer.as_entire_binding() }
                }));
                let descriptor = wgpu::BindGroupDescriptor { label: Some("warm-up"), layout: &pipeline.layout, entries: &entries };
                pass.set_pipeline(&pipeline.pipeline);
                pass.set_bind_group(0, &device.create_bind_group(&descriptor), &[]);
                pass.dispatch_workgroups(0, 0, 0);
            }
        }
        engine.queue().submit([encoder.finish()]);
        scope.close()
    };
    caught.await.map_err(|e| engine.failure(e))
}
