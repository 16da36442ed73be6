//! Timing commands on the device: by its timestamps where they tell the time, else by the host's clock.
//!
//! Timestamps are believed if they are there, are not zero, grow with the work, and agree with the host's clock.

use super::Clock;
use crate::gpu::Scope;
use crate::{Error, Result};
use std::time::Instant;

/// Times passes of one device.
#[derive(Debug)]
pub struct Stopwatch {
    device: wgpu::Device,
    queue: wgpu::Queue,
    clock: Clock,
    stamps: Option<Stamps>,
    /// An empty submit and the wait for it, in nanoseconds.
    empty_submit: f64,
    /// The least that one took.
    least_empty_submit: f64,
}

#[derive(Debug)]
struct Stamps {
    set: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    staging: wgpu::Buffer,
    period: f64,
    passes: u32,
}

/// Passes that one submit can have timestamps for.
const PASSES: u32 = 512;

/// Dispatches in one sample at the most: more would be a command buffer without bounds.
const MOST_REPEATS: u32 = 4096;

impl Stopwatch {
    /// A stopwatch on a device, with the better clock that it has.
    ///
    /// # Errors
    /// [`Error::Device`] if the device does not do its work.
    pub fn new(device: &wgpu::Device, queue: &wgpu::Queue) -> Result<Self> {
        let stamps = device.features().contains(wgpu::Features::TIMESTAMP_QUERY).then(|| Stamps::new(device, queue));
        let (device, queue) = (device.clone(), queue.clone());
        let mut watch = Self { device, queue, clock: Clock::Wall, stamps, empty_submit: 0.0, least_empty_submit: 0.0 };
        let mut empty: Vec<f64> = (0..9).map(|_| watch.wall(&mut |_| {})).collect::<Result<_>>()?;
        empty.sort_by(f64::total_cmp);
        (watch.empty_submit, watch.least_empty_submit) = (empty[empty.len() / 2], empty[0]);
        if watch.stamps.is_some() && watch.stamps_are_real()? {
            watch.clock = Clock::Timestamps;
        }
        Ok(watch)
    }

    /// The same with the host's clock.
    #[must_use]
    pub fn by_wall(self) -> Self {
        Self { clock: Clock::Wall, ..self }
    }

    /// Where its times come from.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// An empty submit and the wait for it, in nanoseconds.
    pub fn empty_submit(&self) -> f64 {
        self.empty_submit
    }

    /// Nanoseconds until a few bytes are in the host's memory: a submit that copies them, and the wait for their mapping.
    ///
    /// # Errors
    /// [`Error::Device`] if the device does not come back.
    pub fn read_back(&self) -> Result<f64> {
        use wgpu::BufferUsages as U;
        let buffer = |usage| {
            self.device.create_buffer(&wgpu::BufferDescriptor { label: Some("stopwatch"), size: 256, usage, mapped_at_creation: false })
        };
        let (from, to) = (buffer(U::COPY_SRC | U::COPY_DST), buffer(U::COPY_DST | U::MAP_READ));
        let mut times = Vec::new();
        for _ in 0..9 {
            let start = Instant::now();
            let mut encoder = self.device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(&from, 0, &to, 0, 256);
            self.queue.submit([encoder.finish()]);
            read(&self.device, &to, 256)?;
            times.push(start.elapsed().as_nanos() as f64);
        }
        times.sort_by(f64::total_cmp);
        Ok(times[times.len() / 2])
    }

    /// Nanoseconds of one pass with what `record` puts into it.
    ///
    /// # Errors
    /// [`Error::Device`] if the device does not come back.
    pub fn time(&self, record: &mut dyn FnMut(&mut wgpu::ComputePass<'_>)) -> Result<f64> {
        match self.clock {
            Clock::Timestamps => Ok(self.passes(1, &mut |_, pass| record(pass))?[0]),
            Clock::Wall => self.wall(record).map(|ns| self.work_of(ns)),
        }
    }

    /// How often a piece of work must be in a pass for that to take `least` nanoseconds; 4096 times at the most. `record` is
    /// called with that number.
    ///
    /// # Errors
    /// As [`Stopwatch::time`].
    pub(crate) fn repeats(&self, least: f64, record: &mut dyn FnMut(&mut wgpu::ComputePass<'_>, u32)) -> Result<u32> {
        let mut repeats = 1u32;
        loop {
            let mut time = || self.time(&mut |pass| record(pass, repeats));
            let mut ns = time()?;
            if ns >= least {
                ns = ns.min(time()?); // one alone may have met something else
            }
            if ns >= least || repeats >= MOST_REPEATS {
                return Ok(repeats);
            }
            let factor = if ns > 0.0 { (1.2 * least / ns).clamp(2.0, 16.0) } else { 16.0 };
            repeats = ((f64::from(repeats) * factor).ceil() as u32).min(MOST_REPEATS);
        }
    }

    /// Nanoseconds of each of `n` passes in one submit, by timestamps.
    ///
    /// # Errors
    /// [`Error::Device`] without timestamps, for more than 512 passes, or if the device does not come back.
    pub fn passes(&self, n: u32, record: &mut dyn FnMut(u32, &mut wgpu::ComputePass<'_>)) -> Result<Vec<f64>> {
        let stamps = self.stamps.as_ref().filter(|s| n <= s.passes);
        let stamps = stamps.ok_or_else(|| Error::Device(format!("no timestamps for {n} passes on this device")))?;
        let mut encoder = self.device.create_command_encoder(&Default::default());
        for i in 0..n {
            let writes = wgpu::ComputePassTimestampWrites {
                query_set: &stamps.set,
                beginning_of_pass_write_index: Some(2 * i),
                end_of_pass_write_index: Some(2 * i + 1),
            };
            let descriptor = wgpu::ComputePassDescriptor { label: Some("timed"), timestamp_writes: Some(writes) };
            record(i, &mut encoder.begin_compute_pass(&descriptor));
        }
        let bytes = u64::from(n) * 16;
        encoder.resolve_query_set(&stamps.set, 0..2 * n, &stamps.resolved, 0);
        encoder.copy_buffer_to_buffer(&stamps.resolved, 0, &stamps.staging, 0, bytes);
        self.queue.submit([encoder.finish()]);
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&read(&self.device, &stamps.staging, bytes)?);
        Ok(ticks.chunks_exact(2).map(|t| t[1].saturating_sub(t[0]) as f64 * stamps.period).collect())
    }

    /// Nanoseconds of a submit and the wait for it, by the host's clock.
    fn wall(&self, record: &mut dyn FnMut(&mut wgpu::ComputePass<'_>)) -> Result<f64> {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        record(&mut encoder.begin_compute_pass(&Default::default()));
        let commands = encoder.finish();
        let start = Instant::now();
        self.queue.submit([commands]);
        self.wait()?;
        Ok(start.elapsed().as_nanos() as f64)
    }

    /// The work's part of a submit by the host's clock. Taken off is the least that an empty submit took: what it takes
    /// typically is, on a machine that did other work just then, more than this whole submit.
    fn work_of(&self, wall: f64) -> f64 {
        let work = wall - self.least_empty_submit;
        if work > 0.0 { work } else { wall }
    }

    /// Waits for all that was submitted.
    ///
    /// # Errors
    /// [`Error::Device`] if the device does not come back.
    pub fn wait(&self) -> Result<()> {
        self.device.poll(wgpu::PollType::wait_indefinitely()).map(|_| ()).map_err(|e| Error::Device(e.to_string()))
    }

    fn stamps_are_real(&self) -> Result<bool> {
        let (pipeline, group) = busy(&self.device)?;
        let record = |repeats: u32, pass: &mut wgpu::ComputePass<'_>| {
            pass.set_pipeline(&pipeline);
            pass.set_bind_group(0, &group, &[]);
            (0..repeats).for_each(|_| pass.dispatch_workgroups(8, 1, 1));
        };
        let stamped = |repeats: u32| -> Result<f64> { Ok(self.passes(1, &mut |_, pass| record(repeats, pass))?[0]) };
        stamped(16)?; // the device may have to wake
        let (mut few, mut many, mut wall) = (f64::INFINITY, f64::INFINITY, f64::INFINITY);
        // The least of three: one may have met something else.
        for _ in 0..3 {
            few = few.min(stamped(2)?);
            many = many.min(stamped(16)?);
            wall = wall.min(self.work_of(self.wall(&mut |pass| record(16, pass))?));
        }
        // Wide margins: others may be using the machine.
        let real = few > 0.0 && many > 3.0 * few && many < 2.0 * wall + 1e5 && many > 0.1 * wall;
        tracing::debug!("timestamps: 2 dispatches {few} ns, 16 dispatches {many} ns, by the host {wall} ns: real {real}");
        Ok(real)
    }
}

impl Stamps {
    fn new(device: &wgpu::Device, queue: &wgpu::Queue) -> Self {
        use wgpu::BufferUsages as U;
        let count = 2 * PASSES;
        let set = device.create_query_set(&wgpu::QuerySetDescriptor { label: Some("stopwatch"), ty: wgpu::QueryType::Timestamp, count });
        let buffer = |usage| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("stopwatch"),
                size: u64::from(count) * 8,
                usage,
                mapped_at_creation: false,
            })
        };
        let (resolved, staging) = (buffer(U::QUERY_RESOLVE | U::COPY_SRC), buffer(U::COPY_DST | U::MAP_READ));
        Self { set, resolved, staging, period: f64::from(queue.get_timestamp_period()), passes: PASSES }
    }
}

/// A kernel of known work and its bind group.
fn busy(device: &wgpu::Device) -> Result<(wgpu::ComputePipeline, wgpu::BindGroup)> {
    let scope = Scope::open(device);
    let source = wgpu::ShaderSource::Wgsl(include_str!("../../shaders/measure/busy.wgsl").into());
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some("busy"), source });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("busy"),
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: Default::default(),
        cache: None,
    });
    let values = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("busy"),
        size: 8 * 64 * 4,
        usage: wgpu::BufferUsages::STORAGE,
        mapped_at_creation: false,
    });
    let entries = [wgpu::BindGroupEntry { binding: 0, resource: values.as_entire_binding() }];
    let layout = pipeline.get_bind_group_layout(0);
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor { label: Some("busy"), layout: &layout, entries: &entries });
    pollster::block_on(scope.close())?;
    Ok((pipeline, group))
}

/// The first `bytes` of a buffer that can be mapped, waiting.
pub(super) fn read(device: &wgpu::Device, buffer: &wgpu::Buffer, bytes: u64) -> Result<Vec<u8>> {
    let (sender, receiver) = std::sync::mpsc::channel();
    buffer.map_async(wgpu::MapMode::Read, 0..bytes, move |mapped| {
        let _ = sender.send(mapped);
    });
    device.poll(wgpu::PollType::wait_indefinitely()).map_err(|e| Error::Device(e.to_string()))?;
    let failed = |why: String| Error::Device(format!("a measurement could not be read back: {why}"));
    // Another thread's poll may be the one that calls back.
    receiver.recv().map_err(|e| failed(e.to_string()))?.map_err(|e| failed(e.to_string()))?;
    let values = buffer.get_mapped_range(0..bytes).map_err(|e| failed(e.to_string()))?.to_vec();
    buffer.unmap();
    Ok(values)
}
