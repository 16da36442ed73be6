//! Kernels that nobody knows run in a child of this process: one that loops for ever, on a software adapter that has no
//! watchdog, is killed there, and the lab goes on.

use crate::failure::{Failure, Outcome};
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The variable that tells a child that it is one.
const MARK: &str = "MOBILENET_LAB_WORKER";

/// Whether this process is such a child.
pub fn is_one() -> bool {
    std::env::var_os(MARK).is_some()
}

/// What became of a child.
pub enum Ended {
    /// It wrote this to standard output.
    Well(String),
    /// It failed; what it wrote to standard error.
    Badly(String),
    /// It was killed after its time.
    Late,
}

/// Runs this program again with the same arguments, as a child, for at most `limit`.
pub fn supervise(limit: Duration) -> Outcome<Ended> {
    let failed = |e: std::io::Error| Failure::new(format!("the lab's worker cannot be started: {e}"));
    let program = std::env::current_exe().map_err(failed)?;
    let mut child = Command::new(program)
        .args(std::env::args_os().skip(1))
        .env(MARK, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    // Pipes are emptied beside the waiting, or a child with much to say would wait for us.
    let drain = |pipe: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut text = String::new();
            if let Some(mut pipe) = pipe {
                let _ = pipe.read_to_string(&mut text);
            }
            text
        })
    };
    let out = drain(child.stdout.take().map(|p| Box::new(p) as Box<dyn Read + Send>));
    let err = drain(child.stderr.take().map(|p| Box::new(p) as Box<dyn Read + Send>));
    let start = Instant::now();
    let status = loop {
        match child.try_wait().map_err(failed)? {
            Some(status) => break status,
            None if start.elapsed() >= limit => {
                let _ = child.kill();
                let _ = child.wait();
                return Ok(Ended::Late);
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    Ok(if status.success() { Ended::Well(out) } else { Ended::Badly(err) })
}
