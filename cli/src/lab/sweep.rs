//! `mobilenet lab sweep`: many candidates of many cases, kept candidate by candidate, going on where it was stopped.

use super::bench::{Bench, CaseOptions, Effort, Own, OwnOptions};
use super::{record, table};
use crate::failure::{Failure, Outcome, Status, tell};
use crate::interrupt;
use crate::options::DeviceOptions;
use crate::options::seconds;
use crate::output::Output;
use clap::ValueEnum;
use mobilenet_wgpu::kernel::{OpKind, Variant};
use mobilenet_wgpu::lab::{self, Entry, LayerCase, Rung, Strategy, Sweep, SweepBench, SweepOptions};
use std::path::PathBuf;
use std::time::Duration;

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
    let cases = arguments.cases.cases(own.as_ref(), &arguments.variant)?;
    let bench = Bench::open(&arguments.device, &arguments.variant, !arguments.no_roof)?;
    let mut entries = Vec::new();
    if arguments.output.exists() {
        let text = super::read(&arguments.output)?;
        entries = lab::read_entries(&text).map_err(|e| Failure::new(format!("{}: {e}", arguments.output.display())))?;
    }
    tell_inapplicable(&bench, own.as_ref(), &cases);
    let users = own.iter().flat_map(|own| &own.variants);
    let variants = OpKind::ALL.into_iter().flat_map(|op| bench.ours(op)).chain(users).collect();
    let options = SweepOptions {
        strategy: match arguments.strategy {
            Plan::Grid => Strategy::Grid,
            Plan::Halving => Strategy::Halving,
        },
        rounds: arguments.rounds,
        case_budget: arguments.case_budget,
        budget: arguments.budget,
    };
    let mut sweep = Sweep::new(&bench.engine, bench.precision, variants, entries, options);
    let done = sweep.run(&cases, &mut Worker { arguments, bench: &bench, own: own.as_ref() })?;
    if done < cases.len() {
        tell(&format!("{done} of {} cases are done; the same command goes on", cases.len()));
    }
    let shown: Vec<&Entry> = cases[..done].iter().filter_map(|case| sweep.entry(case)).collect();
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

/// Kernels of the user's that are not for a case are no candidates of it; that is told once.
fn tell_inapplicable(bench: &Bench, own: Option<&Own>, cases: &[LayerCase]) {
    for LayerCase { layer, case, .. } in cases {
        let of_op = own.into_iter().flat_map(|own| &own.variants).filter(|v| v.op == case.op);
        for (variant, why) in of_op.filter_map(|v| Some((v, bench.why_not(case, v)?))) {
            let place = layer.clone().unwrap_or_else(|| case.to_string());
            tell(&format!("note: {place}: {}: {why}", variant.name));
        }
    }
}

/// Measures ours here and the user's in a child, and keeps results in the file.
struct Worker<'a> {
    arguments: &'a Arguments,
    bench: &'a Bench,
    own: Option<&'a Own>,
}

impl SweepBench for Worker<'_> {
    type Error = Failure;

    fn measure(&mut self, rung: &Rung<'_>) -> Outcome<Entry> {
        let (users, ours): (Vec<&Variant>, Vec<&Variant>) = rung.candidates.iter().partition(|v| v.workgroups.is_some());
        let effort = Effort { rounds: rung.rounds, cold: self.arguments.cold, budget: rung.budget };
        self.bench.measure_these(&rung.case, &ours, self.own, &users, effort)
    }

    fn keep(&mut self, entry: &Entry) -> Outcome<()> {
        record::append(&self.arguments.output, std::slice::from_ref(entry))
    }

    /// One layer of a model that cannot be measured leaves the others.
    fn failed(&mut self, case: &LayerCase, error: Failure) -> Outcome<()> {
        match (&case.layer, error) {
            (Some(layer), Failure::Fatal(error)) if !self.bench.engine.is_lost() && !interrupt::asked() => {
                tell(&format!("note: {layer}: {error}"));
                Ok(())
            }
            (_, error) => Err(error),
        }
    }

    fn go_on(&self) -> bool {
        !interrupt::asked()
    }
}
