//! Small kernels of ours that ask an adapter for its best, one thing each.

use crate::engine::Engine;
use crate::gpu::Scope;
use crate::kernel::{Precision, specialise};
use crate::measure::Stopwatch;
use crate::{Error, Result};
use std::time::{Duration, Instant};

const FMA: &str = include_str!("../../shaders/measure/fma.wgsl");
const STREAM: &str = include_str!("../../shaders/measure/stream.wgsl");
const WORKGROUP: &str = include_str!("../../shaders/measure/workgroup.wgsl");

/// No more samples are taken after this time.
const ENOUGH: Duration = Duration::from_millis(100);
/// Invocations of a probe's workgroup.
const THREADS: f64 = 64.0;
/// Steps of `fma` and reads of `workgroup`, a thread.
const STEPS: f64 = 256.0;

/// A kernel with its buffers.
struct Probe<'a> {
    watch: &'a Stopwatch,
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
}

impl<'a> Probe<'a> {
    fn new(engine: &Engine, watch: &'a Stopwatch, source: &str, entry: &str, data: Option<(u64, f64)>) -> Result<Self> {
        let device = engine.device();
        let scope = Scope::open(device);
        let source = wgpu::ShaderSource::Wgsl(source.into());
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some("roof"), source });
        let constants: Vec<(&str, f64)> = data.iter().map(|(_, span)| ("SPAN", *span)).collect();
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("roof"),
            layout: None,
            module: &module,
            entry_point: Some(entry),
            compilation_options: wgpu::PipelineCompilationOptions { constants: &constants, ..Default::default() },
            cache: None,
        });
        let buffer = |size| {
            let usage = wgpu::BufferUsages::STORAGE;
            device.create_buffer(&wgpu::BufferDescriptor { label: Some("roof"), size, usage, mapped_at_creation: false })
        };
        let (values, data) = (buffer(4096 * 16), data.map(|(bytes, _)| buffer(bytes)));
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: values.as_entire_binding() }];
        entries.extend(data.iter().map(|data| wgpu::BindGroupEntry { binding: 1, resource: data.as_entire_binding() }));
        let layout = pipeline.get_bind_group_layout(0);
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor { label: Some("roof"), layout: &layout, entries: &entries });
        pollster::block_on(scope.close())?;
        Ok(Self { watch, pipeline, group })
    }

    fn record(&self, pass: &mut wgpu::ComputePass<'_>, groups: u32, repeats: u32) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        (0..repeats).for_each(|_| pass.dispatch_workgroups(groups, 1, 1));
    }

    /// The best nanoseconds of a dispatch out of several samples of some milliseconds.
    fn ns(&self, groups: u32) -> Result<f64> {
        let repeats = self.watch.repeats(1e6, &mut |pass, repeats| self.record(pass, groups, repeats))?;
        let mut best = f64::INFINITY;
        // Many short samples: between those of others that use the machine some are undisturbed.
        let start = Instant::now();
        for sample in 0..30 {
            let ns = self.watch.time(&mut |pass| self.record(pass, groups, repeats))?;
            best = best.min(ns / f64::from(repeats));
            if sample >= 4 && start.elapsed() > ENOUGH {
                break;
            }
        }
        if best > 0.0 { Ok(best) } else { Err(Error::Device("the roof's kernels took no time; its clock cannot be used".into())) }
    }

    /// The best rate over numbers of workgroups, in billions a second; `amount` is a workgroup's.
    fn rate(&self, amount: f64) -> Result<f64> {
        let mut best = 0f64;
        for groups in [64, 512, 4096, 32_768] {
            let ns = self.ns(groups)?;
            best = best.max(f64::from(groups) * amount / ns);
            // More workgroups would take longer than they could tell.
            if ns > 5e6 {
                break;
            }
        }
        Ok(best)
    }
}

/// Billions of operations a second, two for a multiply-add.
pub(super) fn arithmetic(engine: &Engine, watch: &Stopwatch, precision: Precision) -> Result<f64> {
    let mut best = 0f64;
    // Multiply-adds of vec4 a step.
    for (entry, each) in [("narrow", 2.0), ("wide", 8.0), ("tile", 6.0 * 4.0)] {
        let probe = Probe::new(engine, watch, &specialise(FMA, precision), entry, None)?;
        best = best.max(probe.rate(THREADS * STEPS * each * 4.0 * 2.0)?);
    }
    Ok(best)
}

/// Billions of bytes a second read from a buffer of `bytes`, a power of two.
pub(super) fn reads(engine: &Engine, watch: &Stopwatch, bytes: u64) -> Result<f64> {
    // A vec4 of 32 bits, and of 64 where there are such values: what moves them one by one moves twice as much so.
    let mut forms = vec![(STREAM.to_string(), 16)];
    if engine.profile().int64 {
        forms.push((wide_stream(), 32));
    }
    let mut best = 0f64;
    for (source, size) in &forms {
        // So many that each value is read once, but not fewer than fill the device.
        let once = u32::try_from(bytes / (64 * 64 * size)).unwrap_or(65_535).min(65_535);
        let groups = once.max(1024);
        for span in [8.0, 32.0, 64.0] {
            let probe = Probe::new(engine, watch, source, "main", Some((bytes, span)))?;
            best = best.max(f64::from(groups) * THREADS * 64.0 * *size as f64 / probe.ns(groups)?);
        }
    }
    Ok(best)
}

/// The same reads by 64 bits; both halves of a sum count, so that no compiler reads one alone.
fn wide_stream() -> String {
    STREAM
        .replace("data: array<vec4<f32>>", "data: array<vec4<u64>>")
        .replace("var a = vec4<f32>(0.0);", "var a = vec4<u64>();")
        .replace("= a + b + c + d;", "= vec4<f32>(vec4<u32>((a + b + c + d) ^ ((a + b + c + d) >> vec4<u32>(32u))));")
}

/// Billions of bytes a second read from workgroup memory.
pub(super) fn workgroup_reads(engine: &Engine, watch: &Stopwatch) -> Result<f64> {
    Probe::new(engine, watch, WORKGROUP, "reads", None)?.rate(THREADS * STEPS * 16.0)
}

/// Nanoseconds of a barrier of one workgroup of 64, where an empty dispatch takes `empty`.
pub(super) fn barrier(engine: &Engine, watch: &Stopwatch, empty: f64) -> Result<f64> {
    let ns = Probe::new(engine, watch, WORKGROUP, "barriers", None)?.ns(1)?;
    Ok((ns - empty).max(0.0) / STEPS)
}

/// Nanoseconds of a dispatch of one workgroup that does nothing, behind another.
pub(super) fn dispatch(engine: &Engine, watch: &Stopwatch) -> Result<f64> {
    Probe::new(engine, watch, WORKGROUP, "empty", None)?.ns(1)
}
