//! Dense convolution of any kernel and stride; filters `[Ky, Kx, Cin, Cout]`. MobileNet's stem.

use super::elementwise::Epilogue;
use super::rows;
use crate::graph::{Conv2d, Padding, Shape};

/// A convolution's geometry: which input pixels an output pixel sees.
#[derive(Clone, Copy)]
pub(super) struct Window {
    kernel: [usize; 2],
    stride: usize,
    padding: Padding,
    input: Shape,
}

impl Window {
    pub fn new(conv: &Conv2d, input: Shape) -> Self {
        Self { kernel: conv.kernel.map(|k| k as usize), stride: conv.stride as usize, padding: conv.padding, input }
    }
    /// Values in one picture of the input.
    pub fn picture_size(&self) -> usize {
        self.input.elements() as usize
    }
    /// For output row `y` and column `x`: each tap of the filter (`ky * Kx + kx`) that falls on a pixel rather than on
    /// padding, and that pixel's index in its picture.
    pub fn taps(self, y: usize, x: usize) -> impl Iterator<Item = (usize, usize)> {
        let [height, width] = [self.input.height as usize, self.input.width as usize];
        let [rows, columns] = self.kernel;
        // Padding may put the window's corner outside, at negative coordinates: keep the padding added.
        let (top, left) = (self.padding.top as usize, self.padding.left as usize);
        let (y, x) = (y * self.stride, x * self.stride);
        let inside = move |at: usize, k: usize, pad: usize, size: usize| (at + k).checked_sub(pad).filter(|i| *i < size);
        (0..rows).filter_map(move |ky| Some((ky, inside(y, ky, top, height)?))).flat_map(move |(ky, iy)| {
            (0..columns).filter_map(move |kx| Some((ky * columns + kx, iy * width + inside(x, kx, left, width)?)))
        })
    }
}

/// `epilogue(sum over taps and input channels of x * filters)`.
pub(super) fn convolution(x: &[f32], window: Window, output: Shape, filters: &[f32], epilogue: Epilogue, out: &mut [f32]) {
    let (inputs, outputs) = (window.input.channels as usize, output.channels as usize);
    let (width, height) = (output.width as usize, output.height as usize);
    let picture_size = window.picture_size();
    rows::for_each(out, width * outputs, |row, values| {
        let picture = &x[row / height * picture_size..][..picture_size];
        for (column, sums) in values.chunks_exact_mut(outputs).enumerate() {
            for (tap, pixel) in window.taps(row % height, column) {
                let filter = &filters[tap * inputs * outputs..][..inputs * outputs];
                for (value, weights) in picture[pixel * inputs..][..inputs].iter().zip(filter.chunks_exact(outputs)) {
                    sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * weight);
                }
            }
            epilogue.finish(sums, 0, (row * width + column) * outputs);
        }
    });
}
