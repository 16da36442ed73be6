//! `mobilenet lab separable`: the papers' claim on the user's own GPU.

use super::bench::{Bench, Effort};
use super::seconds;
use crate::failure::{Failure, Outcome, Status, tell};
use crate::options::DeviceOptions;
use crate::output::{Output, Table, us};
use mobilenet_wgpu::kernel::Case;
use mobilenet_wgpu::lab::{self, Fastest, MultiplierPoint, SeparableTimes, plot};
use serde_json::json;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const NOTES: &str = "\
For each separable layer of MobileNet V1: the standard 3x3 convolution of the same shape against the depthwise and the
pointwise layer, each in its own dispatch or both in one, every kernel checked and the fastest taken. The formula says
1/N + 1/9 of the multiply-accumulates. With --sweep: time of all separable layers against width and resolution, beside
what equations 6 and 7 of the paper promise.";

/// Standard against separable convolutions, in multiply-accumulates and in time
#[derive(clap::Args, Debug)]
#[command(after_help = NOTES)]
pub struct Arguments {
    /// Width multiplier
    #[arg(long, value_name = "W", default_value_t = 1.0, conflicts_with = "sweep")]
    width: f32,
    /// Side of the network's input
    #[arg(long, value_name = "R", default_value_t = 224, conflicts_with = "sweep")]
    resolution: u32,
    /// Pictures at a time
    #[arg(long, short, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    batch: u32,
    /// Time against width and resolution instead
    #[arg(long)]
    sweep: bool,
    /// Widths of --sweep, at the largest resolution
    #[arg(long, value_name = "W,W…", value_delimiter = ',', default_value = "0.25,0.5,0.75,1")]
    widths: Vec<f32>,
    /// Resolutions of --sweep, at the largest width
    #[arg(long, value_name = "R,R…", value_delimiter = ',', default_value = "96,128,160,192,224")]
    resolutions: Vec<u32>,
    /// Samples of each kernel
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Begin no further layer after this time
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = seconds)]
    budget: Duration,
    /// Draw it into an SVG file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceOptions,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let bench = Bench::open(&arguments.device, &[], false)?;
    let mut timer = Timer { arguments, bench, start: Instant::now(), known: Vec::new(), left_out: 0 };
    let adapter = timer.bench.engine.profile().name.clone();
    let mut out = Output::new();
    let drawn = if arguments.sweep {
        let points = sweep(arguments, &mut timer)?;
        if arguments.json {
            out.json_pretty(&json!({"adapter": adapter, "precision": timer.bench.precision, "batch": arguments.batch, "points": points}))?;
        } else {
            points_table(&points).write(&mut out)?;
        }
        plot::multipliers(&points, &format!("MobileNet V1's separable layers on {adapter}"))
    } else {
        let layers = layers(arguments, &mut timer)?;
        let totals = lab::separable_totals(&layers);
        if arguments.json {
            let [macs, time, pair, standard] = totals.unwrap_or([f64::NAN; 4]);
            let sums = json!({"mac_ratio": macs, "time_ratio": time, "separable_ns": pair, "standard_ns": standard});
            let rows: Vec<_> =
                layers.iter().map(|l| json!({"times": l, "separable_ns": l.pair_ns(), "time_ratio": l.time_ratio()})).collect();
            out.json_pretty(&json!({"adapter": adapter, "precision": timer.bench.precision, "width": arguments.width,
                "resolution": arguments.resolution, "batch": arguments.batch, "layers": rows, "sum": sums}))?;
        } else {
            layers_table(&layers).write(&mut out)?;
            if let Some([macs, time, pair, standard]) = totals {
                out.line(format!(
                    "\nsum: {:.1} % of the multiply-accumulates, {:.1} % of the time ({:.2} ms against {:.2} ms)",
                    macs * 100.0,
                    time * 100.0,
                    pair / 1e6,
                    standard / 1e6
                ))?;
            }
        }
        let title =
            format!("Separable against standard convolutions: MobileNet V1 {} at {} on {adapter}", arguments.width, arguments.resolution);
        plot::separable(&layers, &title)
    };
    out.flush()?;
    if timer.left_out > 0 {
        tell(&format!("note: no time was left for {} cases\nnext: a larger --budget", timer.left_out));
    }
    if let Some(file) = &arguments.plot {
        std::fs::write(file, drawn).map_err(|e| Failure::new(format!("--plot {}: cannot be written: {e}", file.display())))?;
    }
    Ok(Status::Good)
}

/// Measures cases, each once.
struct Timer<'a> {
    arguments: &'a Arguments,
    bench: Bench,
    start: Instant,
    known: Vec<(Case, Option<Fastest>)>,
    left_out: usize,
}

impl Timer<'_> {
    fn fastest(&mut self, case: &Case) -> Outcome<Option<Fastest>> {
        if let Some((_, known)) = self.known.iter().find(|(c, _)| c == case) {
            return Ok(known.clone());
        }
        let left = self.arguments.budget.saturating_sub(self.start.elapsed());
        if left.is_zero() {
            self.left_out += 1;
            return Ok(None);
        }
        let effort = Effort { rounds: self.arguments.rounds, cold: false, budget: left };
        let applies = self.bench.ours(case.op).iter().any(|v| v.check(case, self.bench.precision, self.bench.engine.profile()).is_ok());
        let found = if applies {
            let entry = self.bench.measure(case, None, effort)?;
            entry.result.best().and_then(|c| Some(Fastest { variant: c.label(), ns: c.ns()? }))
        } else {
            None
        };
        self.known.push((*case, found.clone()));
        Ok(found)
    }
}

fn layers(arguments: &Arguments, timer: &mut Timer<'_>) -> Outcome<Vec<SeparableTimes>> {
    let mut measured = Vec::new();
    for layer in lab::separable_layers(arguments.width, arguments.resolution, arguments.batch)? {
        let mut times = SeparableTimes::new(layer);
        times.depthwise = timer.fastest(&times.layer.depthwise)?;
        times.pointwise = timer.fastest(&times.layer.pointwise)?;
        times.fused = timer.fastest(&times.layer.fused)?;
        times.standard = timer.fastest(&times.layer.standard)?;
        measured.push(times);
    }
    Ok(measured)
}

fn layers_table(layers: &[SeparableTimes]) -> Table {
    let headings = ["layer", "shape", "standard us", "kernel", "depthwise", "pointwise", "fused", "separable us", "MACs", "time"];
    let mut table = Table::new(&headings, &[2, 4, 5, 6, 7, 8, 9]);
    for l in layers {
        let of = |f: &Option<Fastest>| us(f.as_ref().map(|f| f.ns));
        table.row([
            l.layer.name.clone(),
            l.layer.standard.to_string().replace(" relu6", ""),
            of(&l.standard),
            l.standard.as_ref().map(|f| f.variant.clone()).unwrap_or_default(),
            of(&l.depthwise),
            of(&l.pointwise),
            of(&l.fused),
            us(l.pair_ns()),
            format!("{:.1} %", l.mac_ratio * 100.0),
            l.time_ratio().map(|r| format!("{:.1} %", r * 100.0)).unwrap_or_default(),
        ]);
    }
    table
}

fn sweep(arguments: &Arguments, timer: &mut Timer<'_>) -> Outcome<Vec<MultiplierPoint>> {
    let widest = arguments.widths.iter().copied().fold(0.0, f32::max);
    let largest = arguments.resolutions.iter().copied().max().unwrap_or(224);
    let mut settings: Vec<(f32, u32)> = arguments.widths.iter().map(|w| (*w, largest)).collect();
    settings.extend(arguments.resolutions.iter().filter(|r| **r != largest).map(|r| (widest, *r)));
    let mut points = Vec::new();
    for (width, resolution) in settings {
        let [equation, macs] = lab::multiplied(width, resolution)?;
        let mut ns = Some(0.0);
        for layer in lab::separable_layers(width, resolution, arguments.batch)? {
            let mut times = SeparableTimes::new(layer);
            times.depthwise = timer.fastest(&times.layer.depthwise)?;
            times.pointwise = timer.fastest(&times.layer.pointwise)?;
            ns = ns.zip(times.separate_ns()).map(|(a, b)| a + b);
        }
        points.extend(ns.map(|ns| MultiplierPoint { width, resolution, equation, macs, ns }));
    }
    Ok(points)
}

fn points_table(points: &[MultiplierPoint]) -> Table {
    let mut table = Table::new(&["width", "resolution", "ms", "time", "equation", "MACs"], &[0, 1, 2, 3, 4, 5]);
    let whole = points.iter().max_by(|a, b| a.equation.total_cmp(&b.equation)).copied();
    for p in points {
        let of = |share: f64| format!("{:.1} %", share * 100.0);
        table.row([
            p.width.to_string(),
            p.resolution.to_string(),
            format!("{:.2}", p.ns / 1e6),
            whole.map(|w| of(p.ns / w.ns)).unwrap_or_default(),
            whole.map(|w| of(p.equation / w.equation)).unwrap_or_default(),
            whole.map(|w| of(p.macs / w.macs)).unwrap_or_default(),
        ]);
    }
    table
}
