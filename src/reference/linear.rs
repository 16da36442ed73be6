//! Fully connected layer: a pointwise convolution on one pixel a picture.

use super::elementwise::Epilogue;
use super::pointwise::pointwise;
use crate::graph::Activation;

/// `x * weights + bias`; `x` is `[N, inputs]`, `weights` `[inputs, outputs]`, `out` `[N, outputs]`.
pub(super) fn linear(x: &[f32], sizes: [usize; 2], weights: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
    pointwise(x, sizes, weights, Epilogue { bias, residual: None, activation: Activation::Identity }, out);
}
