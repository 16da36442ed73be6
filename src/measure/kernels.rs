//! Candidates of a case against each other: checked, then timed in turn over several rounds.

use super::candidate::{Bench, Candidate};
use super::odd::relatives;
use super::problem::{Problem, fits};
use super::stopwatch::Stopwatch;
use super::{CandidateResult, CaseResult, Times, Verdict};
use crate::engine::Engine;
use crate::kernel::{Case, Precision, Variant};
use crate::{Error, Result};
use std::time::{Duration, Instant};

/// How to measure.
#[derive(Clone, Debug)]
pub struct KernelOptions {
    /// Samples of each candidate; up to three times as many while those of the best are far apart, as on a machine that
    /// does other work too.
    pub rounds: u32,
    /// What a sample takes at the least: a fast kernel is dispatched many times in it.
    pub sample: Duration,
    /// Runs of each candidate that are checked, on two sets of data in turn.
    pub checks: u32,
    /// Largest error that counts as right; by precision if `None`.
    pub tolerance: Option<f64>,
    /// Whether kernels that are not of our table are held against the reference at odd shapes too.
    pub odd: bool,
    /// Whether to measure with flushed caches too.
    pub cold: bool,
    /// After this time no candidate is begun and no round either.
    pub budget: Option<Duration>,
    /// What makes of a kernel one that counts the bytes that it moves (`lab::counting`); without it they are not counted.
    pub counting: Option<fn(&Variant, Precision) -> Result<Counting>>,
    /// What makes of a kernel that is not of our table one whose writes behind its output's binding land at its end, where they
    /// are seen (`lab::confined`); without it those that the driver drops are not seen.
    pub confined: Option<fn(&Variant, Precision) -> Result<Variant>>,
    /// A candidate this many times slower than the best is timed in two rounds alone; 0 times all to the end.
    pub hopeless: f64,
}

/// A kernel that counts what another one moves.
#[derive(Clone, Debug)]
pub struct Counting {
    /// The kernel: it writes two words for each name into its output, bytes modulo 256 and bytes divided by 256.
    pub variant: Variant,
    /// The buffers.
    pub names: Vec<String>,
}

impl Default for KernelOptions {
    fn default() -> Self {
        Self {
            rounds: 7,
            sample: Duration::from_millis(2),
            checks: 3,
            tolerance: None,
            odd: true,
            cold: false,
            budget: None,
            counting: None,
            confined: None,
            hopeless: 3.0,
        }
    }
}

/// What is done with a candidate next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is compiled and held against the reference.
    Check,
    /// It is dispatched to be timed, or for its bytes to be counted.
    Time,
}

/// Bytes that are written to push everything else out of the caches.
const FLUSH: u64 = 64 << 20;

/// Measures `variants` on a case; those that do not apply are left out.
///
/// # Errors
/// [`Error::NoVariant`] if none applies, [`Error::Graph`] for a case whose shapes do not fit each other, [`Error::Limit`] for one
/// that does not fit the device, [`Error::OutOfMemory`] if there is no memory for its buffers, [`Error::DeviceLost`]. What a
/// candidate does wrong is its verdict.
pub fn kernels(
    engine: &Engine,
    watch: &Stopwatch,
    case: &Case,
    precision: Precision,
    variants: &[&Variant],
    options: &KernelOptions,
) -> Result<CaseResult> {
    kernels_telling(engine, watch, case, precision, variants, options, &mut |_, _| {})
}

/// [`kernels`], telling before each dispatch what is done with which candidate: whoever watches from outside knows then which
/// one does not end.
///
/// # Errors
/// As [`kernels`].
pub fn kernels_telling(
    engine: &Engine,
    watch: &Stopwatch,
    case: &Case,
    precision: Precision,
    variants: &[&Variant],
    options: &KernelOptions,
    tell: &mut dyn FnMut(Stage, &Variant),
) -> Result<CaseResult> {
    let start = Instant::now();
    let in_time = || options.budget.is_none_or(|budget| start.elapsed() < budget);
    let profile = engine.profile();
    if precision.needs_f16() && !profile.f16 {
        return Err(Error::Option { option: "precision", message: format!("{} cannot compute in f16; use f32", profile.name) });
    }
    fits(case, precision, profile)?;
    let apply: Vec<_> = variants.iter().filter(|v| v.check(case, precision, profile).is_ok()).collect();
    if apply.is_empty() {
        let why = |v: &&Variant| v.check(case, precision, profile).err().map(|why| format!("{}: {why}", v.name));
        let reasons = variants.iter().filter(|v| v.op == case.op).filter_map(why).collect::<Vec<_>>().join("; ");
        return Err(Error::NoVariant { node: format!("{} {case}", case.op), reasons });
    }
    let problem = Problem::new(*case)?;
    // The reference takes its time on large batches: one set of data has to do there.
    let sets = if case.macs() < 1 << 28 { 2 } else { 1 };
    let mut bench = Bench::new(engine, &problem, precision, sets)?;
    let mut results = Vec::new();
    let mut timed = Vec::new();
    for variant in apply {
        if !in_time() {
            let workgroups = variant.dispatch(case, profile).workgroups;
            results.push(CandidateResult::new(variant, workgroups, Verdict::Skipped("no time was left".into())));
            continue;
        }
        tell(Stage::Check, variant);
        let tolerance = options.tolerance.unwrap_or(super::tolerance(precision));
        let (mut result, candidate) = bench.admit(variant, options.checks, tolerance)?;
        // Ours are held against odd shapes, and far writes, by the tests.
        if result.verdict.is_right() && variant.workgroups.is_some() {
            result.verdict = far_writes(&mut bench, precision, variant, options)?;
            if options.odd && result.verdict.is_right() {
                result.verdict = at_odd_shapes(engine, case, precision, variant, tolerance, options)?;
            }
        }
        if let Some(candidate) = candidate {
            timed.push(Timed { variant, place: results.len(), candidate, repeats: 1, samples: Vec::new(), cold: Vec::new() });
        }
        results.push(result);
    }
    race(watch, &mut timed, options, &in_time, tell)?;
    if options.cold {
        cold(engine, watch, &mut timed, options, &in_time, tell)?;
    }
    for t in timed {
        results[t.place].warm = Times::of(&t.samples, t.repeats);
        results[t.place].cold = Times::of(&t.cold, 1);
    }
    if let Some(counting) = options.counting {
        for result in results.iter_mut().filter(|r| r.verdict.is_right()) {
            let variant = variants.iter().find(|v| super::fingerprint(v) == result.fingerprint).filter(|_| in_time());
            // A kernel that cannot be counted is measured all the same.
            let counted = variant.map(|v| {
                tell(Stage::Time, v);
                counting(v, precision).and_then(|counting| bench.count(&counting))
            });
            match counted {
                Some(Err(Error::DeviceLost(why))) => return Err(Error::DeviceLost(why)),
                Some(Err(why)) => tracing::debug!("{}: {why}", result.variant),
                Some(Ok(moved)) => result.moved = moved,
                None => {}
            }
        }
    }
    Ok(CaseResult { case: *case, precision, clock: watch.clock(), candidates: results })
}

/// Dispatches a kernel once on a case, and looks at nothing that it gives: a probe of whether it compiles and ends, for a
/// process that can be killed if it does not.
///
/// # Errors
/// [`Error::Kernel`] if it does not compile or apply, [`Error::Device`] and [`Error::DeviceLost`] if its run failed.
pub fn dispatch_once(engine: &Engine, case: &Case, precision: Precision, variant: &Variant) -> Result<()> {
    fits(case, precision, engine.profile())?;
    let problem = Problem::new(*case)?;
    Bench::new(engine, &problem, precision, 0)?.compile(variant).map(|_| ())
}

/// What becomes of a kernel whose writes that a driver drops are kept and seen.
fn far_writes(bench: &mut Bench<'_>, precision: Precision, variant: &Variant, options: &KernelOptions) -> Result<Verdict> {
    let Some(confined) = options.confined else { return Ok(Verdict::Right) };
    match confined(variant, precision).and_then(|copy| bench.confine(&copy)) {
        Err(Error::DeviceLost(why)) => Err(Error::DeviceLost(why)),
        // A kernel that cannot be rewritten is measured all the same.
        Err(why) => {
            tracing::debug!("{}: far writes are not seen: {why}", variant.name);
            Ok(Verdict::Right)
        }
        verdict => verdict,
    }
}

/// What becomes of a kernel at the odd relatives of a case.
fn at_odd_shapes(
    engine: &Engine,
    case: &Case,
    precision: Precision,
    variant: &Variant,
    tolerance: f64,
    options: &KernelOptions,
) -> Result<Verdict> {
    for relative in relatives(case).iter().filter(|c| variant.check(c, precision, engine.profile()).is_ok()) {
        let problem = Problem::new(*relative)?;
        let mut bench = Bench::new(engine, &problem, precision, 1)?;
        let (mut result, _) = bench.admit(variant, 2, tolerance)?;
        if result.verdict.is_right() {
            result.verdict = far_writes(&mut bench, precision, variant, options)?;
        }
        let said = |why: &str| format!("{why} (right at the shape that was asked for, wrong at {relative})");
        match &result.verdict {
            Verdict::Right => {}
            Verdict::Differs(why) => return Ok(Verdict::Differs(said(why))),
            Verdict::Unsteady(why) => return Ok(Verdict::Unsteady(said(why))),
            Verdict::OutOfBounds(why) => return Ok(Verdict::OutOfBounds(said(why))),
            Verdict::Failed(why) | Verdict::Skipped(why) => return Ok(Verdict::Failed(said(why))),
        }
    }
    Ok(Verdict::Right)
}

struct Timed<'v> {
    variant: &'v Variant,
    /// Its place among the results.
    place: usize,
    candidate: Candidate,
    repeats: u32,
    samples: Vec<f64>,
    cold: Vec<f64>,
}

impl Timed<'_> {
    fn sample(&self, watch: &Stopwatch) -> Result<f64> {
        watch.time(&mut |pass| self.candidate.dispatch(pass, self.repeats)).map(|ns| ns / f64::from(self.repeats))
    }
    fn best(&self) -> f64 {
        self.samples.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

/// Finds how often each candidate must be dispatched in a sample, then takes samples of all in turn.
fn race(
    watch: &Stopwatch,
    timed: &mut [Timed<'_>],
    options: &KernelOptions,
    in_time: &dyn Fn() -> bool,
    tell: &mut dyn FnMut(Stage, &Variant),
) -> Result<()> {
    let least = options.sample.as_nanos() as f64;
    for t in timed.iter_mut() {
        tell(Stage::Time, t.variant);
        t.repeats = watch.repeats(least, &mut |pass, repeats| t.candidate.dispatch(pass, repeats))?;
    }
    let rounds = options.rounds.max(1);
    for round in 0..3 * rounds {
        // The first round is taken in any case: a candidate that is there has a time.
        if round > 0 && !in_time() || round >= rounds && steady(timed) {
            break;
        }
        let best = timed.iter().map(Timed::best).fold(f64::INFINITY, f64::min);
        for t in timed.iter_mut() {
            // Not by one sample, which may have met something else.
            let hopeless = t.samples.len() > 1 && options.hopeless > 0.0 && t.best() > options.hopeless * best;
            if !hopeless {
                tell(Stage::Time, t.variant);
                // The candidates before it have pushed its data out of the caches.
                watch.time(&mut |pass| t.candidate.dispatch(pass, 1))?;
                let sample = t.sample(watch)?;
                t.samples.push(sample);
            }
        }
    }
    Ok(())
}

/// Whether four of five samples of the best candidate lie within a fifth of its median.
fn steady(timed: &[Timed<'_>]) -> bool {
    let times = timed.iter().filter_map(|t| Times::of(&t.samples, t.repeats));
    let best = times.min_by(|a, b| a.median.total_cmp(&b.median));
    best.is_none_or(|t| t.p90 - t.p10 <= 0.2 * t.median)
}

/// Times single dispatches, each after writing more than the caches hold.
fn cold(
    engine: &Engine,
    watch: &Stopwatch,
    timed: &mut [Timed<'_>],
    options: &KernelOptions,
    in_time: &dyn Fn() -> bool,
    tell: &mut dyn FnMut(Stage, &Variant),
) -> Result<()> {
    let size = FLUSH.min(engine.profile().max_buffer_size);
    let flush = engine.device().create_buffer(&wgpu::BufferDescriptor {
        label: Some("flush"),
        size,
        usage: wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    for _ in 0..options.rounds.max(1) {
        for t in timed.iter_mut() {
            tell(Stage::Time, t.variant);
            let mut encoder = engine.device().create_command_encoder(&Default::default());
            encoder.clear_buffer(&flush, 0, None);
            engine.queue().submit([encoder.finish()]);
            watch.wait()?;
            let sample = watch.time(&mut |pass| t.candidate.dispatch(pass, 1))?;
            t.cold.push(sample);
        }
        if !in_time() {
            break;
        }
    }
    Ok(())
}
