//! `mobilenet tune`: measures which kernel is fastest for each layer on this GPU, and keeps it for all later runs.

use crate::backend;
use crate::failure::{Failure, Outcome, Status, tell};
use crate::model;
use crate::options::{DeviceOptions, ModelOptions};
use crate::output::{Output, Table};
use crate::own::Kernels;
use crate::tuning;
use indicatif::{ProgressBar, ProgressStyle};
use mobilenet_wgpu::engine::Engine;
use mobilenet_wgpu::graph::{Graph, passes};
use mobilenet_wgpu::kernel::{Case, Precision};
use mobilenet_wgpu::plan::{Plan, PlanOptions};
use mobilenet_wgpu::tune::{self, DeviceKey, TuneOptions, Tuning, TuningRecord};
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  mobilenet tune                                   for the model that `classify` would take, one picture at a time
  mobilenet tune --model model.safetensors --batch 1,16 --budget 60
  mobilenet tune --output record.json              into a file of its own, to be named by --tuning

Each kernel is held against the reference before it is timed; candidates take turns, and the median counts. The record
is saved after every case: stop it when you like, and call it again to go on. Later runs find it by themselves.";

/// Measure kernels on this GPU and keep the record
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelOptions,
    /// Batches to tune for, with commas
    #[arg(long, short, value_name = "N,N…", value_delimiter = ',', default_value = "1", value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch: Vec<u32>,
    /// Begin nothing more after this time, such as 60 (seconds) or 5m
    #[arg(long, value_name = "TIME", value_parser = crate::options::seconds)]
    budget: Option<Duration>,
    /// Measure again what the record has already
    #[arg(long)]
    again: bool,
    /// Samples of each kernel
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// The record's file [default: the tool's own, which later runs find]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Leave out what plans never ask for, as records do that ship with the program
    #[arg(long, requires = "output")]
    compact: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceOptions,
}

/// What is told at the end.
#[derive(Serialize)]
struct Report {
    record: PathBuf,
    device: String,
    precision: &'static str,
    cases: usize,
    measured: usize,
    known: usize,
    failed: usize,
    left: usize,
    /// Sum over a run's steps by batch: with the record, and with the choices of the cost model alone.
    sums: Vec<Sum>,
    choices: Vec<Choice>,
}

#[derive(Serialize)]
struct Sum {
    batch: u32,
    tuned_ms: f64,
    cost_model_ms: f64,
}

/// The fastest kernel of a case.
#[derive(Serialize)]
struct Choice {
    op: &'static str,
    case: String,
    variant: String,
    us: f64,
    runner_up: Option<String>,
    runner_up_us: Option<f64>,
}

/// Measures, saves and reports.
pub fn run(arguments: &Arguments) -> Outcome {
    if arguments.device.cpu {
        return Err(Failure::new("the CPU has one kernel for each op, so there is nothing to tune\nnext: leave --cpu out"));
    }
    let (model, _) = model::load(&arguments.model)?;
    let own = Kernels::read(&arguments.device)?;
    let engine = backend::engine(&arguments.device, &own)?;
    let profile = engine.profile().clone();
    let precision = arguments.device.precision.on(Some(&profile))?;
    let path = arguments.output.clone().or_else(|| tuning::place(&profile));
    let path = path.ok_or_else(|| Failure::new("no folder for the record: set MOBILENET_CONFIG_DIR, or use --output FILE"))?;
    let graph = passes::run(&model.graph(None)?, &[] as &[&str]);
    let cases = tune::cases(&graph, &profile, engine.variants(), &arguments.batch, precision)?;
    own.attempt(&arguments.device, precision, cases.iter().map(|case| (format!("{} {case}", case.op), *case)))?;
    let mut record = match arguments.output {
        Some(_) => tuning::existing(&path, &DeviceKey::of(&profile))?,
        None => tuning::load(&path, &profile),
    };
    let tuned = measure(arguments, &engine, &cases, precision, &mut record, &path)?;
    let sums = arguments.batch.iter().filter_map(|batch| sums(&graph, &engine, *batch, precision, &record)).collect();
    let report = Report {
        device: profile.key(),
        precision: precision.name(),
        cases: tuned.total,
        measured: tuned.measured,
        known: tuned.known,
        failed: tuned.failed,
        left: tuned.left(),
        sums,
        choices: cases.iter().filter_map(|case| choice(&engine, case, precision, &record)).collect(),
        record: path,
    };
    show(&report, arguments.json)?;
    Ok(Status::Good)
}

fn measure(
    arguments: &Arguments,
    engine: &Engine,
    cases: &[Case],
    precision: Precision,
    record: &mut TuningRecord,
    path: &std::path::Path,
) -> Outcome<tune::Tuned> {
    let mut options = TuneOptions { again: arguments.again, ..TuneOptions::default() };
    options.kernels.rounds = arguments.rounds;
    options.budget = arguments.budget;
    let style = ProgressStyle::with_template("{bar:24} {pos}/{len}  {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(cases.len() as u64).with_style(style);
    let mut saved = Ok(());
    let tuned = tune::tune(engine, cases, precision, record, &options, &mut |progress| {
        bar.set_position(progress.done as u64);
        bar.set_message(format!("{} s left, {} {}", progress.left.as_secs(), progress.case.op, progress.case));
        if let Err(error) = progress.result {
            bar.suspend(|| tell(&format!("note: {} {} is left out: {error}", progress.case.op, progress.case)));
        }
        for wrong in progress.result.iter().flat_map(|r| &r.candidates).filter(|c| !c.verdict.is_right()) {
            bar.suspend(|| tell(&format!("note: {} of {} {}: {:?}", wrong.variant, progress.case.op, progress.case, wrong.verdict)));
        }
        let text = if arguments.compact { progress.record.compact().save() } else { progress.record.save() };
        saved = tuning::save(path, &text);
        if saved.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    bar.finish_and_clear();
    saved?;
    Ok(tuned?)
}

/// Sums over the steps of a plan by the record and of one by the cost model, both with the record's times; `None` where it has none.
fn sums(graph: &Graph, engine: &Engine, batch: u32, precision: Precision, record: &TuningRecord) -> Option<Sum> {
    let plan = |tuning| {
        let options = PlanOptions { batch, precision, tuning, ..PlanOptions::default() };
        Plan::fitting(graph, engine.profile(), engine.variants(), &options).ok()
    };
    let ms = |plan: &Plan| {
        let ns = plan.steps.iter().filter_map(|step| {
            let kept = record.get(&step.case, precision)?;
            kept.candidates.iter().find(|c| c.variant == step.variant)?.ns()
        });
        f64::from(plan.passes(plan.batch)) * ns.sum::<f64>() / 1e6
    };
    let (tuned, modelled) = (plan(Tuning::none().with(record.clone()))?, plan(Tuning::none())?);
    let sum = Sum { batch: tuned.batch, tuned_ms: ms(&tuned), cost_model_ms: ms(&modelled) };
    // Of nothing there is no ratio.
    (sum.tuned_ms > 0.0 && sum.cost_model_ms > 0.0).then_some(sum)
}

fn choice(engine: &Engine, case: &Case, precision: Precision, record: &TuningRecord) -> Option<Choice> {
    let found = Tuning::none().with(record.clone()).find(case, precision, engine.profile(), engine.variants())?;
    let (runner_up, runner_up_ns) = found.runner_up.unzip();
    Some(Choice {
        op: case.op.name(),
        case: case.to_string(),
        variant: engine.variants()[found.row].name.to_string(),
        us: found.ns / 1e3,
        runner_up,
        runner_up_us: runner_up_ns.map(|ns| ns / 1e3),
    })
}

fn show(report: &Report, json: bool) -> Outcome<()> {
    let mut out = Output::new();
    if json {
        out.json_pretty(report)?;
        return out.flush();
    }
    let mut table = Table::new(&["op", "case", "fastest", "us", "next", "us"], &[3, 5]);
    for c in &report.choices {
        let us = |us: f64| format!("{us:.1}");
        let next = c.runner_up.clone().unwrap_or_default();
        table.row([c.op.into(), c.case.clone(), c.variant.clone(), us(c.us), next, c.runner_up_us.map(us).unwrap_or_default()]);
    }
    table.write(&mut out)?;
    out.line("")?;
    for sum in &report.sums {
        let Sum { batch, tuned_ms, cost_model_ms } = sum;
        let ratio = cost_model_ms / tuned_ms;
        out.line(format!(
            "batch {batch}: {tuned_ms:.2} ms for the kernels measured here; with the cost model's choices {cost_model_ms:.2} ms ({ratio:.2}x)"
        ))?;
    }
    let Report { measured, known, failed, left, .. } = report;
    out.line(format!("{measured} cases measured, {known} known before, {failed} left out, {left} to go"))?;
    if *left > 0 {
        out.line("next: call it again, and it goes on")?;
    }
    out.line(format!("record: {}", report.record.display()))?;
    out.flush()
}
