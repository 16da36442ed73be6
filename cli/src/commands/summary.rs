//! `mobilenet summary`: layers, shapes and arithmetic cost.

use crate::failure::{Outcome, Status};
use crate::model;
use crate::options::{ModelOptions, PaperOptions, Size};
use crate::output::{Output, Table, bytes, count};
use mobilenet_wgpu::model::{Cost, Multipliers};

const EXAMPLES: &str = "\
Examples:
  mobilenet summary --arch v2 --width 0.5 --resolution 160
  mobilenet summary --model model.safetensors
  mobilenet summary --arch v1 --json | jq .totals.macs

MACs are multiply-accumulates of convolutions and linear layers for one picture, as the papers count them. For each
separable layer the standard convolution that it replaces stands beside it, with the ratio 1/N + 1/Dk^2 (arXiv
1704.04861, equations 2 to 5).";

/// Layers with shapes, MACs and parameters, and what standard convolutions would cost
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    paper: PaperOptions,
    /// Height and width of its input, such as 224 or 160x224
    #[arg(long, value_name = "HxW", requires = "arch", conflicts_with = "size")]
    resolution: Option<Size>,
    /// Its classes; 0: no classifier
    #[arg(long, default_value_t = 1000, requires = "arch")]
    classes: u32,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// What `--json` writes.
#[derive(serde::Serialize)]
struct Report<'a> {
    network: &'a str,
    input_size: [u32; 2],
    #[serde(flatten)]
    cost: &'a Cost,
}

/// Writes the layers and their sums.
pub fn run(arguments: &Arguments) -> Outcome {
    let (title, cost, size) = cost(arguments)?;
    let mut out = Output::new();
    if arguments.json {
        out.json_pretty(&Report { network: &title, input_size: size, cost: &cost })?;
    } else {
        out.line(out.bold(&title))?;
        layers(&cost).write(&mut out)?;
        out.line("")?;
        totals(&mut out, &cost)?;
        if let Some(multipliers) = &cost.multipliers {
            out.line("")?;
            effect(multipliers).write(&mut out)?;
        }
    }
    out.flush()?;
    Ok(Status::Good)
}

fn cost(arguments: &Arguments) -> Outcome<(String, Cost, [u32; 2])> {
    let Some(config) = arguments.paper.config() else {
        let (model, _) = model::load(&arguments.model)?;
        let cost = match model.config() {
            Some(config) => config.cost()?,
            None => Cost::of(&model.graph(None)?),
        };
        return Ok((model.recognition().to_string(), cost, model.input_size()));
    };
    let size = arguments.resolution.or(arguments.model.reading.size).map_or([224, 224], |s| s.0);
    let config = config.with_input(size).with_classes(Some(arguments.classes).filter(|n| *n > 0));
    let [height, width] = size;
    let classes = config.classes.map_or("no classifier".into(), |n| format!("{n} classes"));
    Ok((format!("{} {}, {height}x{width}, {classes}", config.version, arguments.paper.width), config.cost()?, size))
}

fn layers(cost: &Cost) -> Table {
    let headings = ["layer", "op", "input", "output", "MACs", "params", "activations", "standard MACs", "ratio"];
    let mut table = Table::new(&headings, &[4, 5, 6, 7, 8]);
    for layer in &cost.layers {
        let separable = layer.separable.map(|s| (count(s.standard_macs), format!("{:.4}", s.ratio)));
        let (standard, ratio) = separable.unwrap_or_default();
        table.row([
            layer.name.clone(),
            layer.op.to_string(),
            layer.input.to_string(),
            layer.output.to_string(),
            count(layer.macs),
            count(layer.params),
            bytes(layer.activation_bytes),
            standard,
            ratio,
        ]);
    }
    table
}

fn totals(out: &mut Output, cost: &Cost) -> Outcome<()> {
    let totals = &cost.totals;
    let millions = |n: u64| format!("{:.1} M", n as f64 / 1e6);
    out.line(out.bold("Totals"))?;
    out.line(format!("  MACs          {:>15}  ({})", count(totals.macs), millions(totals.macs)))?;
    out.line(format!("  parameters    {:>15}  ({})", count(totals.params), millions(totals.params)))?;
    out.line(format!("  activations   {:>15}", bytes(totals.activation_bytes)))?;
    if totals.standard_macs > totals.macs {
        let share = |a: u64, b: u64| a as f64 / b.max(1) as f64;
        out.line(format!(
            "  with standard convolutions: {} MACs ({:.1} times as many), {} parameters ({:.1} times)",
            millions(totals.standard_macs),
            share(totals.standard_macs, totals.macs),
            millions(totals.standard_params),
            share(totals.standard_params, totals.params)
        ))?;
    }
    Ok(())
}

/// What width and resolution do (equations 6 and 7).
fn effect(multipliers: &Multipliers) -> Table {
    let mut table = Table::new(&["effect of the multipliers", "MACs", "params", "ratio", "by the equation"], &[1, 2, 3, 4]);
    let (a, r) = (multipliers.width, multipliers.resolution);
    let rows = [
        ("width 1, 224x224".to_string(), multipliers.baseline),
        (format!("width {a}, 224x224 (equation 6)"), multipliers.by_width),
        (format!("width {a}, resolution {r:.3} (equation 7)"), multipliers.by_both),
    ];
    for (name, scaled) in rows {
        table.row([name, count(scaled.macs), count(scaled.params), format!("{:.4}", scaled.ratio), format!("{:.4}", scaled.equation)]);
    }
    table
}
