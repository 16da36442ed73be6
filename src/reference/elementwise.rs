//! Ops that look at one value at a time: activation, batch norm, add, and the epilogue of a convolution.

use super::rows;
use crate::graph::Activation;

/// Values of a row that one thread takes at a time.
const CHUNK: usize = 1 << 14;

/// What follows a convolution's sum: `activation(sum + bias (+ residual))`.
#[derive(Clone, Copy)]
pub(super) struct Epilogue<'a> {
    /// `[C]`; `None` is 0.
    pub bias: Option<&'a [f32]>,
    /// As long as the output; `None` is 0.
    pub residual: Option<&'a [f32]>,
    pub activation: Activation,
}

impl Epilogue<'_> {
    /// Finishes `sums`, which stand at `offset` in the output and begin with channel `channel`.
    pub fn finish(&self, sums: &mut [f32], channel: usize, offset: usize) {
        if let Some(bias) = self.bias {
            add(sums, &bias[channel..]);
        }
        if let Some(residual) = self.residual {
            add(sums, &residual[offset..]);
        }
        activate(sums, self.activation);
    }
}

fn add(values: &mut [f32], others: &[f32]) {
    values.iter_mut().zip(others).for_each(|(v, o)| *v += o);
}

/// Clamps in place; NaN stays NaN, so that a wrong network is seen.
fn activate(values: &mut [f32], activation: Activation) {
    match activation {
        Activation::Identity => {}
        Activation::Relu => values.iter_mut().for_each(|v| *v = v.clamp(0.0, f32::INFINITY)),
        Activation::Relu6 => values.iter_mut().for_each(|v| *v = v.clamp(0.0, 6.0)),
    }
}

/// `activation(x)`.
pub(super) fn activation(mut x: Vec<f32>, activation: Activation) -> Vec<f32> {
    rows::for_each(&mut x, CHUNK, |_, row| activate(row, activation));
    x
}

/// `a + b`.
pub(super) fn sum(mut a: Vec<f32>, b: &[f32]) -> Vec<f32> {
    rows::for_each(&mut a, CHUNK, |i, row| add(row, &b[i * CHUNK..]));
    a
}

/// `x * scale + shift`, a channel at a time: a batch norm whose vectors are joined.
pub(super) fn batch_norm(mut x: Vec<f32>, scale: &[f32], shift: &[f32]) -> Vec<f32> {
    rows::for_each(&mut x, scale.len(), |_, pixel| {
        pixel.iter_mut().zip(scale.iter().zip(shift)).for_each(|(v, (scale, shift))| *v = *v * scale + shift);
    });
    x
}
