//! Pillow's antialiased resize (`Resample.c`) of 8-bit pictures, bit for bit: the oracle of the GPU kernels, which read
//! the same [`Coefficients`].
//!
//! Two passes, each a weighted sum in fixed point that is rounded to 8 bits: along x first, then along y. (From version
//! 13 on Pillow takes them the other way round where the height shrinks much more than the width, which no rule
//! that keeps proportions does; the two then differ by a grey level here and there.) A pass whose size does not
//! change is the identity in this arithmetic, its weights being 1 and 0, so it needs no special case.

use std::ops::Range;

use super::{Geometry, Interpolation, Picture};

/// Fraction bits of a weight: 8 bits of pixel, 2 of head room for overshoot, the rest of 32.
pub const PRECISION_BITS: u32 = 32 - 8 - 2;

/// What one pass sums, for each output position: `sum(weights[i][k] * input[bounds[i][0] + k])`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coefficients {
    /// First input position and number of inputs, for each output position.
    pub bounds: Vec<[u32; 2]>,
    /// Weights kept for each output position; those past the number of inputs are 0.
    pub taps: u32,
    /// `[positions, taps]`, with [`PRECISION_BITS`] fraction bits.
    pub weights: Vec<i32>,
}

impl Coefficients {
    /// Those of the outputs `range` of a resize from `input` to `output` positions.
    pub fn new(interpolation: Interpolation, input: u32, output: u32, range: Range<u32>) -> Self {
        let scale = f64::from(input) / f64::from(output);
        let filter_scale = scale.max(1.0);
        let support = interpolation.support() * filter_scale;
        let reach = support.ceil() as u32 * 2 + 1;
        let taps = reach.min(input);
        let mut made = Self { bounds: Vec::with_capacity(range.len()), taps, weights: Vec::with_capacity(range.len() * taps as usize) };
        let mut weights: Vec<f64> = Vec::with_capacity(taps as usize);
        for position in range {
            let centre = (f64::from(position) + 0.5) * scale;
            // The casts truncate towards 0 and saturate, as `Resample.c` clamps.
            let first = (centre - support + 0.5) as u32;
            let end = ((centre + support + 0.5) as u32).min(input);
            weights.clear();
            weights.extend((first..end).map(|at| interpolation.weight((f64::from(at) - centre + 0.5) * (1.0 / filter_scale))));
            let sum: f64 = weights.iter().sum();
            made.bounds.push([first, end - first]);
            made.weights.extend(weights.iter().map(|weight| fixed_point(if sum == 0.0 { *weight } else { weight / sum })));
            made.weights.resize(made.bounds.len() * taps as usize, 0);
        }
        made
    }
    /// Input positions that some output needs.
    pub fn inputs(&self) -> Range<u32> {
        match (self.bounds.first(), self.bounds.last()) {
            (Some([first, _]), Some([last, count])) => *first..last + count,
            _ => 0..0,
        }
    }
    fn of(&self, position: usize) -> (usize, &[i32]) {
        let [first, count] = self.bounds[position];
        let start = position * self.taps as usize;
        (first as usize, &self.weights[start..start + count as usize])
    }
}

impl Interpolation {
    /// Half the width of the filter, in pixels, when not shrinking.
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }
    fn weight(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        match self {
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            _ => 0.0,
        }
    }
}

fn fixed_point(weight: f64) -> i32 {
    (weight * f64::from(1 << PRECISION_BITS) + 0.5f64.copysign(weight)) as i32
}

fn clip(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// The part of the resized picture that `geometry` crops, RGB: `[crop height, crop width, 3]`.
pub fn resize(picture: &Picture, geometry: &Geometry, interpolation: Interpolation) -> Vec<u8> {
    let [across, down] = geometry.coefficients(interpolation);
    let rows = down.inputs();
    let middle = horizontal(picture, &across, rows.clone());
    vertical(&middle, across.bounds.len() * 3, &down, rows.start)
}

/// The rows `rows` of `picture`, resized along x: `[rows, positions, 3]`.
fn horizontal(picture: &Picture, across: &Coefficients, rows: Range<u32>) -> Vec<u8> {
    let mut out = Vec::with_capacity(rows.len() * across.bounds.len() * 3);
    for y in rows {
        let pixels = picture.row(y, 0, picture.width()).as_chunks::<4>().0;
        for position in 0..across.bounds.len() {
            let (first, weights) = across.of(position);
            let mut sum = [1i32 << (PRECISION_BITS - 1); 3];
            for (weight, pixel) in weights.iter().zip(&pixels[first..]) {
                for channel in 0..3 {
                    sum[channel] += weight * i32::from(pixel[channel]);
                }
            }
            out.extend(sum.map(clip));
        }
    }
    out
}

/// `input` is `[rows, stride]`, its first row the picture's row `top`; gives `[positions, stride]`.
fn vertical(input: &[u8], stride: usize, down: &Coefficients, top: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(down.bounds.len() * stride);
    let mut sums = vec![0i32; stride];
    for position in 0..down.bounds.len() {
        let (first, weights) = down.of(position);
        sums.fill(1 << (PRECISION_BITS - 1));
        for (weight, row) in weights.iter().zip(input[(first - top as usize) * stride..].chunks_exact(stride)) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += weight * i32::from(*value);
            }
        }
        out.extend(sums.iter().map(|sum| clip(*sum)));
    }
    out
}
