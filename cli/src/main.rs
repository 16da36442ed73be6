//! The command-line tool `mobilenet`: one file a command.
//!
//! What must hold: results go to standard output and nothing else does; what is said to people (errors, notes, progress)
//! goes to standard error; exit codes are those of [`failure`]; a reader that closes the pipe ends the tool quietly.

mod args;
mod backend;
mod bench;
mod commands;
mod config;
mod decoder;
mod failure;
mod fingerprint;
mod folders;
#[cfg(feature = "hub")]
mod hub;
mod interrupt;
mod lab;
mod model;
mod npy;
mod options;
mod output;
mod own;
mod pictures;
mod pipeline;
mod pipelines;
mod pytorch;
mod tensors;
mod tuning;
mod untrained;
#[cfg(feature = "view")]
mod view;

use clap::Parser;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Instant;

/// When the program began: `main` asks first.
fn started() -> Instant {
    static STARTED: OnceLock<Instant> = OnceLock::new();
    *STARTED.get_or_init(Instant::now)
}

fn main() -> ExitCode {
    started();
    failure::exit_code(args::Cli::parse().run())
}
