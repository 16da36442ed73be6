//! Depthwise convolution: channel `c` of the output sees channel `c` of the input; filters `[Ky, Kx, C]`.

use super::convolution::Window;
use super::elementwise::Epilogue;
use super::rows;
use crate::graph::Shape;

/// `epilogue(sum over taps of x * filters)`, a channel at a time.
pub(super) fn depthwise(x: &[f32], window: Window, output: Shape, filters: &[f32], epilogue: Epilogue, out: &mut [f32]) {
    let channels = output.channels as usize;
    let (width, height) = (output.width as usize, output.height as usize);
    let picture_size = window.picture_size();
    rows::for_each(out, width * channels, |row, values| {
        let picture = &x[row / height * picture_size..][..picture_size];
        for (column, sums) in values.chunks_exact_mut(channels).enumerate() {
            for (tap, pixel) in window.taps(row % height, column) {
                let (values, weights) = (&picture[pixel * channels..][..channels], &filters[tap * channels..][..channels]);
                sums.iter_mut().zip(values.iter().zip(weights)).for_each(|(sum, (value, weight))| *sum += value * weight);
            }
            epilogue.finish(sums, 0, (row * width + column) * channels);
        }
    });
}
