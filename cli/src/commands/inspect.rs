//! `mobilenet inspect`: what a checkpoint is, and why we think so.

use crate::failure::{Outcome, Status};
use crate::model;
use crate::options::{ModelOptions, ReadingOptions};
use crate::output::{Output, bytes, count};
use mobilenet_wgpu::model::Recognition;
use mobilenet_wgpu::picture::{Preprocessing, Resize};

const EXAMPLES: &str = "\
Examples:
  mobilenet inspect model.safetensors
  mobilenet inspect ~/models/mobilenet_v2/ --json
  mobilenet inspect odd.safetensors --map names.json --padding same
  mobilenet inspect                                    the model that the other commands would take

Files of other formats (.onnx, .tflite, .h5, .pth, int8) are recognised, with what to do about them.";

/// What a checkpoint is, and why we think so
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The checkpoint: a .safetensors file, or a folder that holds model.safetensors
    #[arg(value_name = "FILE", conflicts_with = "model")]
    file: Option<String>,
    /// The same, as the other commands take it
    #[arg(long, short, value_name = "MODEL")]
    model: Option<String>,
    #[command(flatten)]
    reading: ReadingOptions,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// What `--json` writes.
#[derive(serde::Serialize)]
struct Report<'a> {
    model: String,
    #[serde(flatten)]
    recognition: &'a Recognition,
}

/// Reports on the checkpoint.
pub fn run(arguments: &Arguments) -> Outcome {
    let wanted = arguments.file.clone().or_else(|| arguments.model.clone());
    let options = ModelOptions { model: wanted, reading: arguments.reading.clone() };
    let (model, source) = model::load(&options)?;
    let mut out = Output::new();
    let recognition = model.recognition();
    if arguments.json {
        out.json_pretty(&Report { model: source.to_string(), recognition })?;
    } else {
        out.line(format!("{}  {}", out.bold(&source), out.dim(bytes(recognition.bytes as u64))))?;
        facts(&mut out, recognition)?;
        list(&mut out, "Why", &recognition.why)?;
        list(&mut out, "Notes", &recognition.notes)?;
        list(&mut out, "Tensors that are not used", &recognition.unused)?;
    }
    out.flush()?;
    Ok(Status::Good)
}

fn facts(out: &mut Output, r: &Recognition) -> Outcome<()> {
    let [height, width] = r.input_size;
    let types: Vec<String> = r.types.iter().map(|(name, n)| format!("{n} {name}")).collect();
    let classes = match r.classes {
        None => "none: a backbone, whose output is the pooled features".into(),
        Some(n) if r.background_class => format!("{n}, the first is background"),
        Some(n) => n.to_string(),
    };
    let batch_norm = match r.bn_eps {
        Some(epsilon) => format!("not folded, epsilon {epsilon:e}"),
        None => "folded".into(),
    };
    let unknown = || "unknown".to_string();
    let rows = [
        ("scheme", r.scheme.clone()),
        ("architecture", r.architecture.clone()),
        ("width", r.width.map_or_else(unknown, |w| w.to_string())),
        ("input", format!("{height}x{width}x3")),
        ("classes", classes),
        ("labels", r.labels.to_string()),
        ("parameters", count(r.parameters)),
        ("batch norm", batch_norm),
        ("padding", r.padding.clone().unwrap_or_else(unknown)),
        ("activation", r.activation.clone().unwrap_or_else(unknown)),
        ("strides", r.strides.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")),
        ("pictures", preprocessing(&r.preprocessing)),
        ("tensors", format!("{} in the file, in use {}", r.tensors, types.join(", "))),
    ];
    rows.iter().try_for_each(|(name, value)| out.line(format!("  {name:<14}{value}")))
}

/// The rule in one line.
fn preprocessing(rule: &Preprocessing) -> String {
    let filter = format!("{:?}", rule.interpolation).to_lowercase();
    let resize = match rule.resize {
        Resize::CentreCrop { crop_pct } => format!("{filter} resize, centre crop of {crop_pct}"),
        Resize::CentreCropLarger { crop_pct } => {
            format!("{filter} resize, centre crop of {crop_pct}, pictures of its own size as they are")
        }
        other => format!("{filter} resize, {}", format!("{other:?}").to_lowercase()),
    };
    let order = format!("{:?}", rule.order).to_uppercase();
    format!("{resize}; {order}, mean {}, std {}", numbers(rule.mean), numbers(rule.std))
}

fn numbers(values: [f32; 3]) -> String {
    let [a, b, c] = values.map(|v| format!("{:.4}", v).trim_end_matches('0').trim_end_matches('.').to_string());
    if a == b && b == c { a } else { format!("{a}, {b}, {c}") }
}

fn list(out: &mut Output, heading: &str, lines: &[String]) -> Outcome<()> {
    if lines.is_empty() {
        return Ok(());
    }
    out.line(out.bold(heading))?;
    lines.iter().try_for_each(|line| out.line(format!("  {line}")))
}
