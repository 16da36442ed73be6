//! `mobilenet lab look`: results, or a tuning record, as `lab run` shows its own.

use super::{record, roof, table};
use crate::failure::{Failure, Outcome, Status};
use crate::output::Output;
use crate::tuning;
use mobilenet_wgpu::engine::Engine;
use mobilenet_wgpu::gpu::AdapterOptions;
use mobilenet_wgpu::kernel::OpKind;
use mobilenet_wgpu::lab::Entry;
use std::path::PathBuf;

/// Show results that are on record, those of `mobilenet tune` too
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// A file of results or a tuning record [default: the tuning record of this GPU]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Only this op's
    #[arg(long, value_parser = super::op)]
    op: Option<OpKind>,
    /// One JSON array
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// As CSV
    #[arg(long)]
    csv: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let path = match &arguments.file {
        Some(path) => path.clone(),
        None => {
            let engine = Engine::open(&AdapterOptions::default())?;
            let path = tuning::place(engine.profile()).filter(|path| path.exists());
            path.ok_or_else(|| Failure::new("there is no tuning record of this GPU\nnext: mobilenet tune, or name a FILE"))?
        }
    };
    let mut entries = record::load(&path)?;
    entries.retain(|e| arguments.op.is_none_or(|op| op == e.result.case.op));
    let entries: Vec<Entry> = entries.into_iter().map(against_roof).collect();
    let mut out = Output::new();
    if arguments.json {
        out.json_pretty(&entries)?;
    } else if arguments.csv {
        table::csv(&mut out, &entries)?;
    } else {
        entries.iter().try_for_each(|entry| table::case(&mut out, entry))?;
    }
    out.flush()?;
    Ok(Status::Good)
}

/// An entry that has no roof of its own, against the one that is on record.
pub fn against_roof(entry: Entry) -> Entry {
    match roof::of(&entry.device) {
        Some(roof) if entry.roof.is_none() => entry.against(&roof),
        _ => entry,
    }
}
