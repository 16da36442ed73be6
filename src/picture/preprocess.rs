//! The rule on the CPU: resize, crop, normalise. The GPU kernels' twin, and what a network without a GPU gets.

use super::{ChannelOrder, Picture, Preprocessing, resample};
use crate::graph::Shape;
use crate::{Result, Tensor};

impl Preprocessing {
    /// The network's input, `[1, height, width, 3]`, for a network of `[height, width]`.
    ///
    /// # Errors
    /// As [`Preprocessing::geometry`].
    pub fn apply(&self, picture: &Picture, network: [u32; 2]) -> Result<Tensor> {
        let geometry = self.geometry(picture.size(), network)?;
        let pixels = resample::resize(picture, &geometry, self.interpolation);
        Tensor::from_nhwc(1, Shape { height: network[0], width: network[1], channels: 3 }, self.normalise(&pixels))
    }
    /// `[.., 3]` bytes, red first, to the network's values in its channel order.
    fn normalise(&self, pixels: &[u8]) -> Vec<f32> {
        let tables: [Vec<f32>; 3] = std::array::from_fn(|channel| {
            (0..=255u8).map(|value| (f32::from(value) / 255.0 - self.mean[channel]) / self.std[channel]).collect()
        });
        let source = self.order.sources();
        let values = pixels.as_chunks::<3>().0.iter();
        values.flat_map(|pixel| std::array::from_fn::<f32, 3, _>(|channel| tables[channel][usize::from(pixel[source[channel]])])).collect()
    }
}

impl ChannelOrder {
    /// Which of red, green and blue each of the network's channels is.
    pub(crate) fn sources(self) -> [usize; 3] {
        match self {
            Self::Rgb => [0, 1, 2],
            Self::Bgr => [2, 1, 0],
        }
    }
}
