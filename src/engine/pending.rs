//! One inference on its way: asked for, awaited, or told of by a callback.

use super::Engine;
use super::loss::Loss;
use super::place::{Place, Progress};
use crate::graph::Shape;
use crate::kernel::Precision;
use crate::{Error, Result, Tensor};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

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
    /// Shape of one picture; in the buffer its channels are padded: `[N, H, W, C4, 4]` with [`Shape::c4`].
    pub shape: Shape,
    /// Byte at which it begins.
    pub offset: u64,
    /// Bytes of one picture.
    pub picture_bytes: u64,
}

/// How long an idle device may keep [`Pending::wait`] waiting for a callback that another thread's poll is delivering.
#[cfg(not(target_arch = "wasm32"))]
const UNSUBMITTED: std::time::Duration = std::time::Duration::from_secs(5);

/// One inference: recorded, then submitted by whoever owns the encoder, then ready.
///
/// It is a future, asked for by [`Pending::try_take`], or left to a callback ([`Pending::on_ready`]). Natively the device has to be
/// polled for it to make progress: `try_take` and the future do so without waiting, [`Pending::wait`] waits; a callback is
/// called where the application polls. A future sleeps until then, or, where nobody else polls, asks by itself from time to time: soon
/// at first, later once a millisecond. Dropping it gives its place in the ring back.
#[derive(Debug)]
#[must_use = "an inference that nobody waits for is thrown away"]
pub struct Pending {
    pub(super) engine: Engine,
    pub(super) place: Arc<Place>,
    pub(super) reading: Reading,
    /// Whether the outputs were taken.
    pub(super) done: bool,
    /// Whether a callback has the place now.
    pub(super) handed_on: bool,
    /// When it was first awaited.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) awaited: Option<std::time::Instant>,
}

/// What it takes to read the outputs. Not the engine: a callback that waits for a device must not keep it.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub layout: Arc<Vec<OutputLayout>>,
    pub batch: u32,
    pub precision: Precision,
    pub loss: Arc<Loss>,
}

impl Pending {
    /// The buffer that holds the outputs on the device; valid until this value is dropped.
    pub fn buffer(&self) -> &wgpu::Buffer {
        &self.place.result
    }
    /// Where each output stands in [`Pending::buffer`].
    pub fn layout(&self) -> &[OutputLayout] {
        &self.reading.layout
    }
    /// Pictures of this inference.
    pub fn batch(&self) -> u32 {
        self.reading.batch
    }
    /// The outputs, if they are there; never waits. `None` means not yet. Outputs that stay on the device
    /// ([`Session::encode_on_device`](super::Session::encode_on_device)) come as an empty list once they are there.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], or [`Error::Device`] if the commands were thrown away or the outputs taken before.
    pub fn try_take(&mut self) -> Result<Option<Outputs>> {
        if self.done {
            return Err(taken());
        }
        #[cfg(not(target_arch = "wasm32"))]
        self.engine.device().poll(wgpu::PollType::Poll).map_err(|e| self.engine.failure(Error::Device(e.to_string())))?;
        let progress = self.place.progress();
        if progress == Progress::Recorded && !self.engine.is_lost() {
            return Ok(None);
        }
        self.done = matches!(progress, Progress::Mapped | Progress::OnDevice);
        self.reading.end(&self.place, progress).map(Some)
    }

    /// Calls `callback` with the outputs, or with the error that [`Pending::try_take`] would give: once, whatever comes.
    ///
    /// It is called on the thread that learns of it: natively the one that polls the device (`Device::poll`, `Queue::submit`), which
    /// **somebody has to do**; in a browser the event loop's. If the outputs are there already, before this returns; if the encoder is
    /// thrown away, where it is dropped; of a lost device, in [`Engine::notify_lost`]. The place in the ring is free by then. A
    /// callback should be short, and leave the session alone, which may be the one that polls.
    pub fn on_ready(mut self, callback: impl FnOnce(Result<Outputs>) + wgpu::WasmNotSend + 'static) {
        self.handed_on = true;
        let (reading, done) = (self.reading.clone(), self.done);
        self.place.call(Box::new(move |place: &Place, progress| {
            let outputs = if done { Err(taken()) } else { reading.end(place, progress) };
            place.release();
            callback(outputs);
        }));
        // It may have been lost just before.
        if self.engine.is_lost() {
            self.place.tell();
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
}

fn taken() -> Error {
    Error::Device("the outputs of this inference were taken already".into())
}

impl Reading {
    /// The outputs of an inference that has come to an end, or why there are none; one that was only recorded ends with its device.
    fn end(&self, place: &Place, progress: Progress) -> Result<Outputs> {
        match progress {
            Progress::Mapped => {
                let outputs = self.read(place);
                place.unmap();
                outputs
            }
            Progress::OnDevice => {
                place.unmap();
                Ok(Outputs { tensors: Vec::new() })
            }
            Progress::Abandoned => Err(Error::Device("the encoder was dropped without being submitted; record again".into())),
            Progress::Recorded | Progress::Failed | Progress::Idle => Err(self
                .loss
                .error()
                .unwrap_or_else(|| Error::DeviceLost("the outputs could not be read back, which a lost device causes".into()))),
        }
    }

    fn read(&self, place: &Place) -> Result<Outputs> {
        let view = place.staging.get_mapped_range(..).map_err(|e| Error::Device(format!("outputs are not mapped: {e}")))?;
        let tensors = self.layout.iter().map(|o| {
            let start = o.offset as usize;
            let bytes = &view[start..start + (o.picture_bytes * u64::from(self.batch)) as usize];
            Ok((o.name.clone(), Tensor::from_nhwc(self.batch, o.shape, unpad(bytes, o.shape, self.precision))?))
        });
        Ok(Outputs { tensors: tensors.collect::<Result<_>>()? })
    }
}

/// Values without the padding channels, as f32.
fn unpad(bytes: &[u8], shape: Shape, precision: Precision) -> Vec<f32> {
    let (channels, padded) = (shape.channels as usize, shape.c4() as usize * 4);
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
        // Before asking, so that nothing is missed in between.
        self.place.wake(context.waker());
        match self.try_take() {
            Ok(Some(outputs)) => Poll::Ready(Ok(outputs)),
            Err(error) => Poll::Ready(Err(error)),
            Ok(None) => {
                #[cfg(not(target_arch = "wasm32"))]
                {
                    let waited = self.awaited.get_or_insert_with(std::time::Instant::now).elapsed();
                    self.engine.shared.alarm.set(&self.place, waited);
                }
                Poll::Pending
            }
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.handed_on {
            self.place.release();
        }
    }
}
