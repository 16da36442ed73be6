//! The command-line tool `mobilenet`: one file a command.

fn main() {}
