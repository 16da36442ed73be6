//! How a command ends: exit codes, and the one way in which errors are told.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// What `--help` says of exit codes.
pub const EXIT_CODES: &str = "Exit codes: 0 all right; 1 some inputs failed (each has an error line); 2 wrong usage, \
or no model, device or file: nothing was done";

/// How a command that ran to its end went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Everything went right.
    Good,
    /// Some inputs failed; what could be done is done.
    SomeFailed,
}

/// Why a command stopped.
#[derive(Debug)]
pub enum Failure {
    /// What happened and what to do, for standard error.
    Fatal(String),
    /// Who read our standard output has seen enough; not an error.
    ClosedPipe,
}

/// How a command ends.
pub type Outcome<T = Status> = Result<T, Failure>;

impl Failure {
    /// A failure that says `message`.
    pub fn new(message: impl Into<String>) -> Self {
        Failure::Fatal(message.into())
    }

    /// The same failure with another thing to do.
    #[must_use]
    pub fn with_next(self, next: &str) -> Self {
        match self {
            Failure::Fatal(message) => Failure::Fatal(format!("{message}\nnext: {next}")),
            Failure::ClosedPipe => self,
        }
    }
}

impl From<mobilenet_wgpu::Error> for Failure {
    fn from(error: mobilenet_wgpu::Error) -> Self {
        use mobilenet_wgpu::Error as E;
        let hint = match &error {
            E::NoAdapter(_) => "\nnext: `mobilenet adapters` lists what is here, `--cpu` needs no adapter",
            E::Option { option: "precision", .. } => "\nnext: --precision f32, or auto",
            _ => "",
        };
        Failure::Fatal(format!("{error}{hint}"))
    }
}

impl From<std::io::Error> for Failure {
    /// Only standard output's errors come here; files' are told with their path.
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::ClosedPipe,
            _ => Failure::Fatal(format!("standard output cannot be written: {error}")),
        }
    }
}

/// Tells what is to be told, and gives the process's exit code.
pub fn exit_code(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(Status::Good) | Err(Failure::ClosedPipe) => ExitCode::SUCCESS,
        Ok(Status::SomeFailed) => ExitCode::from(1),
        Err(Failure::Fatal(message)) => {
            tell(&format!("error: {message}"));
            ExitCode::from(2)
        }
    }
}

/// A line for people that is told once, however often it would be (each session reads the tuning record).
pub fn tell_once(line: &str) {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.insert(line.to_string()) {
        tell(line);
    }
}

/// A line for people on standard error; that nobody reads it is no error.
pub fn tell(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}
