//! The bench for shader variants: a user's own WGSL beside ours, what drivers are given, and how far a kernel is from
//! what its adapter can do.
//!
//! A user's kernel becomes a row of the variant table like ours ([`UserKernel::variants`]); it is measured by
//! [`crate::measure::kernels`], which is the tuner's way too.

mod contract;
mod roof;
mod show;
mod start;

pub use contract::UserKernel;
pub use roof::{Roof, Standing};
pub use show::{Language, translate};
pub use start::starting_point;
