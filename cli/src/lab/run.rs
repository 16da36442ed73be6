//! `mobilenet lab run`: candidates of an op against each other, a user's own among them.

use super::bench::{Bench, CaseOptions, Effort, Own, OwnOptions};
use super::record;
use super::{table, watch};
use crate::failure::{Failure, Outcome, Status, tell};
use crate::options::DeviceOptions;
use crate::options::seconds;
use crate::output::Output;
use clap::ValueEnum;
use mobilenet_wgpu::lab::{Entry, LayerCase};
use mobilenet_wgpu::measure::Verdict;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Measure the kernels that apply to a shape, or to a model's layers
#[derive(clap::Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    cases: CaseOptions,
    /// Only these variants
    #[arg(long, value_name = "NAME,NAME…", value_delimiter = ',')]
    variant: Vec<String>,
    #[command(flatten)]
    own: OwnOptions,
    /// Run again whenever the file of --wgsl is saved, until Ctrl-C
    #[arg(long, requires = "wgsl")]
    watch: bool,
    /// Samples of each candidate
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Measure with flushed caches too
    #[arg(long, visible_alias = "flush")]
    cold: bool,
    /// Begin no further candidate after this time, such as 20s or 2m
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = seconds)]
    budget: Duration,
    /// Leave the roof alone if it is not on record yet
    #[arg(long)]
    no_roof: bool,
    /// Add the results to a file of JSON lines, for `lab report`, `lab compare` and `lab adopt`
    #[arg(long, short, value_name = "FILE.jsonl")]
    output: Option<PathBuf>,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// The same as --format csv
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    device: DeviceOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Csv,
}

pub fn run(arguments: &Arguments) -> Outcome {
    if !arguments.watch {
        return once(arguments);
    }
    let path = arguments.own.wgsl.as_ref().ok_or_else(|| Failure::new("--watch: name the file by --wgsl"))?;
    watch::each_save(path, || match once(arguments) {
        // What is wrong with the file is what the next save may correct.
        Err(Failure::Fatal(message)) => {
            tell(&format!("error: {message}"));
            Ok(())
        }
        other => other.map(|_| ()),
    })
}

fn once(arguments: &Arguments) -> Outcome {
    // Read before anything is opened: mistakes in the file are told at once.
    let own = arguments.own.read(arguments.cases.op)?;
    let cases = arguments.cases.cases(own.as_ref(), &arguments.variant)?;
    let bench = Bench::open(&arguments.device, &arguments.variant, !arguments.no_roof && arguments.budget >= Duration::from_secs(10))?;
    // The roof is measured once in a machine's life, and no part of the run.
    let entries = measure(arguments, &bench, own.as_ref(), cases, Instant::now())?;
    if let Some(path) = &arguments.output {
        record::append(path, &entries)?;
    }
    show(arguments, &entries)?;
    let fine = |v: &Verdict| v.is_right() || matches!(v, Verdict::Skipped(_));
    let all_fine = entries.iter().flat_map(|e| &e.result.candidates).all(|c| fine(&c.verdict));
    Ok(if all_fine { Status::Good } else { Status::SomeFailed })
}

fn measure(arguments: &Arguments, bench: &Bench, own: Option<&Own>, cases: Vec<LayerCase>, start: Instant) -> Outcome<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut left_out = Vec::new();
    let count = cases.len();
    for (i, LayerCase { layer, case, times }) in cases.into_iter().enumerate() {
        let left = arguments.budget.saturating_sub(start.elapsed());
        if i > 0 && left.is_zero() {
            left_out.extend(layer);
            continue;
        }
        // What quick cases leave over is the others'.
        let effort = Effort { rounds: arguments.rounds, cold: arguments.cold, budget: left / (count - i) as u32 };
        match bench.measure(&case, own, effort) {
            Ok(entry) => entries.push(Entry { layer, times, ..entry }),
            Err(Failure::Fatal(error)) if layer.is_some() && !bench.engine.is_lost() => {
                tell(&format!("note: {}: {error}", layer.unwrap_or_default()));
            }
            Err(error) => return Err(error),
        }
    }
    if !left_out.is_empty() {
        tell(&format!("note: no time was left for {} layers: {}", left_out.len(), left_out.join(", ")));
    }
    Ok(entries)
}

fn show(arguments: &Arguments, entries: &[Entry]) -> Outcome<()> {
    let mut out = Output::new();
    match arguments.format {
        _ if arguments.json => out.json_pretty(&entries)?,
        _ if arguments.csv => table::csv(&mut out, entries)?,
        Format::Json => out.json_pretty(&entries)?,
        Format::Csv => table::csv(&mut out, entries)?,
        Format::Table => entries.iter().try_for_each(|entry| table::case(&mut out, entry))?,
    }
    out.flush()
}
