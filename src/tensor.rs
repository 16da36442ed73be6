//! Values in host memory.

use crate::{Error, Result, graph::Shape};

/// Activations of a batch in host memory: `[N, H, W, C]`, f32, channels not padded.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Pictures, `N`.
    pub batch: u32,
    /// Shape of one picture, `[H, W, C]`.
    pub shape: Shape,
    /// The values; `N * H * W * C` of them.
    pub data: Vec<f32>,
}

impl Tensor {
    /// From values in `[N, H, W, C]` order.
    ///
    /// # Errors
    /// [`Error::Input`] if their number does not fit the shape.
    pub fn from_nhwc(batch: u32, shape: Shape, data: Vec<f32>) -> Result<Self> {
        let expected = u64::from(batch) * shape.elements();
        if data.len() as u64 != expected {
            return Err(Error::Input(format!("a tensor of {batch}x{shape} has {expected} values, not {}", data.len())));
        }
        Ok(Self { batch, shape, data })
    }
    /// From values in `[N, C, H, W]` order, as PyTorch has them.
    ///
    /// # Errors
    /// As [`Tensor::from_nhwc`].
    pub fn from_nchw(batch: u32, shape: Shape, data: &[f32]) -> Result<Self> {
        let (pixels, channels) = (shape.pixels() as usize, shape.channels as usize);
        let mut out = vec![0.0; data.len()];
        for (image, planes) in out.chunks_exact_mut((pixels * channels).max(1)).zip(data.chunks_exact((pixels * channels).max(1))) {
            for (i, value) in planes.iter().enumerate() {
                image[(i % pixels) * channels + i / pixels] = *value;
            }
        }
        Self::from_nhwc(batch, shape, out)
    }
    /// The values in `[N, C, H, W]` order.
    pub fn to_nchw(&self) -> Vec<f32> {
        let (pixels, channels) = (self.shape.pixels() as usize, self.shape.channels as usize);
        let mut out = vec![0.0; self.data.len()];
        for (planes, image) in out.chunks_exact_mut((pixels * channels).max(1)).zip(self.data.chunks_exact((pixels * channels).max(1))) {
            for (i, value) in image.iter().enumerate() {
                planes[(i % channels) * pixels + i / channels] = *value;
            }
        }
        out
    }
    /// The values of picture `n`, `[H, W, C]`.
    pub fn picture(&self, n: usize) -> &[f32] {
        let size = self.shape.elements() as usize;
        &self.data[n * size..(n + 1) * size]
    }
}
