//! The bench for shader variants: a user's own WGSL beside ours, what drivers are given, and how far a kernel is from
//! what its adapter can do.
//!
//! A user's kernel becomes a row of the variant table like ours ([`UserKernel::variants`]); it is measured by
//! [`crate::measure::kernels`], which is the tuner's way too.

mod agreement;
mod cases;
mod compare;
mod confined;
mod contract;
mod entry;
mod moved;
pub mod plot;
mod probe;
mod report;
mod roof;
mod separable;
mod show;
mod start;
mod sweep;

pub use agreement::Agreement;
pub use cases::{LayerCase, case_of_shape, host_bytes, model_cases};
pub use compare::{Became, Change, compare, totals};
pub use confined::confined;
pub use contract::UserKernel;
pub use entry::{Adopted, Entry, FIGURES, adopt, join, of_record, read_entries};
pub use moved::counting;
pub use report::{Record, report, today};
pub use roof::{Roof, Standing};
pub use separable::{
    Fastest, MultiplierPoint, SeparableBench, SeparableLayer, SeparableTimes, multiplied, separable_layers, separable_totals,
};
pub use show::{Language, translate, translate_for};
pub use start::starting_point;
pub use sweep::{Here, Rung, Strategy, Sweep, SweepBench, SweepOptions};
