//! Pointwise convolution: a matrix product `[P, K] x [K, N]` over all pixels of the batch.
//!
//! Nine tenths of a MobileNet's work, so it is blocked: a strip of 8 output channels is laid side by side once for the
//! pixels of a task, and 4 pixels go through it together, their sums staying in registers.

use super::elementwise::Epilogue;
use super::rows;

/// Output channels computed together.
const STRIP: usize = 8;
/// Pixels computed together.
const PIXELS: usize = 4;
/// Pixels that one thread takes at a time.
const TASK: usize = 32;

/// `epilogue(x * weights)`; `x` is `[P, inputs]`, `weights` `[inputs, outputs]`, `out` `[P, outputs]`.
pub(super) fn pointwise(x: &[f32], [inputs, outputs]: [usize; 2], weights: &[f32], epilogue: Epilogue, out: &mut [f32]) {
    rows::for_each(out, TASK * outputs, |task, out| {
        let pixels = out.len() / outputs;
        let x = &x[task * TASK * inputs..][..pixels * inputs];
        let mut strip = vec![[0.0; STRIP]; inputs];
        for first in (0..outputs).step_by(STRIP) {
            let width = STRIP.min(outputs - first);
            for (row, weights) in strip.iter_mut().zip(weights.chunks_exact(outputs)) {
                row[..width].copy_from_slice(&weights[first..first + width]);
            }
            let mut store = |pixel: usize, sums: &[f32; STRIP]| {
                let at = pixel * outputs + first;
                let values = &mut out[at..at + width];
                values.copy_from_slice(&sums[..width]);
                epilogue.finish(values, first, task * TASK * outputs + at);
            };
            for (group, x) in x.chunks(PIXELS * inputs).enumerate() {
                if x.len() == PIXELS * inputs {
                    let sums = multiply::<PIXELS>(x, &strip);
                    sums.iter().enumerate().for_each(|(i, sums)| store(group * PIXELS + i, sums));
                } else {
                    let pixels = x.chunks_exact(inputs).enumerate();
                    pixels.for_each(|(i, x)| store(group * PIXELS + i, &multiply::<1>(x, &strip)[0]));
                }
            }
        }
    });
}

/// `[P, K] x [K, STRIP]`.
fn multiply<const P: usize>(x: &[f32], strip: &[[f32; STRIP]]) -> [[f32; STRIP]; P] {
    let inputs = strip.len();
    let x: [&[f32]; P] = std::array::from_fn(|p| &x[p * inputs..(p + 1) * inputs]);
    let mut sums = [[0.0; STRIP]; P];
    for (k, weights) in strip.iter().enumerate() {
        for (sums, x) in sums.iter_mut().zip(x) {
            let value = x[k];
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum += value * weight;
            }
        }
    }
    sums
}
