//! The one way of measuring, under `bench`, `tune` and the lab: results checked before they count, candidates
//! interleaved and warmed, medians with their spread.
//!
//! Results are plain values ([`CaseResult`]) that are written to files and compared; the measuring itself needs a device
//! and a clock, and so is not there on the web.

mod result;

pub use result::{CandidateResult, CaseResult, Clock, Times, Verdict, fingerprint};
