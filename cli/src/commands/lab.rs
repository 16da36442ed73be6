//! `mobilenet lab`: the bench for shader variants.

use crate::failure::Outcome;
use crate::lab;

const EXAMPLES: &str = "\
Examples:
  mobilenet lab list pointwise                                    the kernels of an op
  mobilenet lab run pointwise --shape 14x14x96x576                which is fastest for this shape here
  mobilenet lab run --model model.safetensors --layer block5.expand
  mobilenet lab new pointwise mine.wgsl                           a kernel of your own to begin with
  mobilenet lab run --shape 14x14x96x576 --wgsl mine.wgsl --watch
  mobilenet classify photo.jpg --use mine.wgsl                    the same in the whole network
  mobilenet lab show pointwise/split_k --lang spirv               what the driver is given
  mobilenet lab roof                                              what this adapter can do at the most
  mobilenet lab sweep --all --model model.safetensors -o results.jsonl   all kernels of all layers, into a record
  mobilenet lab report results.jsonl -o report.html               plots, table and kernels on one page
  mobilenet lab compare before.jsonl after.jsonl                  what got slower: exit code 1
  mobilenet lab adopt results.jsonl                               plans follow the record
  mobilenet lab separable                                         the papers' claim on this adapter";

/// The bench for shader variants: list, run, new, show, roof, sweep, look, compare, adopt, report, separable
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    List(lab::list::Arguments),
    Run(Box<lab::run::Arguments>),
    New(lab::new::Arguments),
    Show(lab::show::Arguments),
    Roof(lab::roof::Arguments),
    Sweep(Box<lab::sweep::Arguments>),
    Look(lab::look::Arguments),
    Compare(lab::compare::Arguments),
    Adopt(lab::adopt::Arguments),
    Report(lab::report::Arguments),
    Separable(Box<lab::separable::Arguments>),
    #[command(hide = true)]
    Worker(lab::worker::Arguments),
}

/// Runs the lab's command.
pub fn run(arguments: &Arguments) -> Outcome {
    match &arguments.command {
        Command::List(arguments) => lab::list::run(arguments),
        Command::Run(arguments) => lab::run::run(arguments),
        Command::New(arguments) => lab::new::run(arguments),
        Command::Show(arguments) => lab::show::run(arguments),
        Command::Roof(arguments) => lab::roof::run(arguments),
        Command::Sweep(arguments) => lab::sweep::run(arguments),
        Command::Look(arguments) => lab::look::run(arguments),
        Command::Compare(arguments) => lab::compare::run(arguments),
        Command::Adopt(arguments) => lab::adopt::run(arguments),
        Command::Report(arguments) => lab::report::run(arguments),
        Command::Separable(arguments) => lab::separable::run(arguments),
        Command::Worker(arguments) => lab::worker::run(arguments),
    }
}
