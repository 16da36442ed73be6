//! One kernel on one problem: compiled, bound, checked, and ready to be dispatched.

use super::problem::{Data, Problem};
use super::stopwatch::read;
use super::{CandidateResult, Counting, Verdict};
use crate::engine::Engine;
use crate::engine::pipelines::{Pipeline, filled_buffer};
use crate::gpu::{DeviceProfile, Scope};
use crate::graph::Shape;
use crate::kernel::{Binding, Layer, Precision, Variant};
use crate::{Error, Result};
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

/// Bytes before and behind an output that a kernel must leave alone: as many as the output has, within limits. Those behind
/// are inside the binding: what is outside, the driver's own bounds checks would hide. Those before it are outside, as no
/// index leads there; only a driver that checks badly would.
const BEFORE: u64 = 64 << 10;
const BEHIND: std::ops::RangeInclusive<u64> = 64 << 10..=4 << 20;
/// What offsets and sizes of bindings are multiples of; no device asks for more.
const ALIGNMENT: u64 = 256;
/// What outputs hold before a run; a NaN in f32 and in f16.
const UNTOUCHED: [u8; 4] = [0xad, 0x7e, 0xad, 0x7f];

/// Buffers of a problem that its candidates share.
#[derive(Debug)]
pub(super) struct Bench<'a> {
    engine: &'a Engine,
    pub problem: &'a Problem,
    precision: Precision,
    data: Vec<Data>,
    /// Input and residual for each set of data.
    inputs: Vec<[wgpu::Buffer; 2]>,
    output: wgpu::Buffer,
    staging: wgpu::Buffer,
    /// Bytes before the output, of it, and behind it.
    parts: [u64; 3],
    /// Weights by expression and packing.
    weights: HashMap<(String, crate::kernel::Packing), wgpu::Buffer>,
}

/// A kernel that can be dispatched.
#[derive(Debug)]
pub(super) struct Candidate {
    pipeline: Pipeline,
    /// One for each set of data.
    groups: Vec<wgpu::BindGroup>,
    pub workgroups: [u32; 3],
}

impl Candidate {
    pub fn dispatch(&self, pass: &mut wgpu::ComputePass<'_>, repeats: u32) {
        self.dispatch_on(pass, repeats, 0);
    }

    fn dispatch_on(&self, pass: &mut wgpu::ComputePass<'_>, repeats: u32, data: usize) {
        let [x, y, z] = self.workgroups;
        pass.set_pipeline(&self.pipeline.pipeline);
        pass.set_bind_group(0, &self.groups[data], &[]);
        (0..repeats).for_each(|_| pass.dispatch_workgroups(x, y, z));
    }
}

impl<'a> Bench<'a> {
    /// Makes the problem's buffers, with `sets` different sets of data; with none there is one that nothing is held against.
    pub fn new(engine: &'a Engine, problem: &'a Problem, precision: Precision, sets: u64) -> Result<Self> {
        let device = engine.device();
        let data: Vec<Data> = match sets {
            0 => vec![problem.inputs(1)],
            _ => (1..=sets).map(|seed| problem.data(seed)).collect::<Result<_>>()?,
        };
        let case = &problem.case;
        let parts = parts(padded_bytes(case.batch, case.output, precision) as u64, engine.profile());
        let scope = Scope::open(device);
        let inputs = data.iter().map(|d| {
            let input = filled_buffer(device, "input", &padded(&d.input, case.input.channels, precision))?;
            let residual = d
                .residual
                .as_ref()
                .map_or(Ok(input.clone()), |r| filled_buffer(device, "residual", &padded(r, case.output.channels, precision)))?;
            Ok([input, residual])
        });
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        use wgpu::BufferUsages as U;
        let buffer = |label, usage| {
            let size = parts.iter().sum();
            device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
        };
        let (output, staging) = (buffer("output", U::STORAGE | U::COPY_SRC | U::COPY_DST), buffer("read-back", U::MAP_READ | U::COPY_DST));
        pollster::block_on(scope.close())?;
        Ok(Self { engine, problem, precision, data, inputs, output, staging, parts, weights: HashMap::new() })
    }

    /// Compiles a kernel and holds it against the reference; `None` beside a result that says why there is nothing to time.
    ///
    /// # Errors
    /// [`Error::DeviceLost`]: what a candidate does wrong otherwise is its verdict.
    pub fn admit(&mut self, variant: &Variant, runs: u32, tolerance: f64) -> Result<(CandidateResult, Option<Candidate>)> {
        let workgroups = variant.dispatch(&self.problem.case, self.engine.profile()).workgroups;
        let mut result = CandidateResult::new(variant, workgroups, Verdict::Right);
        let candidate = self.compile(variant).and_then(|(candidate, ns)| {
            result.compile = Some(ns);
            let (verdict, error) = self.check(&candidate, runs, tolerance)?;
            (result.verdict, result.error) = (verdict, error);
            Ok(candidate)
        });
        match candidate {
            Ok(candidate) => Ok((result, Some(candidate))),
            Err(error) => match self.engine.failure(error) {
                Error::DeviceLost(why) => Err(Error::DeviceLost(why)),
                error => {
                    result.verdict = Verdict::Failed(error.to_string());
                    Ok((result, None))
                }
            },
        }
    }

    /// What becomes of a kernel whose writes behind its binding land at the binding's end, which a driver would have dropped.
    ///
    /// # Errors
    /// Where the copy does not run.
    pub fn confine(&mut self, copy: &Variant) -> Result<Verdict> {
        let (candidate, _) = self.compile(copy)?;
        let outside = self.outside(&self.run(&candidate, 0, UNTOUCHED)?).is_some();
        Ok(if outside { Verdict::OutOfBounds("it writes far behind its output".into()) } else { Verdict::Right })
    }

    /// The kernel, and the nanoseconds until its first dispatch was done.
    pub fn compile(&mut self, variant: &Variant) -> Result<(Candidate, f64)> {
        let (case, profile) = (&self.problem.case, self.engine.profile());
        variant
            .check(case, self.precision, profile)
            .map_err(|why| Error::Kernel { name: variant.name.to_string(), message: why.to_string() })?;
        let geometry = variant.dispatch(case, profile);
        let device = self.engine.device();
        let (weights, biases) = self.problem.weights(variant.packing);
        for weight in weights.iter().chain(&biases) {
            let key = (weight.param.to_string(), weight.packing);
            if !self.weights.contains_key(&key) {
                self.weights.insert(key, self.problem.upload(device, weight, self.precision)?);
            }
        }
        let uniforms = uniform(device, &Layer::new(case, &geometry))?;
        let start = Instant::now();
        let pipeline = pollster::block_on(self.engine.compile(variant, self.precision))?;
        let scope = Scope::open(device);
        let weight = |weights: &[crate::plan::Weight], i: usize, name: &str| {
            let found = weights.get(i).and_then(|w| self.weights.get(&(w.param.to_string(), w.packing)));
            let found = found.map(wgpu::Buffer::as_entire_binding);
            found.ok_or_else(|| Error::Kernel { name: variant.name.to_string(), message: format!("`{name}` has no weights") })
        };
        let groups = self.inputs.iter().map(|[input, residual]| {
            pipeline.bind(device, &variant.name, uniforms.as_entire_buffer_binding(), |name, _, what| match what {
                Binding::Input => Ok(input.as_entire_binding()),
                Binding::Output => Ok(self.output()),
                Binding::Residual => Ok(residual.as_entire_binding()),
                Binding::Weights(i) => weight(&weights, i, name),
                Binding::Bias(i) => weight(&biases, i, name),
            })
        });
        let groups = groups.collect::<Result<Vec<_>>>()?;
        let candidate = Candidate { pipeline, groups, workgroups: geometry.workgroups };
        let mut encoder = device.create_command_encoder(&Default::default());
        candidate.dispatch(&mut encoder.begin_compute_pass(&Default::default()), 1);
        self.engine.queue().submit([encoder.finish()]);
        let caught = scope.close();
        device.poll(wgpu::PollType::wait_indefinitely()).map_err(|e| Error::Device(e.to_string()))?;
        pollster::block_on(caught)?;
        Ok((candidate, start.elapsed().as_nanos() as f64))
    }

    /// Holds `runs` runs against the reference, on each set of data in turn, and those on the same data against each other.
    fn check(&self, candidate: &Candidate, runs: u32, tolerance: f64) -> Result<(Verdict, Option<f64>)> {
        let mut first: Vec<Option<Vec<u8>>> = vec![None; self.data.len()];
        let mut worst: Option<f64> = None;
        for run in 0..runs.max(1) as usize {
            let set = run % self.data.len();
            let bytes = self.run(candidate, set, UNTOUCHED)?;
            if let Some(verdict) = self.outside(&bytes) {
                return Ok((verdict, worst));
            }
            let output = self.inside(&bytes);
            if let Some(before) = &first[set] {
                if before != output {
                    return Ok((Verdict::Unsteady("two runs on the same data give different values".into()), worst));
                }
                continue;
            }
            let difference = self.compare(output, &self.data[set].expected);
            worst = Some(worst.unwrap_or(0.0).max(difference.error));
            if let Some(verdict) = difference.verdict(tolerance, &self.problem.case) {
                return Ok((verdict, worst));
            }
            first[set] = Some(output.to_vec());
        }
        Ok((Verdict::Right, worst))
    }

    /// The output and the bytes behind it, as kernels get them.
    fn output(&self) -> wgpu::BindingResource<'_> {
        let [before, output, behind] = self.parts;
        wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer: &self.output, offset: before, size: (output + behind).try_into().ok() })
    }

    /// The output's bytes of a run's.
    fn inside<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        let [before, output, _] = self.parts.map(|n| n as usize);
        &bytes[before..before + output]
    }

    /// Whether a run wrote before or behind the output.
    fn outside(&self, bytes: &[u8]) -> Option<Verdict> {
        let [before, output, _] = self.parts.map(|n| n as usize);
        let written = |bytes: &[u8]| bytes.chunks_exact(4).any(|word| word != UNTOUCHED);
        let place = if written(&bytes[..before]) {
            "before"
        } else if written(&bytes[before + output..]) {
            "behind"
        } else {
            return None;
        };
        Some(Verdict::OutOfBounds(format!("it writes {place} its output")))
    }

    /// Bytes that a kernel moves, by buffer.
    pub fn count(&mut self, counting: &Counting) -> Result<BTreeMap<String, u64>> {
        let (candidate, _) = self.compile(&counting.variant)?;
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&self.run(&candidate, 0, [0; 4])?[self.parts[0] as usize..]);
        let bytes = words.chunks_exact(2).map(|w| u64::from(w[0]) + 256 * u64::from(w[1]));
        Ok(counting.names.iter().cloned().zip(bytes).filter(|(_, bytes)| *bytes > 0).collect())
    }

    /// One run on memory full of `fill`: what is before the output, the output, and what is behind it.
    fn run(&self, candidate: &Candidate, set: usize, fill: [u8; 4]) -> Result<Vec<u8>> {
        let (device, queue) = (self.engine.device(), self.engine.queue());
        let bytes = self.parts.iter().sum();
        let untouched: Vec<u8> = fill.into_iter().cycle().take(bytes as usize).collect();
        let scope = Scope::open(device);
        queue.write_buffer(&self.output, 0, &untouched);
        let mut encoder = device.create_command_encoder(&Default::default());
        candidate.dispatch_on(&mut encoder.begin_compute_pass(&Default::default()), 1, set);
        encoder.copy_buffer_to_buffer(&self.output, 0, &self.staging, 0, bytes);
        queue.submit([encoder.finish()]);
        let caught = scope.close();
        let values = read(device, &self.staging, bytes);
        pollster::block_on(caught)?;
        values
    }

    fn compare(&self, output: &[u8], expected: &[f32]) -> Difference {
        let shape = self.problem.case.output;
        let (channels, padded) = (shape.channels as usize, shape.c4() as usize * 4);
        let value = |i: usize| match self.precision {
            Precision::F32 => f32::from_le_bytes([output[4 * i], output[4 * i + 1], output[4 * i + 2], output[4 * i + 3]]),
            _ => half::f16::from_le_bytes([output[2 * i], output[2 * i + 1]]).to_f32(),
        };
        let scale = expected.iter().fold(0f32, |m, v| m.max(v.abs())).max(1e-3);
        let mut difference = Difference { error: 0.0, at: 0, found: 0.0, expected: 0.0, dirty: None };
        for (pixel, row) in expected.chunks_exact(channels).enumerate() {
            for (channel, expected) in row.iter().enumerate() {
                let found = value(pixel * padded + channel);
                let error = f64::from((found - expected).abs() / scale);
                let error = if error.is_nan() { f64::INFINITY } else { error };
                if error > difference.error {
                    difference = Difference { error, at: pixel * channels + channel, found, expected: *expected, ..difference };
                }
            }
            let lane = (channels..padded).find(|lane| value(pixel * padded + lane) != 0.0);
            difference.dirty = difference.dirty.or(lane.map(|_| pixel));
        }
        difference
    }
}

/// The largest difference of a run.
struct Difference {
    /// In parts of the reference's largest value.
    error: f64,
    at: usize,
    found: f32,
    expected: f32,
    /// A pixel whose padding channels are not zero.
    dirty: Option<usize>,
}

impl Difference {
    fn verdict(&self, tolerance: f64, case: &crate::kernel::Case) -> Option<Verdict> {
        let (channels, width, pixels) = (case.output.channels as usize, case.output.width as usize, case.output.pixels() as usize);
        let place = |pixel: usize| {
            let (picture, inside) = (pixel / pixels, pixel % pixels);
            format!("picture {picture}, row {}, column {}", inside / width, inside % width)
        };
        if self.error > tolerance {
            let Self { at, found, expected, .. } = self;
            let found = if found.is_nan() { "nothing (or NaN)".into() } else { found.to_string() };
            let place = place(at / channels);
            return Some(Verdict::Differs(format!("at {place}, channel {}: {found} where {expected} is right", at % channels)));
        }
        let dirty = self.dirty?;
        Some(Verdict::OutOfBounds(format!("the padding channels are not zero at {}", place(dirty))))
    }
}

/// Bytes of an activation as the kernels read it.
pub(super) fn padded_bytes(batch: u32, shape: Shape, precision: Precision) -> u128 {
    let pixels = u128::from(batch) * u128::from(shape.height) * u128::from(shape.width);
    pixels * u128::from(shape.c4()) * u128::from(4 * precision.bytes())
}

/// Bytes before an output, of it, and behind it: fewer than wished for where the device's limits leave no more.
fn parts(output: u64, profile: &DeviceProfile) -> [u64; 3] {
    let within = |bytes: u64, room: u64| bytes.min(room) / ALIGNMENT * ALIGNMENT;
    let binding = profile.max_storage_binding.min(profile.max_buffer_size);
    let behind = within(output.clamp(*BEHIND.start(), *BEHIND.end()), binding.saturating_sub(output));
    let before = within(BEFORE, profile.max_buffer_size.saturating_sub(output + behind));
    [before, output, behind]
}

/// Values as the kernels read them.
fn padded(values: &[f32], channels: u32, precision: Precision) -> Vec<u8> {
    let shape = crate::kernel::WeightShape::Depthwise { taps: values.len() as u32 / channels.max(1), channels };
    crate::kernel::pack(values, shape, crate::kernel::Packing::Rows, precision)
}

fn uniform(device: &wgpu::Device, layer: &Layer) -> Result<wgpu::Buffer> {
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("layer"),
        size: size_of::<Layer>() as u64,
        usage: wgpu::BufferUsages::UNIFORM,
        mapped_at_creation: true,
    });
    let mut view = buffer.get_mapped_range_mut(..).map_err(|e| Error::Device(format!("a new buffer could not be mapped: {e}")))?;
    view.slice(..).copy_from_slice(bytemuck::bytes_of(layer));
    drop(view);
    buffer.unmap();
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_as_large_as_the_output_within_limits() {
        let profile = DeviceProfile { max_storage_binding: 128 << 20, max_buffer_size: 256 << 20, ..DeviceProfile::desktop() };
        for (output, before, behind) in [(48, 64 << 10, 64 << 10), (1 << 20, 64 << 10, 1 << 20), (32 << 20, 64 << 10, 4 << 20)] {
            assert_eq!(parts(output, &profile), [before, output, behind]);
        }
        // Where the device has no room for more.
        let full = 128 << 20;
        assert_eq!(parts(full, &profile), [64 << 10, full, 0]);
        assert_eq!(parts(full - 400, &profile), [64 << 10, full - 400, 256]);
        let narrow = DeviceProfile { max_buffer_size: full, ..profile };
        assert_eq!(parts(full, &narrow), [0, full, 0]);
    }
}
