//! Measuring what a model needs: its distinct cases, all kernels that apply to each, the record kept case by case.
//!
//! It can be stopped after any case and goes on where it was, because what the record has already is not measured again.

use super::TuningRecord;
use crate::engine::Engine;
use crate::gpu::DeviceProfile;
use crate::graph::Graph;
use crate::graph::passes::fuse_blocks;
use crate::kernel::{Case, Precision, Variant};
use crate::measure::{self, CandidateResult, CaseResult, KernelOptions, Stopwatch, Verdict, fingerprint};
use crate::plan::{Plan, PlanOptions};
use crate::{Error, Result};
use std::ops::ControlFlow;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How to tune.
#[derive(Clone, Debug)]
pub struct TuneOptions {
    /// How to measure a case.
    pub kernels: KernelOptions,
    /// No case is begun after this time.
    pub budget: Option<Duration>,
    /// Measures what the record has already, too.
    pub again: bool,
}

impl Default for TuneOptions {
    /// At most ten seconds a case: a kernel that takes longer is not the one to be found.
    fn default() -> Self {
        let kernels = KernelOptions { budget: Some(Duration::from_secs(10)), ..KernelOptions::default() };
        Self { kernels, budget: None, again: false }
    }
}

/// What is told after each case.
#[derive(Debug)]
pub struct Progress<'a> {
    /// Cases that are done, those that the record had among them.
    pub done: usize,
    /// Cases in all.
    pub total: usize,
    /// The case.
    pub case: &'a Case,
    /// What was measured; `Err` if the case cannot be measured here, for instance for want of memory.
    pub result: std::result::Result<&'a CaseResult, &'a Error>,
    /// Time that is left by what the cases took so far.
    pub left: Duration,
    /// The record with this case in it: to be saved.
    pub record: &'a TuningRecord,
}

/// What became of a tuning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tuned {
    /// Cases in all.
    pub total: usize,
    /// Cases that were measured now.
    pub measured: usize,
    /// Cases that the record had already.
    pub known: usize,
    /// Cases that cannot be measured here.
    pub failed: usize,
}

impl Tuned {
    /// Cases for which no time was left.
    pub fn left(&self) -> usize {
        self.total - self.measured - self.known - self.failed
    }
}

/// The distinct cases of a graph (passes done) at each batch, with the blocks that could be fused and their parts: those
/// where there is something to choose.
///
/// # Errors
/// As [`Plan::fitting`], whose micro-batch counts: what goes through the steps together.
pub fn cases(graph: &Graph, profile: &DeviceProfile, variants: &[Variant], batches: &[u32], precision: Precision) -> Result<Vec<Case>> {
    let mut cases: Vec<Case> = Vec::new();
    for batch in batches {
        let batch = Plan::fitting(graph, profile, variants, &PlanOptions { batch: *batch, precision, ..Default::default() })?.micro_batch;
        let applicable = |case: &Case| variants.iter().filter(|v| v.check(case, precision, profile).is_ok()).count();
        let mut found: Vec<Case> = graph.nodes().iter().filter_map(|node| Case::of(graph, node, batch)).collect();
        found.retain(|case| applicable(case) > 1);
        fuse_blocks(graph, |graph, block| {
            let fused = Case::of(graph, &block.fused, batch).filter(|case| applicable(case) > 0);
            if let Some(fused) = fused {
                found.push(fused);
                found.extend(block.separate.iter().filter_map(|id| Case::of(graph, graph.node(*id), batch)));
            }
            false
        });
        for case in found {
            let key = TuningRecord::key(&case, precision);
            if cases.iter().all(|c| TuningRecord::key(c, precision) != key) {
                cases.push(case);
            }
        }
    }
    Ok(cases)
}

/// Whether the record has every kernel that applies, as it is now.
fn known(record: &TuningRecord, case: &Case, precision: Precision, profile: &DeviceProfile, variants: &[Variant]) -> bool {
    let Some(kept) = record.get(case, precision) else { return false };
    variants.iter().filter(|v| v.check(case, precision, profile).is_ok()).all(|variant| {
        let print = fingerprint(variant);
        let measured = |c: &CandidateResult| c.warm.is_some() || !matches!(c.verdict, Verdict::Right | Verdict::Skipped(_));
        kept.candidates.iter().any(|c| c.variant == variant.name && c.fingerprint == print && measured(c))
    })
}

/// Measures all `cases` into `record`. `on_case` is called after each that was measured; it saves the record, shows how
/// far it is, and may stop it.
///
/// # Errors
/// [`Error::DeviceLost`]; a case that cannot be measured is told to `on_case`.
pub fn tune(
    engine: &Engine,
    cases: &[Case],
    precision: Precision,
    record: &mut TuningRecord,
    options: &TuneOptions,
    on_case: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
) -> Result<Tuned> {
    let (start, watch) = (Instant::now(), Stopwatch::new(engine.device(), engine.queue())?);
    let (profile, variants) = (engine.profile(), engine.variants());
    let is_known = |record: &TuningRecord, case: &&Case| !options.again && known(record, case, precision, profile, variants);
    let todo: Vec<&Case> = cases.iter().filter(|case| !is_known(record, case)).collect();
    let mut tuned = Tuned { total: cases.len(), known: cases.len() - todo.len(), ..Default::default() };
    let rows: Vec<&Variant> = variants.iter().collect();
    for (i, case) in todo.iter().enumerate() {
        if options.budget.is_some_and(|budget| start.elapsed() >= budget) {
            break;
        }
        let result = measure::kernels(engine, &watch, case, precision, &rows, &options.kernels);
        match &result {
            Ok(result) => {
                record.insert(result.clone(), now());
                tuned.measured += 1;
            }
            Err(Error::DeviceLost(why)) => return Err(Error::DeviceLost(why.clone())),
            Err(_) => tuned.failed += 1,
        }
        let each = start.elapsed() / (i as u32 + 1);
        let progress = Progress {
            done: tuned.known + i + 1,
            total: cases.len(),
            case,
            result: result.as_ref(),
            left: each * (todo.len() - i - 1) as u32,
            record,
        };
        if on_case(&progress).is_break() {
            break;
        }
    }
    Ok(tuned)
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
