//! The one way of measuring, under `bench`, `tune` and the lab: results checked before they count, candidates
//! interleaved and warmed, medians with their spread.
//!
//! Results are plain values ([`CaseResult`]) that are written to files and compared; the measuring itself needs a device
//! and a clock, and so is not there on the web.

#[cfg(not(target_arch = "wasm32"))]
mod candidate;
#[cfg(not(target_arch = "wasm32"))]
mod kernels;
#[cfg(not(target_arch = "wasm32"))]
mod network;
#[cfg(not(target_arch = "wasm32"))]
mod odd;
#[cfg(not(target_arch = "wasm32"))]
mod problem;
#[cfg(not(target_arch = "wasm32"))]
mod ratio;
mod result;
#[cfg(not(target_arch = "wasm32"))]
mod stopwatch;

#[cfg(not(target_arch = "wasm32"))]
pub use kernels::{Counting, KernelOptions, Stage, dispatch_once, kernels, kernels_telling};
#[cfg(not(target_arch = "wasm32"))]
pub use network::{Comparison, Latency, Profile, RunOptions, StepTime, compare, latency, median_interval, profile};
#[cfg(not(target_arch = "wasm32"))]
pub use problem::{fits, traffic};
#[cfg(not(target_arch = "wasm32"))]
pub use ratio::Ratio;
pub use result::{CandidateResult, CaseResult, Clock, Times, Verdict, fingerprint, quantile, tolerance};
#[cfg(not(target_arch = "wasm32"))]
pub use stopwatch::Stopwatch;
