//! The uniform that every kernel reads: its case as numbers.

use super::{Case, Geometry};
use crate::graph::quads;

/// `struct Layer` of the shaders, field by field: 24 words.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable, serde::Serialize)]
pub struct Layer {
    /// Pictures.
    pub batch: u32,
    /// Input rows.
    pub in_height: u32,
    /// Input columns.
    pub in_width: u32,
    /// `vec4`s of input channels.
    pub in_c4: u32,
    /// Output rows.
    pub out_height: u32,
    /// Output columns.
    pub out_width: u32,
    /// `vec4`s of output channels.
    pub out_c4: u32,
    /// `batch * out_height * out_width`.
    pub pixels: u32,
    /// Filter rows.
    pub kernel_height: u32,
    /// Filter columns.
    pub kernel_width: u32,
    /// Stride.
    pub stride: u32,
    /// Output channels, without padding.
    pub channels: u32,
    /// Rows of zeros above.
    pub pad_top: u32,
    /// Columns of zeros to the left.
    pub pad_left: u32,
    /// Lower limit of the clamp.
    pub low: f32,
    /// Upper limit of the clamp.
    pub high: f32,
    /// 1: add the residual.
    pub residual: u32,
    /// `vec4`s of the channels inside a fused block.
    pub hidden_c4: u32,
    /// Lower limit of the clamp inside a fused block.
    pub hidden_low: f32,
    /// Upper limit of the clamp inside a fused block.
    pub hidden_high: f32,
    /// The variant's own.
    pub rows: u32,
    /// The variant's own: often a loop bound that the compiler cannot see.
    pub rounds: u32,
    /// Padding to 16 bytes.
    pub unused: [u32; 2],
}

impl Layer {
    /// The numbers of a case.
    pub fn new(case: &Case, geometry: &Geometry) -> Self {
        let (low, high) = case.activation.limits();
        let (hidden_low, hidden_high) = case.hidden_activation.limits();
        Self {
            batch: case.batch,
            in_height: case.input.height,
            in_width: case.input.width,
            in_c4: case.input.c4(),
            out_height: case.output.height,
            out_width: case.output.width,
            out_c4: case.output.c4(),
            pixels: case.pixels(),
            kernel_height: case.kernel[0],
            kernel_width: case.kernel[1],
            stride: case.stride,
            channels: case.output.channels,
            pad_top: case.padding[0],
            pad_left: case.padding[1],
            low,
            high,
            residual: u32::from(case.residual),
            hidden_c4: quads(case.hidden),
            hidden_low,
            hidden_high,
            rows: geometry.rows,
            rounds: geometry.rounds,
            unused: [0; 2],
        }
    }
}
