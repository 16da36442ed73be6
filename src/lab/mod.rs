//! The bench for shader variants: a user's own WGSL beside ours, what drivers are given, and how far a kernel is from
//! what its adapter can do.
//!
//! A user's kernel becomes a row of the variant table like ours ([`UserKernel::variants`]); it is measured by
//! [`crate::measure::kernels`], which is the tuner's way too.

mod agreement;
mod cases;
mod contract;
mod entry;
mod probe;
mod roof;
mod show;
mod start;

pub use agreement::Agreement;
pub use cases::{LayerCase, case_of_shape, model_cases};
pub use contract::UserKernel;
pub use entry::{Adopted, Entry, adopt, of_record, read_entries};
pub use roof::{Roof, Standing};
pub use show::{Language, translate};
pub use start::starting_point;
