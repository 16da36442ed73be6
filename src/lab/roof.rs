//! What an adapter can do at the most, measured: the roof that every kernel is held against.

use crate::engine::Engine;
use crate::gpu::Scope;
use crate::measure::{Clock, Stopwatch};
use crate::tune::DeviceKey;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The limits of an adapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Roof {
    /// The adapter.
    pub device: DeviceKey,
    /// Where the times come from.
    pub clock: Clock,
    /// Billions of f32 operations a second, two for a multiply-add.
    pub gflops: f64,
    /// Billions of bytes a second read from a buffer that fits the caches.
    pub gbytes_cached: f64,
    /// Billions of bytes a second read from one that does not.
    pub gbytes_memory: f64,
    /// Nanoseconds of a dispatch that does nothing, behind another.
    pub dispatch: f64,
    /// Nanoseconds of an empty submit and the wait for it.
    pub submit: f64,
    /// Lanes of a subgroup, where the device guarantees one number.
    pub subgroup: Option<u32>,
}

/// A kernel against the roof.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Billions of operations a second.
    pub gflops: f64,
    /// Billions of bytes a second of those that it must move.
    pub gbytes: f64,
    /// Share of what the adapter can do at best: the time that arithmetic or memory alone would take, whichever is longer,
    /// in parts of the time that it took.
    pub share: f64,
    /// Whether memory is the nearer limit.
    pub memory_bound: bool,
    /// The share is above 1 by more than noise: the bytes came from nearer than memory, or the roof was measured badly.
    pub implausible: bool,
}

impl Roof {
    /// Measures it; takes a few seconds on a software adapter.
    ///
    /// # Errors
    /// [`Error::Device`] and [`Error::OutOfMemory`] of the device.
    pub fn measure(engine: &Engine, watch: &Stopwatch) -> Result<Self> {
        let profile = engine.profile();
        let fma = Probe::new(engine, include_str!("../../shaders/measure/fma.wgsl"), 4096, None)?;
        let operations = |groups: u32| f64::from(groups) * 64.0 * 256.0 * 8.0 * 4.0 * 2.0;
        let gflops = fma.rate(watch, 4096, operations)?;
        let stream = |bytes: u64| -> Result<f64> {
            let groups = u32::try_from(bytes / (16 * 16 * 64)).unwrap_or(65_535).clamp(1, 65_535);
            let probe = Probe::new(engine, include_str!("../../shaders/measure/stream.wgsl"), 4096, Some(bytes))?;
            let seconds = probe.seconds(watch, groups)?;
            Ok(f64::from(groups) * 16.0 * 16.0 * 64.0 / seconds / 1e9)
        };
        let large = (256 << 20).min(profile.max_storage_binding).min(profile.max_buffer_size);
        let empty = watch.time(&mut |pass| fma.dispatch(pass, 0, 512))? / 512.0;
        Ok(Self {
            device: DeviceKey::of(profile),
            clock: watch.clock(),
            gflops,
            gbytes_cached: stream(256 << 10)?,
            gbytes_memory: stream(large)?,
            dispatch: empty,
            submit: watch.empty_submit(),
            subgroup: profile.subgroup_size,
        })
    }

    /// Where a kernel stands that does `operations` and must move `bytes` in `ns`.
    pub fn standing(&self, operations: f64, bytes: f64, ns: f64) -> Standing {
        let (gflops, gbytes) = (operations / ns, bytes / ns);
        // Small layers live in the caches: the faster of the two is the roof.
        let memory = gbytes / self.gbytes_cached.max(self.gbytes_memory);
        let arithmetic = gflops / self.gflops;
        let share = memory.max(arithmetic);
        Standing { gflops, gbytes, share, memory_bound: memory > arithmetic, implausible: share > 1.1 }
    }
}

/// A small kernel of ours with its buffers.
struct Probe {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
}

impl Probe {
    fn new(engine: &Engine, source: &str, values: u64, data: Option<u64>) -> Result<Self> {
        let device = engine.device();
        let scope = Scope::open(device);
        let source = wgpu::ShaderSource::Wgsl(source.into());
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some("roof"), source });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("roof"),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: Default::default(),
            cache: None,
        });
        let buffer = |size| {
            let usage = wgpu::BufferUsages::STORAGE;
            device.create_buffer(&wgpu::BufferDescriptor { label: Some("roof"), size, usage, mapped_at_creation: false })
        };
        let (values, data) = (buffer(values * 16), data.map(buffer));
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: values.as_entire_binding() }];
        entries.extend(data.iter().map(|data| wgpu::BindGroupEntry { binding: 1, resource: data.as_entire_binding() }));
        let layout = pipeline.get_bind_group_layout(0);
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor { label: Some("roof"), layout: &layout, entries: &entries });
        pollster::block_on(scope.close())?;
        Ok(Self { pipeline, group })
    }

    fn dispatch(&self, pass: &mut wgpu::ComputePass<'_>, groups: u32, repeats: u32) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        (0..repeats).for_each(|_| pass.dispatch_workgroups(groups, 1, 1));
    }

    /// The best seconds of a dispatch out of several samples of some milliseconds.
    fn seconds(&self, watch: &Stopwatch, groups: u32) -> Result<f64> {
        let time = |repeats: u32| watch.time(&mut |pass| self.dispatch(pass, groups, repeats));
        let mut repeats = 1u32;
        while repeats < 1024 && time(repeats)? < 4e6 {
            repeats *= 2;
        }
        let mut best = f64::INFINITY;
        for _ in 0..7 {
            best = best.min(time(repeats)? / f64::from(repeats));
        }
        if best > 0.0 { Ok(best / 1e9) } else { Err(Error::Device("the roof's kernels took no time; its clock cannot be used".into())) }
    }

    /// The best rate over numbers of workgroups up to `most`, in billions a second.
    fn rate(&self, watch: &Stopwatch, most: u32, amount: impl Fn(u32) -> f64) -> Result<f64> {
        let mut best = 0f64;
        for groups in [64, 512, most] {
            let seconds = self.seconds(watch, groups)?;
            best = best.max(amount(groups) / seconds / 1e9);
            if seconds > 0.1 {
                break;
            }
        }
        Ok(best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_limit_counts() {
        let device = DeviceKey::default();
        let (clock, subgroup) = (Clock::Wall, None);
        let roof = Roof { device, clock, gflops: 100.0, gbytes_cached: 50.0, gbytes_memory: 10.0, dispatch: 1.0, submit: 1.0, subgroup };
        let standing = roof.standing(5e4, 5e3, 1e3);
        assert_eq!((standing.gflops, standing.gbytes, standing.share, standing.memory_bound), (50.0, 5.0, 0.5, false));
        assert!(roof.standing(1.0, 1e6, 1e3).implausible);
    }
}
