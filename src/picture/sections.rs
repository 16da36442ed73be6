//! What the preprocessing kernels read besides pixels, as they read it: uniforms and tables of weights, one buffer's worth.

use std::ops::Range;

use super::Preprocessing;
use super::resample::Coefficients;

/// Each section begins at a multiple of this: no device asks for more.
pub(super) const ALIGNMENT: u64 = 256;

/// `Resize` of `resize_horizontal.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct HorizontalUniform {
    pub width: u32,
    pub in_width: u32,
    pub in_rows: u32,
    pub out_row: u32,
    pub taps: u32,
    pub unused: [u32; 3],
}

/// `Resize` of `resize_vertical_normalise.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct VerticalUniform {
    pub normalisation: Normalisation,
    pub width: u32,
    pub rows: u32,
    pub in_top: u32,
    pub taps: u32,
    pub first: u32,
    pub blue_first: u32,
    pub unused: [u32; 2],
}

/// `(v / 255 - mean) / std` as `v * scale + bias`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct Normalisation {
    pub scale: [f32; 4],
    pub bias: [f32; 4],
}

impl Normalisation {
    pub fn of(rule: &Preprocessing) -> Self {
        let mut made = Self { scale: [0.0; 4], bias: [0.0; 4] };
        for channel in 0..3 {
            let [mean, std] = [rule.mean[channel], rule.std[channel]].map(f64::from);
            made.scale[channel] = (1.0 / (255.0 * std)) as f32;
            made.bias[channel] = (-mean / std) as f32;
        }
        made
    }
}

/// Uniforms and tables, one after the other.
#[derive(Default)]
pub(super) struct Sections {
    pub bytes: Vec<u8>,
}

impl Sections {
    pub fn push(&mut self, section: &[u8]) -> Range<u64> {
        let start = self.bytes.len() as u64;
        self.bytes.extend(section);
        let end = self.bytes.len() as u64;
        self.bytes.resize(end.next_multiple_of(ALIGNMENT) as usize, 0);
        start..end
    }
    /// The tables of some positions, as the kernels read them; input positions count from `origin`.
    pub fn tables(&mut self, coefficients: &Coefficients, positions: Range<usize>, origin: u32) -> Range<u64> {
        let taps = coefficients.taps as usize;
        let bounds = coefficients.bounds[positions.clone()].iter().flat_map(|[first, count]| [first - origin, *count]);
        let mut words: Vec<u32> = bounds.collect();
        words.extend(bytemuck::cast_slice::<i32, u32>(&coefficients.weights[positions.start * taps..positions.end * taps]));
        self.push(bytemuck::cast_slice(&words))
    }
}
