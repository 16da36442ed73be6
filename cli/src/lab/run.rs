//! `mobilenet lab run`: candidates of an op against each other, a user's own among them.

use super::shape::{self, Dimensions};
use super::worker::{self, Ended};
use super::{op, read, roof};
use crate::failure::{Failure, Outcome, Status, tell};
use crate::model;
use crate::options::{DeviceOptions, ModelOptions};
use crate::output::{Output, Table};
use clap::ValueEnum;
use mobilenet_wgpu::engine::Engine;
use mobilenet_wgpu::kernel::{Case, OpKind, Precision, Variant};
use mobilenet_wgpu::lab::{Roof, UserKernel};
use mobilenet_wgpu::measure::{self, CandidateResult, CaseResult, KernelOptions, Stopwatch, Verdict};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Measure the kernels that apply to a shape, or to a model's layers
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// The op, as `lab list` names it
    #[arg(value_parser = op)]
    op: Option<OpKind>,
    /// Shape of the input and output channels: HxWxCINxCOUT
    #[arg(long, value_name = "HxWxCINxCOUT", default_value = "14x14x96x96")]
    shape: Dimensions,
    /// Stride of ops with filters
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=8))]
    stride: u32,
    /// Hidden channels of an inverted residual, in parts of its input's
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=64))]
    expansion: u32,
    /// Pictures at a time
    #[arg(long, short, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch: u32,
    /// One layer of --model instead of a shape
    #[arg(long, value_name = "NODE", conflicts_with = "all")]
    layer: Option<String>,
    /// All distinct layers of --model (of the op, if one is named)
    #[arg(long)]
    all: bool,
    /// Only these variants
    #[arg(long, value_name = "NAME,NAME…", value_delimiter = ',')]
    variant: Vec<String>,
    /// A kernel of your own beside them
    #[arg(long, value_name = "FILE", requires = "op")]
    wgsl: Option<PathBuf>,
    /// Values to try for an `override` of it: NAME=V,V…
    #[arg(long, value_name = "NAME=V,V…", requires = "wgsl", value_parser = parameter)]
    param: Vec<(String, Vec<f64>)>,
    /// How it is dispatched, such as "ceil(out_c4, 8), ceil(pixels, 32)"
    #[arg(long, value_name = "EXPRESSIONS", requires = "wgsl")]
    workgroups: Option<String>,
    /// Samples of each candidate
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Measure with flushed caches too
    #[arg(long)]
    cold: bool,
    /// Begin no further candidate after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 20.0)]
    budget: f64,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    format: Format,
    /// The same as --format json
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    device: DeviceOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Csv,
}

/// One case, named after its layer.
#[derive(Serialize, Deserialize)]
struct Named {
    layer: Option<String>,
    #[serde(flatten)]
    result: CaseResult,
}

fn parameter(text: &str) -> Result<(String, Vec<f64>), String> {
    let (name, values) = text.split_once('=').ok_or("expected NAME=VALUE,VALUE…")?;
    let values: Result<Vec<f64>, _> = values.split(',').map(|v| v.trim().parse()).collect();
    Ok((name.trim().to_string(), values.map_err(|_| "expected numbers with commas behind `=`")?))
}

pub fn run(arguments: &Arguments) -> Outcome {
    if arguments.device.cpu {
        return Err(Failure::new("the lab is about kernels and needs a GPU, if only a software one\nnext: leave --cpu out"));
    }
    // Read before anything is opened: mistakes in the file are told at once.
    let own = arguments.wgsl.as_ref().map(|path| user_variants(arguments, path)).transpose()?.unwrap_or_default();
    let engine = Engine::open(&arguments.device.adapter_options())?;
    if worker::is_one() {
        let mut out = Output::new();
        out.json(&measure(arguments, &engine, &own)?)?;
        out.flush()?;
        return Ok(Status::Good);
    }
    let results = if own.is_empty() { measure(arguments, &engine, &[])? } else { in_child(arguments, &engine, &own)? };
    show(arguments, &results, roof::known(&engine).as_ref(), engine.profile().name.as_str())?;
    let right = results.iter().flat_map(|r| &r.result.candidates).all(|c| c.verdict.is_right() || matches!(c.verdict, Verdict::Skipped(_)));
    Ok(if right { Status::Good } else { Status::SomeFailed })
}

fn user_variants(arguments: &Arguments, path: &std::path::Path) -> Outcome<Vec<Variant>> {
    let op = arguments.op.ok_or_else(|| Failure::new("--wgsl: name the op that it computes"))?;
    let kernel = UserKernel::read(op, &path.display().to_string(), &read(path)?, arguments.workgroups.as_deref(), &arguments.param)?;
    Ok(kernel.variants()?)
}

/// Measures in a child; one that does not come back takes the user's kernels with it, and ours are measured here.
fn in_child(arguments: &Arguments, engine: &Engine, own: &[Variant]) -> Outcome<Vec<Named>> {
    let limit = Duration::from_secs_f64(arguments.budget.max(1.0) + 10.0);
    let why = match worker::supervise(limit)? {
        Ended::Well(text) => {
            let read = serde_json::from_str(&text);
            return read.map_err(|e| Failure::new(format!("the lab's worker wrote what cannot be read: {e}")));
        }
        Ended::Badly(text) => format!("its run failed: {}", text.trim()),
        Ended::Late => format!("it did not end within {} s and was killed", limit.as_secs()),
    };
    tell(&format!("note: {}: {why}; measuring the others", own.iter().map(|v| &*v.name).collect::<Vec<_>>().join(", ")));
    let mut results = measure(arguments, engine, &[])?;
    for named in &mut results {
        let case = named.result.case;
        let lost =
            own.iter().map(|v| CandidateResult::new(v, v.dispatch(&case, engine.profile()).workgroups, Verdict::Failed(why.clone())));
        named.result.candidates.extend(lost);
    }
    Ok(results)
}

fn cases(arguments: &Arguments) -> Outcome<Vec<(Option<String>, Case)>> {
    if arguments.all || arguments.layer.is_some() {
        let (model, _) = model::load(&arguments.model)?;
        let found = shape::of_model(&model.graph(None)?, arguments.layer.as_deref(), arguments.op, arguments.batch)?;
        return Ok(found.into_iter().map(|(name, case)| (Some(name), case)).collect());
    }
    let op = arguments.op.ok_or_else(|| Failure::new("name an op, such as `pointwise`, or use --layer or --all with --model"))?;
    Ok(vec![(None, shape::case(op, arguments.shape, arguments.stride, arguments.batch, arguments.expansion))])
}

fn measure(arguments: &Arguments, engine: &Engine, own: &[Variant]) -> Outcome<Vec<Named>> {
    let precision = arguments.device.precision.on(Some(engine.profile()))?;
    let watch = Stopwatch::new(engine.device(), engine.queue())?;
    let wanted = |v: &&Variant| arguments.variant.is_empty() || arguments.variant.iter().any(|name| *name == v.name);
    let rows: Vec<&Variant> = engine.variants().iter().filter(wanted).chain(own).collect();
    let cases = cases(arguments)?;
    let options = KernelOptions {
        rounds: arguments.rounds,
        checks: 6,
        cold: arguments.cold,
        budget: Some(Duration::from_secs_f64((arguments.budget / cases.len() as f64).max(0.0))),
        ..KernelOptions::default()
    };
    let mut results = Vec::new();
    for (layer, case) in cases {
        match measure::kernels(engine, &watch, &case, precision, &rows, &options) {
            Ok(result) => results.push(Named { layer, result }),
            Err(error @ mobilenet_wgpu::Error::DeviceLost(_)) => return Err(error.into()),
            Err(error) if layer.is_some() => tell(&format!("note: {}: {error}", layer.unwrap_or_default())),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(results)
}

fn show(arguments: &Arguments, results: &[Named], roof: Option<&Roof>, adapter: &str) -> Outcome<()> {
    let mut out = Output::new();
    if arguments.json || arguments.format == Format::Json {
        out.json_pretty(&results)?;
        return out.flush();
    }
    if arguments.format == Format::Csv {
        out.line("layer,op,case,precision,variant,verdict,error,median_ns,p10_ns,p90_ns,cold_ns,compile_ns")?;
    }
    for Named { layer, result } in results {
        if arguments.format == Format::Csv {
            csv(&mut out, layer.as_deref(), result)?;
            continue;
        }
        let name = layer.as_deref().map(|l| format!("{l}: ")).unwrap_or_default();
        let CaseResult { case, precision, clock, .. } = result;
        out.line(out.bold(format!("{name}{} {case}, {precision}, on {adapter}", case.op)))?;
        table(result, roof)?.write(&mut out)?;
        let next = if roof.is_none() { "; `mobilenet lab roof` adds the share of what the adapter can do" } else { "" };
        out.line(format!("measured by {clock}{next}\n"))?;
        for candidate in result.candidates.iter().filter(|c| !c.verdict.is_right()) {
            out.line(format!("{}: {}", candidate.variant, verdict(&candidate.verdict)))?;
        }
    }
    out.flush()
}

fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Right => "right".into(),
        Verdict::Differs(why) => format!("differs from the reference {why}"),
        Verdict::Unsteady(why) => format!("unsteady: {why}"),
        Verdict::OutOfBounds(why) => format!("out of bounds: {why}"),
        Verdict::Failed(why) => format!("failed: {why}"),
        Verdict::Skipped(why) => format!("skipped: {why}"),
    }
}

fn table(result: &CaseResult, roof: Option<&Roof>) -> Outcome<Table> {
    let headings = ["variant", "us", "p10", "p90", "cold", "GFLOP/s", "GB/s", "of roof", "workgroups", "compile ms", "error", "verdict"];
    let mut table = Table::new(&headings, &[1, 2, 3, 4, 5, 6, 7, 9, 10]);
    let (operations, bytes) = (2.0 * result.case.macs() as f64, measure::traffic(&result.case, result.precision)? as f64);
    let mut order: Vec<&CandidateResult> = result.candidates.iter().collect();
    order.sort_by(|a, b| a.ns().unwrap_or(f64::MAX).total_cmp(&b.ns().unwrap_or(f64::MAX)));
    for c in order {
        let us = |ns: Option<f64>| ns.map(|ns| format!("{:.1}", ns / 1e3)).unwrap_or_default();
        let rate = |amount: f64| c.ns().filter(|_| amount > 0.0).map(|ns| format!("{:.1}", amount / ns)).unwrap_or_default();
        let share = roof.zip(c.ns()).map(|(roof, ns)| roof.standing(operations, bytes, ns));
        let share = share.map(|s| format!("{:.0} %{}", s.share * 100.0, if s.implausible { " (!)" } else { "" }));
        let word = match &c.verdict {
            Verdict::Right => "right",
            Verdict::Differs(_) => "DIFFERS",
            Verdict::Unsteady(_) => "UNSTEADY",
            Verdict::OutOfBounds(_) => "OUT OF BOUNDS",
            Verdict::Failed(_) => "FAILED",
            Verdict::Skipped(_) => "skipped",
        };
        let [x, y, z] = c.workgroups;
        table.row([
            c.variant.clone(),
            us(c.ns()),
            us(c.warm.map(|t| t.p10)),
            us(c.warm.map(|t| t.p90)),
            us(c.cold.map(|t| t.median)),
            rate(operations),
            rate(bytes),
            share.unwrap_or_default(),
            format!("{x}x{y}x{z}"),
            c.compile.map(|ns| format!("{:.1}", ns / 1e6)).unwrap_or_default(),
            c.error.map(|e| format!("{e:.1e}")).unwrap_or_default(),
            word.to_string(),
        ]);
    }
    Ok(table)
}

fn csv(out: &mut Output, layer: Option<&str>, result: &CaseResult) -> Outcome<()> {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let number = |n: Option<f64>| n.map(|n| n.to_string()).unwrap_or_default();
    let precision: Precision = result.precision;
    for c in &result.candidates {
        let cells = [
            quoted(layer.unwrap_or_default()),
            result.case.op.to_string(),
            quoted(&result.case.to_string()),
            precision.to_string(),
            quoted(&c.variant),
            quoted(&verdict(&c.verdict)),
            number(c.error),
            number(c.warm.map(|t| t.median)),
            number(c.warm.map(|t| t.p10)),
            number(c.warm.map(|t| t.p90)),
            number(c.cold.map(|t| t.median)),
            number(c.compile),
        ];
        out.line(cells.join(","))?;
    }
    Ok(())
}
