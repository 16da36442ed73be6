//! What a session is given, and how it gets into the network's input buffer.

use super::{Session, lock};
use crate::kernel::Precision;
use crate::picture::{FRAME_KERNELS, Frame, FramePreprocessor, Picture, Preprocessing, Target};
use crate::{Error, Result, Tensor};
use half::slice::HalfFloatSliceExt;

/// What a network is given.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Normalised values in host memory, `[N, H, W, C]`.
    Tensor(&'a Tensor),
    /// Pictures, resized, cropped and normalised on the device by a rule (usually the model's own).
    Pictures(&'a [Picture], &'a Preprocessing),
    /// Frames that are on the device already (textures, a camera's planes, buffers of RGBA8), by the same rule.
    Frames(&'a [Frame<'a>], &'a Preprocessing),
    /// Normalised values on the device, `[N, H, W, C4, 4]`: the session's storage type, channels padded with zeros to the `C4`
    /// of [`Shape::c4`](crate::graph::Shape::c4). The buffer needs `COPY_SRC` and is copied when the commands run.
    Buffer {
        /// The values, from its beginning.
        buffer: &'a wgpu::Buffer,
        /// Pictures, `N`.
        batch: u32,
    },
}

impl Input<'_> {
    pub(crate) fn batch(&self) -> usize {
        match self {
            Input::Tensor(t) => t.batch as usize,
            Input::Pictures(pictures, _) => pictures.len(),
            Input::Frames(frames, _) => frames.len(),
            Input::Buffer { batch, .. } => *batch as usize,
        }
    }
}

impl Session {
    pub(super) fn check(&self, input: &Input<'_>) -> Result<()> {
        let (plan, batch) = (self.plan(), input.batch());
        if batch == 0 || batch > plan.batch as usize {
            return Err(Error::Input(format!("a batch of {batch}, where this session takes 1 to {}", plan.batch)));
        }
        match input {
            Input::Tensor(t) if t.shape != plan.input => {
                Err(Error::Input(format!("shape {}, where the network takes {}", t.shape, plan.input)))
            }
            Input::Tensor(t) if t.data.len() as u64 != u64::from(t.batch) * t.shape.elements() => {
                Err(Error::Input(format!("{} values for {}x{}", t.data.len(), t.batch, t.shape)))
            }
            Input::Pictures(..) | Input::Frames(..) if plan.input.channels != 3 => {
                Err(Error::Input(format!("a picture has 3 channels, and the network takes {}", plan.input)))
            }
            Input::Buffer { buffer, .. } if buffer.size() < self.plan().input_bytes(batch as u32) => {
                let needed = self.plan().input_bytes(batch as u32);
                Err(Error::Input(format!("a buffer of {} bytes, where {batch}x{} needs {needed}", buffer.size(), plan.input)))
            }
            Input::Buffer { buffer, .. } if !buffer.usage().contains(wgpu::BufferUsages::COPY_SRC) => {
                Err(Error::Input("a buffer without COPY_SRC: make it with that usage".into()))
            }
            _ => Ok(()),
        }
    }

    /// Records what brings `input` into the input buffer of a place.
    pub(super) fn write_input(&mut self, encoder: &mut wgpu::CommandEncoder, index: usize, input: Input<'_>) -> Result<()> {
        match input {
            Input::Tensor(tensor) => {
                let (precision, input) = (self.program.plan.precision, &self.places[index].input);
                let bytes = self.plan().input_bytes(tensor.batch);
                self.staging[index].upload(self.engine.device(), encoder, input, bytes, |view| pad(tensor, precision, view))?;
            }
            Input::Pictures(pictures, rule) => {
                let plan = &self.program.plan;
                let size = [plan.input.height, plan.input.width];
                let buffer = &self.places[index].input;
                for (place, picture) in (0..).zip(pictures) {
                    self.preprocessor.encode_through(&mut self.staging[index], encoder, picture, rule, &Target { buffer, size, place })?;
                }
            }
            Input::Frames(frames, rule) => {
                self.prepare_frames()?;
                let size = [self.program.plan.input.height, self.program.plan.input.width];
                if let Some(preprocessor) = &mut self.frames {
                    preprocessor.encode_through(&mut self.staging[index], encoder, frames, rule, &self.places[index].input, size)?;
                }
            }
            Input::Buffer { buffer, batch } => {
                encoder.copy_buffer_to_buffer(buffer, 0, &self.places[index].input, 0, self.plan().input_bytes(batch));
            }
        }
        Ok(())
    }

    /// Compiles the kernels for [`Input::Frames`] now, not at the first frame.
    ///
    /// # Errors
    /// [`Error::Device`] or [`Error::OutOfMemory`] as the device reports them.
    pub fn prepare_frames(&mut self) -> Result<()> {
        if self.frames.is_none() {
            let made = FramePreprocessor::new(self.engine.device(), self.program.plan.precision, self.max_batch());
            self.frames = Some(made.map_err(|e| self.engine.failure(e))?);
            lock(&self.engine.shared.made).pipelines += FRAME_KERNELS.len() as u64;
        }
        Ok(())
    }

    /// Lets go of the textures of earlier frames: a session keeps the latest, so as not to bind them anew.
    pub fn forget_frames(&mut self) {
        if let Some(frames) = &mut self.frames {
            frames.forget();
        }
    }

    /// Buffers that recording has made since the beginning. The number stands still once each place of the ring has had the
    /// largest input of each kind.
    pub fn buffers_made(&self) -> u64 {
        let staging: u64 = self.staging.iter().map(|staging| staging.made).sum();
        staging + self.preprocessor.buffers_made() + self.frames.as_ref().map_or(0, FramePreprocessor::buffers_made)
    }

    /// Bind groups that were made for frames: one for a source that was not seen lately, in each place of the ring.
    pub fn input_bind_groups_made(&self) -> u64 {
        self.frames.as_ref().map_or(0, FramePreprocessor::bind_groups_made)
    }
}

/// Writes the values with channels padded, in the storage type, a few thousand at a time: mapped memory may be slow
/// to write to but in one stream.
fn pad(tensor: &Tensor, precision: Precision, view: &mut wgpu::BufferViewMut) {
    const LANES: usize = 4096;
    let channels = (tensor.shape.channels as usize).max(1);
    let padded = (tensor.shape.c4() as usize * 4).max(4);
    let pixels = (LANES / padded).max(1);
    let mut block = vec![0f32; pixels * padded];
    let mut halves = vec![half::f16::ZERO; if precision.needs_f16() { block.len() } else { 0 }];
    let mut at = 0;
    for values in tensor.data.chunks(pixels * channels) {
        let lanes = values.len() / channels * padded;
        if channels == 3 {
            for (lanes, &[r, g, b]) in block.as_chunks_mut::<4>().0.iter_mut().zip(values.as_chunks().0) {
                *lanes = [r, g, b, 0.0];
            }
        } else {
            for (lanes, pixel) in block.chunks_exact_mut(padded).zip(values.chunks_exact(channels)) {
                lanes[..channels].copy_from_slice(pixel);
            }
        }
        let bytes: &[u8] = if precision.needs_f16() {
            halves[..lanes].convert_from_f32_slice(&block[..lanes]);
            bytemuck::cast_slice(&halves[..lanes])
        } else {
            bytemuck::cast_slice(&block[..lanes])
        };
        view.slice(at..at + bytes.len()).copy_from_slice(bytes);
        at += bytes.len();
    }
}
