//! `mobilenet lab separable`: the papers' claim on the user's own GPU.

use super::bench::Bench;
use crate::failure::{Failure, Outcome, Status, tell};
use crate::options::DeviceOptions;
use crate::options::seconds;
use crate::output::{Output, Table, us};
use mobilenet_wgpu::lab::{self, Fastest, MultiplierPoint, SeparableBench, SeparableTimes, plot};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

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
    let (adapter, precision) = (bench.engine.profile().name.clone(), bench.precision);
    let mut separable = SeparableBench::new(bench.here(), arguments.rounds, arguments.budget);
    let mut out = Output::new();
    let drawn = if arguments.sweep {
        let points = separable.multipliers(&arguments.widths, &arguments.resolutions, arguments.batch)?;
        if arguments.json {
            out.json_pretty(&json!({"adapter": adapter, "precision": precision, "batch": arguments.batch, "points": points}))?;
        } else {
            points_table(&points).write(&mut out)?;
        }
        plot::multipliers(&points, &format!("MobileNet V1's separable layers on {adapter}"))
    } else {
        let layers = separable.layers(arguments.width, arguments.resolution, arguments.batch)?;
        let totals = lab::separable_totals(&layers);
        if arguments.json {
            let [macs, time, pair, standard] = totals.unwrap_or([f64::NAN; 4]);
            let sums = json!({"mac_ratio": macs, "time_ratio": time, "separable_ns": pair, "standard_ns": standard});
            let rows: Vec<_> =
                layers.iter().map(|l| json!({"times": l, "separable_ns": l.pair_ns(), "time_ratio": l.time_ratio()})).collect();
            out.json_pretty(&json!({"adapter": adapter, "precision": precision, "width": arguments.width,
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
    if separable.left_out > 0 {
        tell(&format!("note: no time was left for {} cases\nnext: a larger --budget", separable.left_out));
    }
    if let Some(file) = &arguments.plot {
        std::fs::write(file, drawn).map_err(|e| Failure::new(format!("--plot {}: cannot be written: {e}", file.display())))?;
    }
    Ok(Status::Good)
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
