//! Which kernel is fastest where: measured, kept in a [`TuningRecord`], and asked by the planner through a [`Tuning`].
//!
//! Nothing here chooses a place on disk: records are made from text and written as text.

#[cfg(not(target_arch = "wasm32"))]
mod driver;
mod lookup;
mod record;
mod shipped;
#[cfg(test)]
mod tests;

#[cfg(all(feature = "lab", not(target_arch = "wasm32")))]
pub(crate) use driver::now;
#[cfg(not(target_arch = "wasm32"))]
pub use driver::{Progress, TuneOptions, Tuned, cases, tune};
pub use lookup::{Found, Timed, Tuning};
pub use record::{CaseRecord, DeviceKey, TuningRecord, VERSION};
