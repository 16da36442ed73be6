//! Which kernel is fastest where: measured, kept in a [`TuningRecord`], and asked by the planner through a [`Tuning`].
//!
//! Nothing here chooses a place on disk: records are made from text and written as text.

mod lookup;
mod record;
mod shipped;
#[cfg(test)]
mod tests;

pub use lookup::{Found, Tuning};
pub use record::{CaseRecord, DeviceKey, TuningRecord, VERSION};
