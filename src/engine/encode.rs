//! Recording an inference into an encoder: whole, or in slices over several encoders.

use super::pending::Reading;
use super::place::Place;
use super::program::Pass;
use super::{Input, Pending, Session};
use crate::{Error, Result};
use std::sync::Arc;

/// An inference that is recorded slice by slice; until it is done or dropped it holds the session's activations, and
/// nothing else can be recorded.
#[derive(Debug)]
#[must_use = "dropping it abandons the inference"]
pub struct Sliced {
    pending: Pending,
    place: usize,
    next: usize,
    steps: usize,
    read_back: bool,
    _lease: Arc<()>,
}

impl Sliced {
    /// Whether every step is recorded.
    pub fn is_complete(&self) -> bool {
        self.next == self.steps
    }
    /// Share of the steps that is recorded, 0 to 1.
    pub fn progress(&self) -> f32 {
        self.next as f32 / self.steps.max(1) as f32
    }
    /// The inference to wait for, once every slice is recorded; the encoders must be submitted in order.
    ///
    /// # Errors
    /// [`Error::Input`] if steps are missing.
    pub fn finish(self) -> Result<Pending> {
        if self.is_complete() {
            return Ok(self.pending);
        }
        Err(Error::Input(format!("{} of {} steps are recorded; call encode_slice until it says that it is done", self.next, self.steps)))
    }
}

/// A network that is recorded, and not submitted.
#[derive(Debug)]
pub(super) struct Recorded {
    commands: wgpu::CommandBuffer,
    place: usize,
    pending: Pending,
}

impl Session {
    /// Records one inference into `encoder`: preprocessing, the network, and the read-back of its outputs. Where the ring is
    /// full it polls the device, without waiting, for a place whose [`Pending`] was dropped.
    ///
    /// # Errors
    /// [`Error::Busy`] if the ring is full or a sliced inference holds the activations, [`Error::Input`] for a wrong shape
    /// or batch.
    pub fn encode(&mut self, encoder: &mut wgpu::CommandEncoder, input: Input<'_>) -> Result<Pending> {
        let mut whole = self.begin(encoder, input)?;
        self.encode_slice(&mut whole, encoder, f64::INFINITY)?;
        whole.finish()
    }

    /// As [`Session::encode`], leaving the outputs on the device: see [`Pending::buffer`] and [`Pending::layout`].
    ///
    /// # Errors
    /// As [`Session::encode`].
    pub fn encode_on_device(&mut self, encoder: &mut wgpu::CommandEncoder, input: Input<'_>) -> Result<Pending> {
        let mut whole = self.begin(encoder, input)?;
        whole.read_back = false;
        self.encode_slice(&mut whole, encoder, f64::INFINITY)?;
        whole.finish()
    }

    /// Begins an inference that is recorded in slices: records its preprocessing.
    ///
    /// # Errors
    /// As [`Session::encode`].
    pub fn begin(&mut self, encoder: &mut wgpu::CommandEncoder, input: Input<'_>) -> Result<Sliced> {
        self.check(&input)?;
        let sliced = self.claim(input.batch() as u32)?;
        self.write_input(encoder, sliced.place, input)?;
        Ok(sliced)
    }

    /// Takes a place of the ring for an inference whose input is not recorded yet.
    fn claim(&mut self, batch: u32) -> Result<Sliced> {
        self.check_free()?;
        let place = self.free_place().ok_or(Error::Busy(self.places.len()))?;
        let pending = Pending {
            engine: self.engine.clone(),
            place: self.places[place].clone(),
            reading: Reading {
                layout: self.layout.clone(),
                batch,
                precision: self.program.plan.precision,
                loss: self.engine.shared.loss.clone(),
            },
            done: false,
            handed_on: false,
            #[cfg(not(target_arch = "wasm32"))]
            awaited: None,
        };
        self.write_layers(place, batch);
        let lease = Arc::new(());
        self.lease = Arc::downgrade(&lease);
        let plan = &self.program.plan;
        let steps = plan.steps.len() * plan.passes(batch) as usize;
        Ok(Sliced { pending, place, next: 0, steps, read_back: true, _lease: lease })
    }

    /// Takes a place of the ring that nobody holds and the device is done with.
    fn free_place(&mut self) -> Option<usize> {
        let free = |places: &[Arc<Place>]| places.iter().position(|p| p.claim());
        let mut place = free(&self.places);
        // The device may be done with one whose `Pending` was dropped: natively it says so only when it is polled. A poll
        // that fails frees none.
        #[cfg(not(target_arch = "wasm32"))]
        if place.is_none() && self.engine.device().poll(wgpu::PollType::Poll).is_ok() {
            place = free(&self.places);
        }
        // What was recorded ahead may hold the last place.
        if place.is_none() && self.ahead.take().is_some() {
            place = free(&self.places);
        }
        place
    }

    /// Whether something can be recorded at all.
    fn check_free(&self) -> Result<()> {
        self.engine.check_alive()?;
        if self.lease.upgrade().is_some() { Err(Error::Busy(1)) } else { Ok(()) }
    }

    /// Submits one inference. Its network was recorded while the last one ran, if that had the same batch: recording takes the host
    /// longer than a fast GPU takes to compute.
    ///
    /// # Errors
    /// As [`Session::encode`], and what the device says of the commands.
    pub fn submit(&mut self, input: Input<'_>) -> Result<Pending> {
        self.check(&input)?;
        self.check_free()?;
        let batch = input.batch() as u32;
        let network = match self.ahead.take().filter(|ahead| ahead.pending.batch() == batch) {
            Some(ahead) => ahead,
            None => self.record(batch)?,
        };
        let mut encoder = self.engine.device().create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("input") });
        self.write_input(&mut encoder, network.place, input)?;
        self.engine.queue().submit([encoder.finish(), network.commands]);
        if let Some(awake) = &self.engine.shared.awake {
            awake.submitted();
        }
        // Not after the first run, which may be the only one. Where the ring is full there is nothing to record ahead.
        if std::mem::replace(&mut self.latest_batch, batch) == batch {
            self.ahead = self.record(batch).ok();
        }
        Ok(network.pending)
    }

    /// Records the network alone, for an input that comes later.
    fn record(&mut self, batch: u32) -> Result<Recorded> {
        let mut encoder = self.engine.device().create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("mobilenet") });
        let mut whole = self.claim(batch)?;
        self.encode_slice(&mut whole, &mut encoder, f64::INFINITY)?;
        Ok(Recorded { place: whole.place, commands: encoder.finish(), pending: whole.finish()? })
    }

    /// Records the next steps of a sliced inference, as many as are expected to take `max_gpu_ms` together, and at least
    /// one; after the last, the read-back. Says whether the inference is recorded whole.
    ///
    /// Expectations come from the tuning record where it knows the step, else from the cost model.
    ///
    /// # Errors
    /// [`Error::Input`] if `sliced` is another session's.
    pub fn encode_slice(&mut self, sliced: &mut Sliced, encoder: &mut wgpu::CommandEncoder, max_gpu_ms: f64) -> Result<bool> {
        let own = self.places.get(sliced.place).is_some_and(|p| Arc::ptr_eq(p, &sliced.pending.place));
        if !own {
            return Err(Error::Input("a sliced inference of another session".into()));
        }
        if sliced.is_complete() {
            return Ok(true);
        }
        let end = self.slice_end(sliced, max_gpu_ms);
        let (count, geometry) = (self.program.plan.steps.len(), &self.geometry[sliced.place]);
        while sliced.next < end {
            let pass = self.program.pass(sliced.place, (sliced.next / count) as u32, geometry.batch);
            let steps = sliced.next % count..(end - sliced.next / count * count).min(count);
            sliced.next += steps.len();
            let whole = steps.end == count;
            {
                let descriptor = wgpu::ComputePassDescriptor { label: Some("mobilenet"), timestamp_writes: None };
                let mut recorded = encoder.begin_compute_pass(&descriptor);
                steps.for_each(|i| self.program.dispatch(&mut recorded, i, pass, geometry));
            }
            if whole {
                self.copy_outputs(encoder, pass);
            }
        }
        if sliced.is_complete() {
            self.hand_over(encoder, sliced);
        }
        Ok(sliced.is_complete())
    }

    /// For measuring: step `i` of the first pass again, on what the last run through the first place of the ring has left.
    /// Nothing is read back, and a step that there is not is no step.
    pub fn record_step(&self, pass: &mut wgpu::ComputePass<'_>, i: usize, repeats: u32) {
        let (geometry, first) = (&self.geometry[0], self.program.pass(0, 0, self.geometry[0].batch));
        (0..repeats).for_each(|_| self.program.dispatch(pass, i, first, geometry));
    }

    fn slice_end(&self, sliced: &Sliced, max_gpu_ms: f64) -> usize {
        let steps = &self.program.plan.steps;
        let mut budget = max_gpu_ms * 1e6;
        let mut end = sliced.next;
        while end < sliced.steps {
            // A step that nobody has an expectation of counts as a tenth of a millisecond.
            budget -= steps[end % steps.len()].why.ns().unwrap_or(1e5);
            if budget < 0.0 && end > sliced.next {
                break;
            }
            end += 1;
        }
        end
    }

    /// Uniforms change only with the batch.
    fn write_layers(&mut self, place: usize, batch: u32) {
        if self.geometry[place].batch != batch {
            let (geometry, bytes) = self.program.geometry(&self.engine, batch);
            self.engine.queue().write_buffer(&self.program.uniforms, (place * bytes.len()) as u64, &bytes);
            self.geometry[place] = geometry;
        }
    }

    /// A pass's outputs go from their slots into the place's result buffer.
    fn copy_outputs(&self, encoder: &mut wgpu::CommandEncoder, pass: Pass) {
        let result = &self.places[pass.place].result;
        for (output, layout) in self.program.plan.outputs.iter().zip(self.layout.iter()) {
            let [before, bytes] = [pass.first, pass.pictures].map(|pictures| layout.picture_bytes * u64::from(pictures));
            encoder.copy_buffer_to_buffer(&self.program.slots[output.slot], 0, result, layout.offset + before, bytes);
        }
    }

    /// The result goes, if asked, to the host.
    fn hand_over(&self, encoder: &mut wgpu::CommandEncoder, sliced: &Sliced) {
        let place = &self.places[sliced.place];
        if sliced.read_back {
            let batch = u64::from(sliced.pending.batch());
            let end = self.layout.last().map_or(0, |last| last.offset + last.picture_bytes * batch);
            encoder.copy_buffer_to_buffer(&place.result, 0, &place.staging, 0, end);
            place.read_back(encoder);
        } else {
            place.follow(encoder);
        }
    }
}
