//! `mobilenet lab new`: a working kernel to begin with.

use super::op;
use crate::failure::{Failure, Outcome, Status, tell};
use mobilenet_wgpu::kernel::OpKind;
use mobilenet_wgpu::lab::starting_point;
use std::io::Write;
use std::path::PathBuf;

/// Write a commented, working kernel of your own for an op
#[derive(clap::Args, Debug)]
pub struct Arguments {
    #[arg(value_parser = op)]
    op: OpKind,
    /// Where to write it; a file that is there stays as it is
    file: PathBuf,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let failed = |e: std::io::Error| Failure::new(format!("{}: cannot be written: {e}", arguments.file.display()));
    let source = starting_point(arguments.op)?;
    let mut file = std::fs::File::create_new(&arguments.file).map_err(failed)?;
    file.write_all(source.as_bytes()).map_err(failed)?;
    tell(&format!("next: mobilenet lab run {} --wgsl {}", arguments.op, arguments.file.display()));
    Ok(Status::Good)
}
