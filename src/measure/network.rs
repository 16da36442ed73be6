//! Whole networks: latency, two settings against each other, and the time of each step.

use super::stopwatch::Stopwatch;
use super::{Clock, quantile};
use crate::Result;
use crate::engine::{Input, Session};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// How often to run.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions {
    /// Runs before the clock counts.
    pub warm_up: u32,
    /// Runs that count.
    pub runs: u32,
    /// No run is begun after this time, but for the first three.
    pub budget: Option<Duration>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self { warm_up: 3, runs: 50, budget: Some(Duration::from_secs(20)) }
    }
}

/// Times of whole runs in nanoseconds, from the values in host memory to the outputs in host memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Pictures of a run.
    pub batch: u32,
    /// Number of runs.
    pub runs: u32,
    /// Smallest.
    pub min: f64,
    /// Half of the runs took less.
    pub median: f64,
    /// A tenth of the runs took more.
    pub p90: f64,
    /// One in twenty took more.
    pub p95: f64,
    /// One in a hundred took more.
    pub p99: f64,
    /// Median of what the host spends on a run: input copied, commands recorded and submitted.
    pub host: f64,
}

/// One run's nanoseconds: in all, and of the host.
fn run(session: &mut Session, input: Input<'_>) -> Result<(f64, f64)> {
    let start = Instant::now();
    let pending = session.submit(input)?;
    let host = start.elapsed().as_nanos() as f64;
    pending.wait()?;
    Ok((start.elapsed().as_nanos() as f64, host))
}

fn summary(batch: u32, runs: &[(f64, f64)]) -> Latency {
    let sorted = |pick: fn(&(f64, f64)) -> f64| {
        let mut times: Vec<f64> = runs.iter().map(pick).collect();
        times.sort_by(f64::total_cmp);
        times
    };
    let (all, host) = (sorted(|r| r.0), sorted(|r| r.1));
    let at = |times: &[f64], q| quantile(times, q).unwrap_or(f64::NAN);
    Latency {
        batch,
        runs: runs.len() as u32,
        min: at(&all, 0.0),
        median: at(&all, 0.5),
        p90: at(&all, 0.9),
        p95: at(&all, 0.95),
        p99: at(&all, 0.99),
        host: at(&host, 0.5),
    }
}

/// Whether another run fits.
fn more(done: usize, start: Instant, options: &RunOptions) -> bool {
    let in_time = options.budget.is_none_or(|budget| start.elapsed() < budget);
    done < options.runs.max(1) as usize && (done < 3 || in_time)
}

/// Runs a session on one input many times.
///
/// # Errors
/// As [`Session::submit`] and [`crate::engine::Pending::wait`].
pub fn latency(session: &mut Session, input: Input<'_>, options: &RunOptions) -> Result<Latency> {
    for _ in 0..options.warm_up {
        run(session, input)?;
    }
    let (start, mut runs) = (Instant::now(), Vec::new());
    while more(runs.len(), start, options) {
        runs.push(run(session, input)?);
    }
    Ok(summary(input.batch() as u32, &runs))
}

/// Two settings, measured in turn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The first.
    pub a: Latency,
    /// The second.
    pub b: Latency,
    /// Time of the second in parts of the first's: median over neighbouring runs. Above 1 the second is slower.
    pub ratio: f64,
    /// The median is between these with a certainty of about 95 % (order statistics of the pairs' ratios).
    pub low: f64,
    /// See `low`.
    pub high: f64,
}

impl Comparison {
    /// Whether the difference is more than noise: the interval does not contain 1.
    pub fn differs(&self) -> bool {
        self.low > 1.0 || self.high < 1.0
    }
}

/// Runs two sessions in turn, so that what else the machine does meets both.
///
/// # Errors
/// As [`latency`].
pub fn compare(a: (&mut Session, Input<'_>), b: (&mut Session, Input<'_>), options: &RunOptions) -> Result<Comparison> {
    let ((a, input_a), (b, input_b)) = (a, b);
    for _ in 0..options.warm_up {
        run(a, input_a)?;
        run(b, input_b)?;
    }
    let (start, mut first, mut second) = (Instant::now(), Vec::new(), Vec::new());
    while more(first.len(), start, options) {
        // Who comes first changes, for what the one leaves in the caches helps the other.
        if first.len() % 2 == 0 {
            first.push(run(a, input_a)?);
            second.push(run(b, input_b)?);
        } else {
            second.push(run(b, input_b)?);
            first.push(run(a, input_a)?);
        }
    }
    let ratios: Vec<f64> = first.iter().zip(&second).map(|(a, b)| b.0 / a.0).collect();
    let (ratio, low, high) = median_interval(&ratios);
    Ok(Comparison { a: summary(input_a.batch() as u32, &first), b: summary(input_b.batch() as u32, &second), ratio, low, high })
}

/// The median and an interval that holds the true one with about 95 %: ranks `n/2 -+ 0.98 sqrt(n)` of the sorted values
/// (normal approximation of the binomial distribution).
pub fn median_interval(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let at = |rank: f64| quantile(&sorted, (rank - 1.0) / (n - 1.0).max(1.0)).unwrap_or(f64::NAN);
    let reach = 0.98 * n.sqrt();
    (at(n / 2.0 + 0.5), at((n / 2.0 - reach).floor().max(1.0)), at((n / 2.0 + reach + 1.0).ceil().min(n)))
}

/// Time of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepTime {
    /// The node.
    pub node: String,
    /// Its op.
    pub op: String,
    /// The kernel.
    pub variant: String,
    /// Median nanoseconds.
    pub ns: f64,
    /// Share of the sum of all steps.
    pub share: f64,
    /// Billions of floating-point operations a second, two for each multiply-accumulate.
    pub gflops: f64,
    /// Billions of bytes a second of those that it must move.
    pub gbytes: f64,
}

/// Time by step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Where the times come from.
    pub clock: Clock,
    /// How they were taken, in words.
    pub method: String,
    /// Pictures of a run.
    pub batch: u32,
    /// The steps in order.
    pub steps: Vec<StepTime>,
    /// Sum of the steps, in nanoseconds.
    pub sum: f64,
    /// Median of whole runs, in nanoseconds; what is beyond the sum is submitting, copying and reading back.
    pub whole: f64,
}

/// Time of each step of a session: by timestamps around passes of one step each where the device's tell the time, else
/// each step alone, many times.
///
/// # Errors
/// As [`latency`] and [`Stopwatch::new`].
pub fn profile(session: &mut Session, input: Input<'_>, options: &RunOptions) -> Result<Profile> {
    let whole = latency(session, input, options)?;
    let watch = Stopwatch::new(session.engine().device(), session.engine().queue())?;
    let steps = session.plan().steps.len();
    let (times, method) = match watch.clock() {
        Clock::Timestamps if steps <= 512 => {
            let mut samples = vec![Vec::new(); steps];
            let start = Instant::now();
            while more(samples.first().map_or(0, Vec::len), start, options) {
                let times = watch.passes(steps as u32, &mut |i, pass| session.record_step(pass, i as usize, 1))?;
                samples.iter_mut().zip(times).for_each(|(s, t)| s.push(t));
            }
            (samples, "GPU timestamps around a pass for each step, the network run in order".to_string())
        }
        _ => (alone(session, &watch, options)?, "each step alone, many times in one submit, by the host's clock".to_string()),
    };
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        quantile(&times, 0.5).unwrap_or(0.0)
    };
    let times: Vec<f64> = times.into_iter().map(median).collect();
    let sum: f64 = times.iter().sum();
    let plan = session.plan();
    // A step of each pass of the run.
    let batch = input.batch() as u32;
    let pictures = plan.micro_batch.min(batch);
    let passes = f64::from(batch) / f64::from(pictures.max(1));
    let method = if passes > 1.0 { format!("{method}; {pictures} pictures at a time, times {passes}") } else { method };
    let steps = plan.steps.iter().zip(&times).map(|(step, ns)| {
        let case = step.case.with_batch(pictures);
        // The weights are read once whatever the batch, so the plan's own batch is not scaled.
        let bytes = if case.batch == step.case.batch { step.bytes_read(plan.precision) + step.bytes_written(plan.precision) } else { 0 };
        let per_ns = |amount: f64| if *ns > 0.0 { amount / ns } else { 0.0 };
        StepTime {
            node: step.node.clone(),
            op: case.op.to_string(),
            variant: step.variant.clone(),
            ns: passes * ns,
            share: if sum > 0.0 { ns / sum } else { 0.0 },
            gflops: per_ns(2.0 * case.macs() as f64),
            gbytes: per_ns(bytes as f64),
        }
    });
    Ok(Profile { clock: watch.clock(), method, batch, steps: steps.collect(), sum: passes * sum, whole: whole.median })
}

/// Samples of each step by the host's clock, at least 2 ms each.
fn alone(session: &Session, watch: &Stopwatch, options: &RunOptions) -> Result<Vec<Vec<f64>>> {
    let count = session.plan().steps.len();
    let repeats = |i| watch.repeats(2e6, &mut |pass, repeats| session.record_step(pass, i, repeats));
    let repeats: Vec<u32> = (0..count).map(repeats).collect::<Result<_>>()?;
    let (mut samples, start) = (vec![Vec::new(); count], Instant::now());
    let rounds = RunOptions { runs: options.runs.min(9), ..*options };
    while more(samples.first().map_or(0, Vec::len), start, &rounds) {
        for (i, samples) in samples.iter_mut().enumerate() {
            let ns = watch.time(&mut |pass| session.record_step(pass, i, repeats[i]))?;
            samples.push(ns / f64::from(repeats[i]));
        }
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_median_and_shrinks() {
        let values = |n: u32| (0..n).map(|i| 1.0 + f64::from(i) / f64::from(n)).collect::<Vec<_>>();
        let (few, many) = (median_interval(&values(20)), median_interval(&values(500)));
        for (median, low, high) in [few, many] {
            assert!(low <= median && median <= high);
        }
        assert!(many.2 - many.1 < few.2 - few.1);
        assert_eq!(median_interval(&[2.0]), (2.0, 2.0, 2.0));
    }
}
