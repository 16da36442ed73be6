//! Pipelines, made once for each (variant, precision) and shared by all sessions; and buffers with content.

use super::{Engine, lock};
use crate::gpu::Scope;
use crate::kernel::{Binding, OpKind, Precision, Variant, specialise};
use crate::{Error, Result};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock};

/// A compiled kernel.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
    pub op: OpKind,
}

impl Pipeline {
    /// Binds the layer's uniform and, for each of the op's bindings, what `buffer` gives.
    pub fn bind<'a>(
        &self,
        device: &wgpu::Device,
        label: &str,
        layer: wgpu::BufferBinding<'_>,
        buffer: impl Fn(&'static str, u32, Binding) -> Result<wgpu::BindingResource<'a>>,
    ) -> Result<wgpu::BindGroup> {
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(layer) }];
        for (name, binding, what) in self.op.bindings() {
            entries.push(wgpu::BindGroupEntry { binding: *binding, resource: buffer(name, *binding, *what)? });
        }
        let descriptor = wgpu::BindGroupDescriptor { label: Some(label), layout: &self.layout, entries: &entries };
        Ok(device.create_bind_group(&descriptor))
    }
}

#[derive(Debug, Default)]
pub(super) struct Pipelines {
    made: Mutex<HashMap<(usize, Precision), Arc<Pipeline>>>,
    /// Pipelines that have been dispatched once, by address (they live as long as the engine).
    pub warmed: Mutex<HashSet<usize>>,
    /// The driver's cache, if the app asked for one.
    pub cache: OnceLock<wgpu::PipelineCache>,
}

impl Engine {
    /// The pipelines of the variants in `rows` of the table. All are asked for before the first is waited for: a browser
    /// compiles them elsewhere, and says much later whether they are good.
    pub(super) async fn pipelines(&self, rows: &[usize], precision: Precision) -> Result<Vec<Arc<Pipeline>>> {
        let made = || lock(&self.shared.pipelines.made);
        let mut wanted = Vec::new();
        for row in rows {
            if !made().contains_key(&(*row, precision)) && !wanted.contains(row) {
                wanted.push(*row);
            }
        }
        for (row, (pipeline, outcome)) in wanted.iter().copied().zip(self.ask_all(&wanted, precision)) {
            outcome.await?;
            made().insert((row, precision), Arc::new(pipeline));
        }
        let made = made();
        Ok(rows.iter().filter_map(|row| made.get(&(*row, precision)).cloned()).collect())
    }

    /// Natively a driver compiles in the thread that asks, so each pipeline has one of its own.
    #[cfg(not(target_arch = "wasm32"))]
    fn ask_all<'a>(&'a self, rows: &[usize], precision: Precision) -> Vec<(Pipeline, impl Future<Output = Result<()>> + 'a)> {
        let ask = |row: &usize| self.ask(&self.shared.variants[*row], precision);
        std::thread::scope(|scope| {
            let threads: Vec<_> = rows.iter().map(|row| scope.spawn(move || ask(row))).collect();
            // What panics there would have panicked here.
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        })
    }

    #[cfg(target_arch = "wasm32")]
    fn ask_all<'a>(&'a self, rows: &[usize], precision: Precision) -> Vec<(Pipeline, impl Future<Output = Result<()>> + 'a)> {
        rows.iter().map(|row| self.ask(&self.shared.variants[*row], precision)).collect()
    }

    /// A pipeline of its own, whatever was made before.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) async fn compile(&self, variant: &Variant, precision: Precision) -> Result<Pipeline> {
        let (pipeline, outcome) = self.ask(variant, precision);
        outcome.await?;
        Ok(pipeline)
    }

    /// A pipeline, and what becomes of it.
    fn ask<'a>(&'a self, variant: &'a Variant, precision: Precision) -> (Pipeline, impl Future<Output = Result<()>> + 'a) {
        let device = &self.shared.device;
        let (pipeline, caught) = {
            let scope = Scope::open(device);
            let pipeline = create(device, variant, precision, self.shared.pipelines.cache.get());
            (pipeline, scope.close())
        };
        lock(&self.shared.made).pipelines += 1;
        let outcome = async move {
            caught.await.map_err(|error| match error {
                Error::Device(message) => Error::Kernel { name: format!("{}/{}", variant.op, variant.name), message },
                other => self.failure(other),
            })
        };
        (pipeline, outcome)
    }
}

fn create(device: &wgpu::Device, variant: &Variant, precision: Precision, cache: Option<&wgpu::PipelineCache>) -> Pipeline {
    let label = format!("{}/{} {precision}", variant.op, variant.name);
    let source = wgpu::ShaderSource::Wgsl(specialise(&variant.source, precision).into());
    let module = module(device, wgpu::ShaderModuleDescriptor { label: Some(&label), source }, variant.workgroups.is_none());
    let layout = bind_group_layout(device, variant.op);
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(&label),
        bind_group_layouts: &[Some(&layout)],
        ..Default::default()
    });
    let constants: Vec<(&str, f64)> = variant.parameters.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(&label),
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions { constants: &constants, zero_initialize_workgroup_memory: false },
        cache,
    });
    Pipeline { pipeline, layout, op: variant.op }
}

/// A kernel of our table is compiled without the counters that make every loop end: they keep compilers from unrolling loops, so that each
/// turn waits for its own loads.
fn module(device: &wgpu::Device, descriptor: wgpu::ShaderModuleDescriptor<'_>, ours: bool) -> wgpu::ShaderModule {
    if !ours {
        return device.create_shader_module(descriptor);
    }
    let checks = wgpu::ShaderRuntimeChecks { force_loop_bounding: false, ..wgpu::ShaderRuntimeChecks::checked() };
    // SAFETY: what is left out is the guard against loops without end. Those of our kernels count up to a field of `layer` or to a
    // constant, and nothing writes to their counters. Bounds stay checked.
    unsafe { device.create_shader_module_trusted(descriptor, checks) }
}

/// Binding 0 is the layer's uniform; storage bindings follow as the op lists them. No offset is dynamic: llvmpipe (25) would copy a step's
/// descriptors, into memory that it maps for them, in every run.
fn bind_group_layout(device: &wgpu::Device, op: OpKind) -> wgpu::BindGroupLayout {
    let entry = |binding, ty| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    };
    let storage = op.bindings().iter().map(|(_, binding, what)| {
        let read_only = *what != Binding::Output;
        entry(*binding, wgpu::BufferBindingType::Storage { read_only })
    });
    let entries: Vec<_> = std::iter::once(entry(0, wgpu::BufferBindingType::Uniform)).chain(storage).collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(op.name()), entries: &entries })
}

/// A storage buffer of weights, `bytes` whole vec4s of them. In a browser it is written, not mapped: where there is no memory to map,
/// wgpu's web backend panics before an error scope hears of it.
pub(crate) fn weights_buffer(device: &wgpu::Device, queue: &wgpu::Queue, label: &str, bytes: &[u8]) -> Result<wgpu::Buffer> {
    if !cfg!(target_arch = "wasm32") {
        return filled_buffer(device, label, bytes);
    }
    let buffer = storage_buffer(device, label, bytes.len(), false);
    queue.write_buffer(&buffer, 0, bytes);
    Ok(buffer)
}

/// A storage buffer that holds `bytes`.
pub(crate) fn filled_buffer(device: &wgpu::Device, label: &str, bytes: &[u8]) -> Result<wgpu::Buffer> {
    let buffer = storage_buffer(device, label, bytes.len(), true);
    let mut view = buffer.get_mapped_range_mut(..).map_err(|e| Error::Device(format!("a new buffer could not be mapped: {e}")))?;
    view.slice(..bytes.len()).copy_from_slice(bytes);
    drop(view);
    buffer.unmap();
    Ok(buffer)
}

fn storage_buffer(device: &wgpu::Device, label: &str, bytes: usize, mapped_at_creation: bool) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: (bytes as u64).next_multiple_of(16).max(16),
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation,
    })
}
