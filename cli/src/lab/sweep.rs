//! `mobilenet lab sweep`: many candidates of many cases, kept candidate by candidate, going on where it was stopped.

use super::bench::{Bench, CaseOptions, Effort, Own, OwnOptions};
use super::{record, seconds, table};
use crate::failure::{Failure, Outcome, Status, tell};
use crate::interrupt;
use crate::options::DeviceOptions;
use crate::output::Output;
use clap::ValueEnum;
use mobilenet_wgpu::kernel::{Case, Variant};
use mobilenet_wgpu::lab::{self, Entry, Strategy};
use mobilenet_wgpu::tune::DeviceKey;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Measure all kernels and all values of a kernel's parameters, for a shape or a whole model, into a record
#[derive(clap::Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    cases: CaseOptions,
    /// Only these variants
    #[arg(long, value_name = "NAME,NAME…", value_delimiter = ',')]
    variant: Vec<String>,
    #[command(flatten)]
    own: OwnOptions,
    /// The record: JSON lines. What it has already is not measured again
    #[arg(long, short, value_name = "FILE.jsonl")]
    output: PathBuf,
    /// All with all rounds, or all with few and the better third with more
    #[arg(long, value_enum, default_value_t = Plan::Grid)]
    strategy: Plan,
    /// Samples of each candidate that is left at the end
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Time for one case
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = seconds)]
    case_budget: Duration,
    /// Begin no further case after this time [default: go on to the end]
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    budget: Option<Duration>,
    /// Measure with flushed caches too
    #[arg(long, visible_alias = "flush")]
    cold: bool,
    /// Leave the roof alone if it is not on record yet
    #[arg(long)]
    no_roof: bool,
    /// The record's cases as one JSON array at the end
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Plan {
    Grid,
    Halving,
}

pub fn run(arguments: &Arguments) -> Outcome {
    interrupt::install();
    let own = arguments.own.read(arguments.cases.op)?;
    let cases = arguments.cases.cases(own.as_ref())?;
    let bench = Bench::open(&arguments.device, &arguments.variant, !arguments.no_roof)?;
    let mut sweep = Sweep { arguments, bench, own, entries: Vec::new(), measured: 0 };
    if arguments.output.exists() {
        let text = super::read(&arguments.output)?;
        sweep.entries = lab::read_entries(&text).map_err(|e| Failure::new(format!("{}: {e}", arguments.output.display())))?;
    }
    let (start, total) = (Instant::now(), cases.len());
    let mut shown = Vec::new();
    for (i, (layer, case, times)) in cases.into_iter().enumerate() {
        if interrupt::asked() || arguments.budget.is_some_and(|budget| start.elapsed() >= budget) {
            tell(&format!("{i} of {total} cases are done; the same command goes on"));
            break;
        }
        match sweep.case(layer.clone(), &case, times) {
            Ok(()) => shown.extend(sweep.position(&case, layer.as_deref())),
            Err(Failure::Fatal(error)) if layer.is_some() && !sweep.bench.engine.is_lost() => {
                tell(&format!("note: {}: {error}", layer.unwrap_or_default()));
            }
            Err(error) => return Err(error),
        }
    }
    let shown: Vec<&Entry> = shown.into_iter().map(|at| &sweep.entries[at]).collect();
    let mut out = Output::new();
    if arguments.json {
        out.json_pretty(&shown)?;
    } else {
        shown.iter().try_for_each(|entry| table::case(&mut out, entry))?;
        out.line(format!("{} candidates measured now; all are in {}", sweep.measured, arguments.output.display()))?;
    }
    out.flush()?;
    Ok(Status::Good)
}

struct Sweep<'a> {
    arguments: &'a Arguments,
    bench: Bench,
    own: Option<Own>,
    /// What the record has.
    entries: Vec<Entry>,
    /// Candidates that were measured by this run.
    measured: usize,
}

impl Sweep<'_> {
    fn case(&mut self, layer: Option<String>, case: &Case, times: u32) -> Outcome<()> {
        let strategy = match self.arguments.strategy {
            Plan::Grid => Strategy::Grid,
            Plan::Halving => Strategy::Halving,
        };
        let start = Instant::now();
        for (rung, rounds) in strategy.rungs(self.arguments.rounds).into_iter().enumerate() {
            let left = self.arguments.case_budget.saturating_sub(start.elapsed());
            if interrupt::asked() || rung > 0 && left.is_zero() {
                break;
            }
            let effort = Effort { rounds, cold: self.arguments.cold, budget: left };
            let Some(entry) = self.rung(layer.as_deref(), case, rung, effort)? else { continue };
            self.measured += entry.result.candidates.len();
            let entry = Entry { layer: layer.clone(), times, ..entry };
            record::append(&self.arguments.output, std::slice::from_ref(&entry))?;
            self.entries = lab::join(std::mem::take(&mut self.entries).into_iter().chain([entry]).collect());
        }
        Ok(())
    }

    /// Measures what is to be measured on a rung; `None` if the record has it all.
    fn rung(&self, layer: Option<&str>, case: &Case, rung: usize, effort: Effort) -> Outcome<Option<Entry>> {
        let profile = self.bench.engine.profile();
        let own = self.own.as_ref().filter(|own| own.op == case.op);
        let ours = self.bench.ours(case.op);
        let users: Vec<&Variant> = own.map(|own| own.variants.iter().collect()).unwrap_or_default();
        let all: Vec<&Variant> =
            ours.iter().chain(&users).copied().filter(|v| v.check(case, self.bench.precision, profile).is_ok()).collect();
        let known = self.position(case, layer).map(|at| &self.entries[at]);
        let todo = lab::todo(known, &all, rung, effort.rounds);
        if todo.is_empty() {
            return Ok(None);
        }
        let (users, ours): (Vec<&Variant>, Vec<&Variant>) = todo.into_iter().partition(|v| v.workgroups.is_some());
        self.bench.measure_these(case, &ours, own, &users, effort).map(Some)
    }

    /// Where the record has a case, measured on this device.
    fn position(&self, case: &Case, layer: Option<&str>) -> Option<usize> {
        let device = DeviceKey::of(self.bench.engine.profile());
        let same = |e: &Entry| {
            e.result.case == *case && e.result.precision == self.bench.precision && e.device == device && e.layer.as_deref() == layer
        };
        self.entries.iter().position(same)
    }
}
