//! Sweeps: many candidates of many cases, all of them to the end or the better ones alone, and going on where a run ended.
//!
//! [`Sweep`] decides what is measured when; a [`SweepBench`] measures it: [`Here`] in this process, the tool with users'
//! kernels in a child.

use super::{Entry, LayerCase, Roof, confined, counting, join};
use crate::engine::Engine;
use crate::kernel::{Case, Precision, Variant};
use crate::measure::{self, CandidateResult, KernelOptions, Stopwatch, Verdict, fingerprint};
use crate::tune::DeviceKey;
use crate::{Error, Result};
use std::time::{Duration, Instant};

/// How candidates are weeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// All with all rounds.
    Grid,
    /// All with few rounds, the better third with three times as many, and so on.
    Halving,
}

/// What is left of the candidates from rung to rung.
const KEPT: usize = 3;

impl Strategy {
    /// Rounds of each rung.
    pub fn rungs(self, rounds: u32) -> Vec<u32> {
        match self {
            Strategy::Grid => vec![rounds.max(1)],
            Strategy::Halving => {
                let mut rungs = vec![rounds.max(1)];
                while rungs[0] > 2 {
                    rungs.insert(0, rungs[0].div_ceil(3));
                }
                rungs
            }
        }
    }
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct SweepOptions {
    /// How candidates are weeded.
    pub strategy: Strategy,
    /// Samples of each candidate that is left at the end.
    pub rounds: u32,
    /// Time for one case.
    pub case_budget: Duration,
    /// No case is begun after it.
    pub budget: Option<Duration>,
}

impl Default for SweepOptions {
    fn default() -> Self {
        Self { strategy: Strategy::Grid, rounds: 9, case_budget: Duration::from_secs(20), budget: None }
    }
}

/// What is to be measured next.
#[derive(Clone, Debug)]
pub struct Rung<'a> {
    /// The case.
    pub case: Case,
    /// Its candidates.
    pub candidates: Vec<&'a Variant>,
    /// Samples of each.
    pub rounds: u32,
    /// After this time no candidate is begun.
    pub budget: Duration,
}

/// Who measures for a sweep, and what becomes of its results.
pub trait SweepBench {
    /// What can go wrong.
    type Error: From<Error>;

    /// Measures the candidates of a rung against each other.
    ///
    /// # Errors
    /// Of the device, or [`Error::NoVariant`] where none applies.
    fn measure(&mut self, rung: &Rung<'_>) -> std::result::Result<Entry, Self::Error>;

    /// A result that is to be kept: each is given once, when it is there.
    ///
    /// # Errors
    /// Where it cannot be kept; the sweep ends with it.
    fn keep(&mut self, entry: &Entry) -> std::result::Result<(), Self::Error>;

    /// A case that could not be measured; the sweep goes on where this is `Ok`.
    ///
    /// # Errors
    /// The error, where the sweep is to end with it: what is not overridden does that.
    fn failed(&mut self, _case: &LayerCase, error: Self::Error) -> std::result::Result<(), Self::Error> {
        Err(error)
    }

    /// Whether to go on, asked before each rung.
    fn go_on(&self) -> bool {
        true
    }
}

/// A sweep over cases, and what is on record of them.
#[derive(Clone, Debug)]
pub struct Sweep<'a> {
    engine: &'a Engine,
    precision: Precision,
    variants: Vec<&'a Variant>,
    options: SweepOptions,
    /// What is on record: what the sweep was begun with and what it measured, candidates of a case as one entry.
    pub entries: Vec<Entry>,
    /// Candidates that it measured.
    pub measured: usize,
}

impl<'a> Sweep<'a> {
    /// A sweep of `variants`, ours and the user's, beyond what `entries` have of them on this device.
    pub fn new(engine: &'a Engine, precision: Precision, variants: Vec<&'a Variant>, entries: Vec<Entry>, options: SweepOptions) -> Self {
        Self { engine, precision, variants, options, entries: join(entries), measured: 0 }
    }

    /// Measures what is not on record yet, case by case; gives how many cases are done.
    ///
    /// # Errors
    /// Those of the bench.
    pub fn run<B: SweepBench>(&mut self, cases: &[LayerCase], bench: &mut B) -> std::result::Result<usize, B::Error> {
        let start = Instant::now();
        for (done, case) in cases.iter().enumerate() {
            if !bench.go_on() || self.options.budget.is_some_and(|budget| start.elapsed() >= budget) {
                return Ok(done);
            }
            if let Err(error) = self.case(case, bench) {
                bench.failed(case, error)?;
            }
        }
        Ok(cases.len())
    }

    /// What is on record of a case, measured on this device.
    pub fn entry(&self, case: &LayerCase) -> Option<&Entry> {
        let device = DeviceKey::of(self.engine.profile());
        let same =
            |e: &&Entry| e.result.case == case.case && e.result.precision == self.precision && e.device == device && e.layer == case.layer;
        self.entries.iter().find(same)
    }

    fn case<B: SweepBench>(&mut self, case: &LayerCase, bench: &mut B) -> std::result::Result<(), B::Error> {
        let profile = self.engine.profile();
        let applies: Vec<&Variant> =
            self.variants.iter().copied().filter(|v| v.check(&case.case, self.precision, profile).is_ok()).collect();
        let start = Instant::now();
        for (at, rounds) in self.options.strategy.rungs(self.options.rounds).into_iter().enumerate() {
            let budget = self.options.case_budget.saturating_sub(start.elapsed());
            if at > 0 && (budget.is_zero() || !bench.go_on()) {
                break;
            }
            let candidates = todo(self.entry(case), &applies, at, rounds);
            if candidates.is_empty() {
                continue;
            }
            let entry = bench.measure(&Rung { case: case.case, candidates, rounds, budget })?;
            let entry = Entry { layer: case.layer.clone(), times: case.times, ..entry };
            self.measured += entry.result.candidates.len();
            bench.keep(&entry)?;
            self.entries = join(std::mem::take(&mut self.entries).into_iter().chain([entry]).collect());
        }
        Ok(())
    }
}

/// Measures in this process: for kernels that are known to end.
#[derive(Debug)]
pub struct Here<'a> {
    /// The device.
    pub engine: &'a Engine,
    /// Its clock.
    pub watch: &'a Stopwatch,
    /// Types.
    pub precision: Precision,
    /// What results stand against.
    pub roof: Option<&'a Roof>,
}

impl SweepBench for Here<'_> {
    type Error = Error;

    fn measure(&mut self, rung: &Rung<'_>) -> Result<Entry> {
        let options = KernelOptions {
            rounds: rung.rounds,
            checks: 6,
            budget: Some(rung.budget),
            counting: Some(counting),
            confined: Some(confined),
            ..KernelOptions::default()
        };
        let result = measure::kernels(self.engine, self.watch, &rung.case, self.precision, &rung.candidates, &options)?;
        let foreign: Vec<Variant> = rung.candidates.iter().filter(|v| v.workgroups.is_some()).map(|v| (*v).clone()).collect();
        Ok(Entry::new(self.engine.profile(), result, self.roof).with_sources(&foreign))
    }

    /// The sweep has them.
    fn keep(&mut self, _: &Entry) -> Result<()> {
        Ok(())
    }
}

/// What is to be measured on a rung: the candidates that got this far and are not on record with as many rounds.
/// `entry` is what the record has of the case.
fn todo<'a>(entry: Option<&Entry>, candidates: &[&'a Variant], rung: usize, rounds: u32) -> Vec<&'a Variant> {
    let found = |v: &Variant| {
        let print = fingerprint(v);
        entry.and_then(|e| e.result.candidates.iter().find(|c| c.fingerprint == print && !matches!(c.verdict, Verdict::Skipped(_))))
    };
    // A candidate that was weeded in the course of a rung has fewer samples than it, and is known all the same.
    let known = |c: &CandidateResult| !c.verdict.is_right() || c.warm.is_some_and(|t| rung == 0 || t.samples >= rounds);
    survivors(entry, candidates, rung).into_iter().filter(|v| !found(v).is_some_and(known)).collect()
}

/// The candidates that are still there on a rung: all on the first, the best third of the right ones on the next.
fn survivors<'a>(entry: Option<&Entry>, candidates: &[&'a Variant], rung: usize) -> Vec<&'a Variant> {
    let Some(entry) = entry.filter(|_| rung > 0) else { return candidates.to_vec() };
    let ns = |v: &Variant| entry.result.candidates.iter().find(|c| c.fingerprint == fingerprint(v)).and_then(CandidateResult::ns);
    let mut ranked: Vec<(f64, &Variant)> = candidates.iter().filter_map(|v| Some((ns(v)?, *v))).collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Two at the least: one alone would have nothing to be held against.
    let kept = (0..rung).fold(candidates.len(), |n, _| n.div_ceil(KEPT)).max(2);
    ranked.into_iter().take(kept).map(|(_, v)| v).collect()
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::entry;
    use super::*;
    use crate::kernel::{OpKind, variants};

    #[test]
    fn rungs_end_with_all_rounds() {
        assert_eq!(Strategy::Grid.rungs(9), [9]);
        assert_eq!(Strategy::Halving.rungs(9), [1, 3, 9]);
        assert_eq!(Strategy::Halving.rungs(1), [1]);
    }

    #[test]
    fn what_is_on_record_is_not_measured_again_and_the_slow_are_weeded() {
        let table = variants();
        let names = ["register_tile", "split_k", "workgroup_tile"];
        let rows: Vec<&Variant> = names.iter().filter_map(|n| table.iter().find(|v| v.op == OpKind::Pointwise && v.name == *n)).collect();
        let left =
            |entry: Option<&Entry>, rung, rounds| todo(entry, &rows, rung, rounds).iter().map(|v| v.name.to_string()).collect::<Vec<_>>();
        assert_eq!(left(None, 0, 1), names);
        let some = entry(7, &[("split_k", 100.0)]);
        assert_eq!(left(Some(&some), 0, 1), ["register_tile", "workgroup_tile"]);
        let all = entry(7, &[("split_k", 100.0), ("register_tile", 300.0), ("workgroup_tile", 200.0)]);
        assert!(left(Some(&all), 0, 1).is_empty());
        assert_eq!(left(Some(&all), 1, 27), ["split_k", "workgroup_tile"], "with more rounds than are on record");
        assert!(left(Some(&all), 1, 9).is_empty());
    }
}
