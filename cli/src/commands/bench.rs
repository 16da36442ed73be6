//! `mobilenet bench`: how long the first result takes, and how long the others.

use crate::backend::{self, Backend};
use crate::bench::{self, values};
use crate::failure::{Failure, Outcome};
use crate::model;
use crate::options::{DeviceOptions, ModelOptions, PaperOptions};
use crate::output::Output;
use crate::untrained;
use mobilenet_wgpu::engine::SessionOptions;
use mobilenet_wgpu::measure::{RunOptions, quantile};
use mobilenet_wgpu::{Classifier, Model, Tensor};
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const EXAMPLES: &str = "\
Examples:
  mobilenet bench
  mobilenet bench --model model.safetensors --runs 200 --batch 8
  mobilenet bench --cpu --json
  mobilenet bench --profile --plot layers.svg       time of each step, and a drawing of it
  mobilenet bench --sweep                           batches 1, 2, 4 … 64
  mobilenet bench --compare default tuning=none     two settings in turn, and whether they differ
  mobilenet bench --arch v2 --width 0.35 --size 96  a network of the papers with weights by rule, untrained
  mobilenet bench --folder photos/                  decoding and inference, each alone and together

first_ms is from nothing (no device, no model) to the first logits in host memory; process_ms is to the same moment from
the start of this program (the system's loader, a few milliseconds before that, is in neither). The other times are of whole runs,
from values in host memory to logits in host memory, for a batch; images_per_s is of the median. Drivers keep compiled
kernels on disk: for a first result without them, on Mesa, set MESA_SHADER_CACHE_DISABLE=true.";

/// Time to the first result, latency, throughput
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    paper: PaperOptions,
    /// Runs that are measured
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Runs before, which are not
    #[arg(long, default_value_t = 5, value_name = "N")]
    warmup: u32,
    /// Pictures at a time
    #[arg(long, short, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch: u32,
    /// Time of each step instead
    #[arg(long, group = "what")]
    profile: bool,
    /// Draw the profile into an SVG file
    #[arg(long, value_name = "FILE.svg", requires = "profile")]
    plot: Option<PathBuf>,
    /// Throughput over batches 1, 2, 4 … up to --most
    #[arg(long, group = "what", conflicts_with = "batch")]
    sweep: bool,
    /// Largest batch of --sweep
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    most: u32,
    /// Two settings in turn, each of KEY=VALUE with commas, or `default`; keys: precision, tuning, prefer, without, batch, runs
    #[arg(long, group = "what", num_args = 2, value_names = ["A", "B"])]
    compare: Option<Vec<String>>,
    /// Pictures a second of a folder: decoding alone, inference alone, and both
    #[arg(long, value_name = "DIR", group = "what", conflicts_with = "batch")]
    folder: Option<PathBuf>,
    /// Go on for at most this time, such as 20 (seconds) or 2m
    #[arg(long, value_name = "TIME", value_parser = crate::options::seconds)]
    budget: Option<Duration>,
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceOptions,
}

#[derive(Serialize)]
struct Report {
    model: String,
    network: String,
    adapter: String,
    precision: &'static str,
    size: [u32; 2],
    batch: u32,
    first_ms: f64,
    /// From the start of the program to the first result.
    process_ms: f64,
    first: First,
    runs: u32,
    min_ms: f64,
    median_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    images_per_s: f64,
}

/// What the first result's time consists of, in milliseconds.
#[derive(Serialize)]
struct First {
    load_ms: f64,
    device_ms: f64,
    prepare_ms: f64,
    run_ms: f64,
}

/// Measures, and reports.
pub fn run(arguments: &Arguments) -> Outcome {
    let start = Instant::now();
    let mut lap = Lap(start);
    let (model, source) = load(arguments)?;
    let load_ms = lap.ms();
    let network = arguments.paper.arch.map_or_else(|| model.recognition().to_string(), |_| source.clone());
    let backend = backend::open(&arguments.device)?;
    let device_ms = lap.ms();
    if let Some(done) = instead(arguments, &backend, &model) {
        return done.map(|()| backend.status());
    }
    let mut classifier = backend.classifier(&model, &arguments.device, session_options(&model, arguments))?;
    let prepare_ms = lap.ms() - backend.checking().as_secs_f64() * 1e3;
    let input = values(arguments.batch, classifier.size())?;
    lap.ms();
    classifier.run(&input)?;
    let run_ms = lap.ms();
    let process_ms = (crate::started().elapsed() - backend.checking()).as_secs_f64() * 1e3;
    // The input is made by us and is no part of it.
    let first_ms = load_ms + device_ms + prepare_ms + run_ms;
    let mut times = measure(&mut classifier, &input, arguments)?;
    times.sort_by(f64::total_cmp);
    let at = |q| quantile(&times, q).ok_or_else(|| Failure::new("--runs: at least 1"));
    let median_ms = at(0.5)?;
    let report = Report {
        model: source,
        network,
        adapter: classifier.backend(),
        precision: classifier.session().map_or("f32", |s| s.plan().precision.name()),
        size: classifier.size(),
        batch: arguments.batch,
        first_ms,
        process_ms,
        first: First { load_ms, device_ms, prepare_ms, run_ms },
        runs: times.len() as u32,
        min_ms: at(0.0)?,
        median_ms,
        p95_ms: at(0.95)?,
        p99_ms: at(0.99)?,
        images_per_s: f64::from(arguments.batch) * 1e3 / median_ms,
    };
    show(&report, arguments.json)?;
    Ok(backend.status())
}

/// The model, and what it is called.
fn load(arguments: &Arguments) -> Outcome<(Model, String)> {
    let Some(config) = arguments.paper.config() else {
        return model::load(&arguments.model).map(|(model, source)| (model, source.to_string()));
    };
    let [height, width] = arguments.model.reading.size.map_or(config.input, |size| size.0);
    let name = format!("{} {}, {height}x{width}, untrained", config.version, arguments.paper.width);
    Ok((untrained::model(config.with_input([height, width]))?, name))
}

/// Another measurement, if one was asked for.
fn instead(arguments: &Arguments, backend: &Backend, model: &Model) -> Option<Outcome<()>> {
    let options = RunOptions { warm_up: arguments.warmup, runs: arguments.runs, budget: arguments.budget };
    let base = session_options(model, arguments);
    let (device, json) = (&arguments.device, arguments.json);
    if let Some([a, b]) = arguments.compare.as_deref() {
        return Some(bench::compare::run(backend, model, device, &base, [a, b], &options, json));
    }
    if let Some(folder) = &arguments.folder {
        return Some(bench::folder::run(folder, backend, model, device, base, json));
    }
    if arguments.sweep {
        return Some(bench::sweep::run(backend, model, device, &base, arguments.most, &options, json));
    }
    arguments.profile.then(|| {
        let mut session = backend.session(model, device, base)?;
        let input = session.plan().input;
        let input = values(session.max_batch(), [input.height, input.width])?;
        bench::profile::run(&mut session, &input, &options, json, arguments.plot.as_deref())
    })
}

struct Lap(Instant);

impl Lap {
    /// Milliseconds since the last time that this was asked.
    fn ms(&mut self) -> f64 {
        let before = std::mem::replace(&mut self.0, Instant::now());
        (self.0 - before).as_secs_f64() * 1e3
    }
}

fn session_options(model: &Model, arguments: &Arguments) -> SessionOptions {
    let is_classifier = model.recognition().classes.is_some() || arguments.paper.arch.is_some();
    let outputs = vec![if is_classifier { "logits" } else { "embedding" }.to_string()];
    SessionOptions { batch: arguments.batch, outputs, ..SessionOptions::default() }
}

/// Milliseconds of each run.
fn measure(classifier: &mut Classifier, input: &Tensor, arguments: &Arguments) -> Outcome<Vec<f64>> {
    for _ in 0..arguments.warmup {
        classifier.run(input)?;
    }
    let (mut times, begin) = (Vec::new(), Instant::now());
    for i in 0..arguments.runs {
        if i >= 3 && arguments.budget.is_some_and(|budget| begin.elapsed() >= budget) {
            break;
        }
        let start = Instant::now();
        classifier.run(input)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}

fn show(report: &Report, json: bool) -> Outcome<()> {
    let mut out = Output::new();
    if json {
        out.json_pretty(report)?;
        return out.flush();
    }
    let First { load_ms, device_ms, prepare_ms, run_ms } = report.first;
    out.line(out.bold(&report.network))?;
    out.line(format!("on {}, {}, batch {}\n", report.adapter, report.precision, report.batch))?;
    out.line(format!(
        "  first result  {:9.2} ms   (load {load_ms:.1}, device {device_ms:.1}, prepare {prepare_ms:.1}, run {run_ms:.1})",
        report.first_ms
    ))?;
    out.line(format!("                {:9.2} ms   from process start", report.process_ms))?;
    out.line(format!("  median        {:9.2} ms   of {} runs", report.median_ms, report.runs))?;
    out.line(format!("  minimum       {:9.2} ms", report.min_ms))?;
    out.line(format!("  95 % within   {:9.2} ms", report.p95_ms))?;
    out.line(format!("  99 % within   {:9.2} ms", report.p99_ms))?;
    out.line(format!("  throughput    {:9.1} pictures a second", report.images_per_s))?;
    out.flush()
}
