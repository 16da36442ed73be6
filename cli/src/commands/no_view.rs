//! `mobilenet view` where the tool was built without it: says how to get it.

use crate::failure::{Failure, Outcome};

const EXAMPLES: &str = "\
Example:
  cargo run --release --features view -- view photos/";

/// A live window, which this build of the tool does not have
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    any: Vec<String>,
}

/// Says what to do.
pub fn run(arguments: &Arguments) -> Outcome {
    let arguments = arguments.any.join(" ");
    let command = format!("cargo run --release --features view -- view {arguments}");
    Err(Failure::new(format!("this build of the tool has no window; build it with --features view (Rust 1.95):\n  {}", command.trim_end())))
}
