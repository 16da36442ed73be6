//! Asking records: the user's first, then those that ship with the crate.

use super::{CaseRecord, TuningRecord, shipped};
use crate::gpu::{DeviceClass, DeviceProfile};
use crate::kernel::{Case, Precision, Variant};
use crate::measure::{CandidateResult, fingerprint};
use std::sync::Arc;

/// The records that a plan may ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    records: Vec<Arc<TuningRecord>>,
    shipped: bool,
}

impl Default for Tuning {
    /// The records that ship.
    fn default() -> Self {
        Self { records: Vec::new(), shipped: true }
    }
}

/// The fastest kernel by a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its row in the table that was given.
    pub row: usize,
    /// Its median in nanoseconds.
    pub ns: f64,
    /// Its smallest time: to compare with other cases, which were measured while the machine did other things.
    pub least_ns: f64,
    /// The next best and its median.
    pub runner_up: Option<(String, f64)>,
    /// All that were measured right, fastest first.
    pub times: Vec<Timed>,
    /// Pictures of the measurement. Where they are not the case's, times are scaled.
    pub batch: u32,
    /// Whether the record is one that ships.
    pub shipped: bool,
    /// When it was measured: seconds since 1970.
    pub measured: u64,
}

/// What a record knows of one kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timed {
    /// Its row in the table that was given.
    pub row: usize,
    /// Its median in nanoseconds.
    pub ns: f64,
}

impl Tuning {
    /// No records at all: the cost model decides.
    pub fn none() -> Self {
        Self { records: Vec::new(), shipped: false }
    }
    /// A record to ask before those that were added earlier. It counts only on the device that it is of.
    #[must_use]
    pub fn with(mut self, record: TuningRecord) -> Self {
        self.records.insert(0, Arc::new(record));
        self
    }

    /// The fastest of `variants` that applies, by the first record that knows the case.
    ///
    /// A user's record whose winner was edited since is stale, which is a miss; one that ships is asked all the same: an
    /// edited kernel of ours is more often a better one.
    ///
    /// What no record has at the case's batch is looked for at one picture, on software adapters: there a picture takes its time
    /// whatever comes with it, as long as it fills a tile of pixels by itself.
    pub fn find(&self, case: &Case, precision: Precision, profile: &DeviceProfile, variants: &[Variant]) -> Option<Found> {
        let at = |measured: &Case| {
            let pick = |record: &TuningRecord, shipped| {
                let found = record.get(measured, precision)?;
                pick(found, measured.batch, case, precision, profile, variants, shipped)
            };
            let own = self.records.iter().filter(|r| r.device.likeness(profile) == 3);
            own.filter_map(|record| pick(record, false)).next().or_else(|| {
                let record = self.shipped.then(|| shipped::for_device(profile))??;
                pick(record, true)
            })
        };
        let one = case.with_batch(1);
        // In a browser a session is of one picture.
        let scales = !cfg!(target_arch = "wasm32") && profile.class == DeviceClass::Software && one.pixels() >= TILE;
        at(case).or_else(|| if scales && case.batch > 1 { at(&one) } else { None })
    }
}

/// Pixels of the tile that most of the software adapters' kernels have.
const TILE: u32 = 28;

/// The fastest by a record of `batch` pictures of the case.
fn pick(
    record: &CaseRecord,
    batch: u32,
    case: &Case,
    precision: Precision,
    profile: &DeviceProfile,
    variants: &[Variant],
    shipped: bool,
) -> Option<Found> {
    let row = |candidate: &CandidateResult| {
        variants.iter().position(|v| v.op == case.op && candidate.is_of(v) && v.check(case, precision, profile).is_ok())
    };
    let times = f64::from(case.batch) / f64::from(batch);
    let mut ranked: Vec<_> = record.candidates.iter().filter_map(|c| Some((c.ns()? * times, row(c)?, c))).collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ns, row, winner) = *ranked.first()?;
    if !shipped && winner.fingerprint != fingerprint(&variants[row]) {
        return None;
    }
    let runner_up = ranked.get(1).map(|(ns, _, c)| (c.variant.clone(), *ns));
    let least_ns = winner.warm.map_or(ns, |t| t.min * times);
    let times = ranked.iter().map(|(ns, row, _)| Timed { row: *row, ns: *ns }).collect();
    Some(Found { row, ns, least_ns, runner_up, times, batch, shipped, measured: record.measured })
}
