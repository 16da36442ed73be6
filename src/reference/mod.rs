//! Every op in plain Rust: the oracle that the kernels are tested against, and the CPU fallback.
//!
//! Written to be read, one file an op, in the order of the formula; loops run over channels innermost and rows are
//! shared by threads, so that it is not slow either. Sums are f32, as on the GPU, but pool and softmax sum in f64.
//! Activations are `[N, H, W, C]` without channel padding, parameters in the canonical layouts of [`Param`].

mod convolution;
mod depthwise;
mod elementwise;
mod linear;
mod pointwise;
mod pool;
mod rows;
mod session;
mod softmax;
#[cfg(test)]
mod tests;

pub use session::Session;

use crate::graph::{Graph, Param};
use crate::{Result, Tensor};

/// The graph's outputs for `input`, one tensor each; `params` gives a parameter's values (see [`Param::evaluate`]).
///
/// # Errors
/// As [`Session::new`] and [`Session::run`]; use a [`Session`] to evaluate the parameters once for several inputs.
pub fn run(graph: &Graph, params: &dyn Fn(&Param) -> Result<Vec<f32>>, input: &Tensor) -> Result<Vec<Tensor>> {
    Session::new(graph, params)?.run(input)
}
