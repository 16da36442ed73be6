//! `mobilenet lab adopt`: results become the tuning record, which later plans follow.

use super::record;
use crate::failure::{Failure, Outcome, Status};
use crate::output::Output;
use crate::tuning;
use mobilenet_wgpu::lab;
use serde_json::json;
use std::path::PathBuf;

/// Take results into the tuning record of their device
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Results of `lab run -o` or `lab sweep -o`
    #[arg(required = true, value_name = "FILE.jsonl")]
    results: Vec<PathBuf>,
    /// The tuning record [default: the tool's own of that device, which later runs find]
    #[arg(long, short, value_name = "FILE.json")]
    output: Option<PathBuf>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let mut entries = Vec::new();
    for path in &arguments.results {
        entries.extend(record::load(path)?);
    }
    let device = entries.first().map(|e| e.device.clone()).unwrap_or_default();
    let path = arguments.output.clone().or_else(|| tuning::place_of(&device));
    let path = path.ok_or_else(|| Failure::new("no folder for the record: set MOBILENET_CONFIG_DIR, or use --output FILE"))?;
    let mut kept = tuning::existing(&path, &device)?;
    let adopted = lab::adopt(&entries, &mut kept);
    tuning::save(&path, &kept.save())?;
    let mut out = Output::new();
    if arguments.json {
        out.json_pretty(
            &json!({"record": path, "device": device, "cases": adopted.cases, "foreign": adopted.foreign, "in_record": kept.len()}),
        )?;
    } else {
        out.line(format!("{} cases of {} are in {} now, which has {}", adopted.cases, device.adapter, path.display(), kept.len()))?;
        if adopted.foreign > 0 {
            out.line(format!("{} cases of other devices are not: adopt them from a file of their own", adopted.foreign))?;
        }
        for (op, kernel) in &adopted.foreign_kernels {
            out.line(format!("{op}: {kernel} is fastest and not of this program: plans take it with --use its file"))?;
        }
        out.line("next: mobilenet plan")?;
    }
    out.flush()?;
    Ok(Status::Good)
}
