//! `mobilenet lab report`: results as one page.

use super::bench::command;
use super::look::against_roof;
use super::record;
use crate::failure::{Failure, Outcome, Status, tell};
use mobilenet_wgpu::lab::{self, Record};
use std::path::PathBuf;

/// One page of results with plots, tables and kernels; of two records side by side
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Files of results or tuning records, one or two
    #[arg(required = true, num_args = 1..=2, value_name = "FILE")]
    results: Vec<PathBuf>,
    /// Where the page is written
    #[arg(long, short, value_name = "FILE.html")]
    output: PathBuf,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let mut records = Vec::new();
    for path in &arguments.results {
        let entries = record::load(path)?.into_iter().map(against_roof).collect();
        let name = path.file_stem().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
        records.push(Record { name, entries });
    }
    let page = lab::report(&records, &command(), &lab::today());
    let failed = |e: std::io::Error| Failure::new(format!("{}: cannot be written: {e}", arguments.output.display()));
    std::fs::write(&arguments.output, page).map_err(failed)?;
    tell(&format!("next: open {} in a browser", arguments.output.display()));
    Ok(Status::Good)
}
