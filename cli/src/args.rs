//! The command line: which commands there are.

use crate::commands as c;
use crate::failure::{EXIT_CODES, Outcome};
use clap::{Parser, Subcommand};

const QUICK_START: &str = "\
Examples:
  mobilenet classify photo.jpg                          the built-in model, on the GPU there is
  mobilenet classify --model model.safetensors photos/  a checkpoint of yours, a whole folder
  mobilenet inspect model.safetensors                   what a checkpoint is, and why we think so
  mobilenet adapters                                    which GPUs can be used";

/// MobileNet V1 and V2 on any GPU.
#[derive(Parser, Debug)]
#[command(name = "mobilenet", version, about, arg_required_else_help = true, max_term_width = 110)]
#[command(after_help = format!("{QUICK_START}\n\n{EXIT_CODES}"))]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Classify(c::classify::Arguments),
    Run(c::run::Arguments),
    Inspect(c::inspect::Arguments),
    Summary(c::summary::Arguments),
    Adapters(c::adapters::Arguments),
    Bench(c::bench::Arguments),
    Eval(c::eval::Arguments),
    Embed(c::embed::Arguments),
    Similar(c::similar::Arguments),
    Convert(c::convert::Arguments),
    Models(c::models::Arguments),
    #[cfg(feature = "hub")]
    Pull(c::pull::Arguments),
    Plan(c::plan::Arguments),
    Tune(c::tune::Arguments),
    Lab(c::lab::Arguments),
    #[cfg_attr(not(feature = "view"), command(hide = true))]
    View(c::view::Arguments),
    Completions(c::completions::Arguments),
}

impl Cli {
    /// Runs the command that was given.
    pub fn run(self) -> Outcome {
        match self.command {
            Command::Classify(arguments) => c::classify::run(&arguments),
            Command::Run(arguments) => c::run::run(&arguments),
            Command::Inspect(arguments) => c::inspect::run(&arguments),
            Command::Summary(arguments) => c::summary::run(&arguments),
            Command::Adapters(arguments) => c::adapters::run(&arguments),
            Command::Bench(arguments) => c::bench::run(&arguments),
            Command::Plan(arguments) => c::plan::run(&arguments),
            Command::Tune(arguments) => c::tune::run(&arguments),
            #[cfg(feature = "hub")]
            Command::Pull(arguments) => c::pull::run(&arguments),
            Command::Models(arguments) => c::models::run(&arguments),
            Command::Eval(arguments) => c::eval::run(&arguments),
            Command::Embed(arguments) => c::embed::run(&arguments),
            Command::Similar(arguments) => c::similar::run(&arguments),
            Command::Convert(arguments) => c::convert::run(&arguments),
            Command::Lab(arguments) => c::lab::run(&arguments),
            Command::View(arguments) => c::view::run(&arguments),
            Command::Completions(arguments) => c::completions::run(&arguments),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn arguments_are_well_formed() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        for command in super::Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "`{}` has no examples", command.get_name());
        }
    }
}
