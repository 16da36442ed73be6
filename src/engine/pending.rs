//! One inference on its way, and the ring of buffers that it borrows from its session.
//!
//! A place of the ring is free when its `Pending` is gone and the device is done with it. The callback that tells so owns
//! a guard: if the encoder is thrown away unsubmitted, the guard is dropped and the place is free again.

use super::{Engine, lock};
use crate::graph::Shape;
use crate::kernel::Precision;
use crate::{Error, Result, Tensor};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// The values of an inference, in the order in which the session's outputs were named.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    /// Name and value of each output.
    pub tensors: Vec<(String, Tensor)>,
}

impl Outputs {
    /// The output called `name`, as the session's options named it.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|(n, _)| n == name).map(|(_, t)| t)
    }
}

/// Where an output stands in a result buffer.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct OutputLayout {
    /// Its name.
    pub name: String,
    /// Shape of one picture; in the buffer its channels are padded to a multiple of 4: `[N, H, W, C4, 4]`.
    pub shape: Shape,
    /// Byte at which it begins.
    pub offset: u64,
    /// Bytes of one picture.
    pub picture_bytes: u64,
}

/// How long an idle device may keep [`Pending::wait`] waiting for a callback that another thread's poll is delivering.
#[cfg(not(target_arch = "wasm32"))]
const UNSUBMITTED: std::time::Duration = std::time::Duration::from_secs(5);

/// One place of a session's ring.
#[derive(Debug)]
pub(super) struct Place {
    pub input: wgpu::Buffer,
    /// The outputs, on the device.
    pub result: wgpu::Buffer,
    /// The outputs, for the host to read.
    pub staging: wgpu::Buffer,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    claimed: bool,
    device: Progress,
    waker: Option<Waker>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Progress {
    #[default]
    Idle,
    Recorded,
    /// Done, and the outputs can be read by the host.
    Mapped,
    /// Done, and the outputs stay on the device.
    OnDevice,
    Failed,
    /// The commands were thrown away.
    Abandoned,
}

impl Place {
    pub fn new(input: wgpu::Buffer, result: wgpu::Buffer, staging: wgpu::Buffer) -> Self {
        Self { input, result, staging, state: Mutex::default() }
    }
    /// Takes the place if it is free.
    pub fn claim(&self) -> bool {
        let mut state = lock(&self.state);
        let free = !state.claimed && state.device != Progress::Recorded;
        if free {
            *state = State { claimed: true, ..State::default() };
        }
        free
    }
    fn release(&self) {
        let mut state = lock(&self.state);
        state.claimed = false;
        self.settle(&mut state);
    }
    fn advance(&self, progress: Progress) {
        let waker = {
            let mut state = lock(&self.state);
            state.device = progress;
            self.settle(&mut state);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
    /// Makes an unclaimed place idle once the device is done with it.
    fn settle(&self, state: &mut State) {
        if !state.claimed && state.device != Progress::Recorded {
            if matches!(state.device, Progress::Mapped | Progress::OnDevice) {
                self.staging.unmap();
            }
            state.device = Progress::Idle;
        }
    }
    /// Asks for the staging buffer to be mapped when `encoder` is submitted and done.
    pub fn read_back(self: &Arc<Self>, encoder: &wgpu::CommandEncoder) {
        self.ask(encoder, Progress::Mapped);
    }
    /// Asks to be told when `encoder` is submitted and done; nothing is read back. (Through the mapping, too: the callback
    /// of a finished submission would have to be `Send` in a browser, where buffers are not.)
    pub fn follow(self: &Arc<Self>, encoder: &wgpu::CommandEncoder) {
        self.ask(encoder, Progress::OnDevice);
    }
    fn ask(self: &Arc<Self>, encoder: &wgpu::CommandEncoder, done: Progress) {
        lock(&self.state).device = Progress::Recorded;
        let guard = Guard { place: self.clone(), told: false };
        let tell = move |result: Result<(), _>| guard.tell(if result.is_ok() { done } else { Progress::Failed });
        encoder.map_buffer_on_submit(&self.staging, wgpu::MapMode::Read, .., tell);
    }
}

/// Tells the place what became of its commands, also if they were never submitted.
struct Guard {
    place: Arc<Place>,
    told: bool,
}

impl Guard {
    fn tell(mut self, progress: Progress) {
        self.told = true;
        self.place.advance(progress);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.told {
            self.place.advance(Progress::Abandoned);
        }
    }
}

/// One inference: recorded, then submitted by whoever owns the encoder, then ready.
///
/// It is a future. Natively the device has to be polled for it to make progress: [`Pending::try_take`] and the future do
/// so without waiting, [`Pending::wait`] waits. Dropping it gives its place in the ring back.
#[derive(Debug)]
#[must_use = "an inference that nobody waits for is thrown away"]
pub struct Pending {
    pub(super) engine: Engine,
    pub(super) place: Arc<Place>,
    pub(super) layout: Arc<Vec<OutputLayout>>,
    pub(super) batch: u32,
    pub(super) precision: Precision,
    pub(super) done: bool,
}

impl Pending {
    /// The buffer that holds the outputs on the device; valid until this value is dropped.
    pub fn buffer(&self) -> &wgpu::Buffer {
        &self.place.result
    }
    /// Where each output stands in [`Pending::buffer`].
    pub fn layout(&self) -> &[OutputLayout] {
        &self.layout
    }
    /// Pictures of this inference.
    pub fn batch(&self) -> u32 {
        self.batch
    }
    /// The outputs, if they are there; never waits. `None` means not yet. Outputs that stay on the device
    /// ([`Session::encode_on_device`](super::Session::encode_on_device)) come as an empty list once they are there.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], or [`Error::Device`] if the commands were thrown away or the outputs taken before.
    pub fn try_take(&mut self) -> Result<Option<Outputs>> {
        if self.done {
            return Err(Error::Device("the outputs of this inference were taken already".into()));
        }
        #[cfg(not(target_arch = "wasm32"))]
        self.engine.device().poll(wgpu::PollType::Poll).map_err(|e| self.engine.failure(Error::Device(e.to_string())))?;
        let progress = lock(&self.place.state).device;
        match progress {
            Progress::Recorded => match self.engine.shared.lost.get() {
                Some(why) => Err(Error::DeviceLost(why.clone())),
                None => Ok(None),
            },
            Progress::Mapped => {
                self.done = true;
                let outputs = self.read();
                self.unmap();
                outputs.map(Some)
            }
            Progress::OnDevice => {
                self.done = true;
                self.unmap();
                Ok(Some(Outputs { tensors: Vec::new() }))
            }
            Progress::Abandoned => Err(Error::Device("the encoder was dropped without being submitted; record again".into())),
            Progress::Failed | Progress::Idle => {
                let message = "the outputs could not be read back, which a lost device causes".to_string();
                Err(self.engine.failure(Error::DeviceLost(message)))
            }
        }
    }

    /// The outputs, waiting for the device. The encoder must have been submitted.
    ///
    /// # Errors
    /// As [`Pending::try_take`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn wait(mut self) -> Result<Outputs> {
        let start = std::time::Instant::now();
        loop {
            self.engine
                .device()
                .poll(wgpu::PollType::wait_indefinitely())
                .map_err(|e| self.engine.failure(Error::Device(e.to_string())))?;
            if let Some(outputs) = self.try_take()? {
                return Ok(outputs);
            }
            // The device is idle: either another thread's poll is about to call us back, or nothing was submitted.
            if start.elapsed() > UNSUBMITTED {
                return Err(Error::Device("wait was called before the encoder was submitted".into()));
            }
            std::thread::yield_now();
        }
    }

    fn unmap(&self) {
        let mut state = lock(&self.place.state);
        self.place.staging.unmap();
        state.device = Progress::Idle;
    }

    fn read(&self) -> Result<Outputs> {
        let view = self.place.staging.get_mapped_range(..).map_err(|e| Error::Device(format!("outputs are not mapped: {e}")))?;
        let tensors = self.layout.iter().map(|o| {
            let start = o.offset as usize;
            let bytes = &view[start..start + (o.picture_bytes * u64::from(self.batch)) as usize];
            Ok((o.name.clone(), Tensor::from_nhwc(self.batch, o.shape, unpad(bytes, o.shape.channels as usize, self.precision))?))
        });
        Ok(Outputs { tensors: tensors.collect::<Result<_>>()? })
    }
}

/// Values without the padding channels, as f32.
fn unpad(bytes: &[u8], channels: usize, precision: Precision) -> Vec<f32> {
    let padded = channels.div_ceil(4) * 4;
    let rows = |values: &mut dyn Iterator<Item = f32>| -> Vec<f32> {
        values.enumerate().filter(|(i, _)| i % padded < channels).map(|(_, v)| v).collect()
    };
    if precision.needs_f16() {
        rows(&mut bytes.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()))
    } else {
        rows(&mut bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
    }
}

impl Future for Pending {
    type Output = Result<Outputs>;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        lock(&self.place.state).waker = Some(context.waker().clone());
        match self.try_take() {
            Ok(Some(outputs)) => Poll::Ready(Ok(outputs)),
            Err(error) => Poll::Ready(Err(error)),
            Ok(None) => {
                // Natively nobody calls back unless the device is polled, and that is done here.
                #[cfg(not(target_arch = "wasm32"))]
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.place.release();
    }
}
