//! `mobilenet completions`: for the shell.

use crate::failure::{Outcome, Status};
use clap::CommandFactory;
use std::io::Write;

const EXAMPLES: &str = "\
Examples:
  mobilenet completions bash > ~/.local/share/bash-completion/completions/mobilenet
  mobilenet completions zsh > ~/.zfunc/_mobilenet
  mobilenet completions fish > ~/.config/fish/completions/mobilenet.fish";

/// Completions for a shell, to be saved where it looks for them
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The shell
    shell: clap_complete::Shell,
}

/// Writes the completions.
pub fn run(arguments: &Arguments) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut crate::args::Cli::command(), "mobilenet", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(Status::Good)
}
