//! Kernels that nobody knows run in a child of this process: one that loops for ever, on a software adapter that has no
//! watchdog, is killed there, and the lab goes on.
//!
//! The child, `mobilenet lab worker`, reads one task from standard input, a line, and writes lines: what it does with which
//! candidate, then the result. So it is known which candidate did not end. Its standard input stays open as long as this process
//! lives: where it ends, so does the child, whatever its device is doing. Ctrl-C is this process's affair, so the child is in a
//! process group of its own.

use crate::failure::{Failure, Outcome, Status};
use mobilenet_wgpu::engine::Engine;
use mobilenet_wgpu::gpu::AdapterOptions;
use mobilenet_wgpu::kernel::{Case, OpKind, Precision, Variant};
use mobilenet_wgpu::lab::{UserKernel, confined, counting};
use mobilenet_wgpu::measure::{self, CaseResult, KernelOptions, Stage, Stopwatch};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// What a child is to measure.
#[derive(Clone, Serialize, Deserialize)]
pub struct Job {
    pub adapter: Option<String>,
    pub backend: Option<String>,
    pub case: Case,
    pub precision: Precision,
    /// Names of our kernels.
    pub variants: Vec<String>,
    /// The user's file, its content, and what the command says beside it.
    pub file: String,
    pub source: String,
    pub workgroups: Option<String>,
    pub parameters: Vec<(String, Vec<f64>)>,
    /// Which of its combinations of parameters.
    pub own: Vec<String>,
    pub rounds: u32,
    pub checks: u32,
    pub odd: bool,
    pub cold: bool,
    /// Seconds after which nothing is begun.
    pub budget: f64,
}

/// Kernels of a network's that are to be dispatched once for each of the layers that they compute.
#[derive(Clone, Serialize, Deserialize)]
pub struct Trial {
    pub adapter: Option<String>,
    pub backend: Option<String>,
    pub precision: Precision,
    /// Files with what is in them.
    pub kernels: Vec<(OpKind, String, String)>,
    pub layers: Vec<(String, Case)>,
}

/// What a child is there for.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Task<'a> {
    Measure(Cow<'a, Job>),
    Try(Cow<'a, Trial>),
}

/// A task, and the seconds after which the child ends of its own accord.
#[derive(Serialize, Deserialize)]
struct Order<'a> {
    task: Task<'a>,
    limit: f64,
}

/// A line from the child.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<T> {
    /// A candidate is compiled, checked or dispatched once.
    Begin(String),
    /// A candidate that was checked is dispatched again.
    Timing(String),
    Result(T),
    Error(String),
}

/// What became of a child.
pub enum Ended<T> {
    /// It did what it was to do.
    Well(T),
    /// It could not, and says why and at which candidate, if it had come to one.
    Refused(Option<String>, String),
    /// It died, or was killed since this candidate did not end, if it had come to one.
    Badly(Option<String>, String),
    /// It was killed since the time for all was over; no candidate is to blame.
    Late,
}

/// The child's part
#[derive(clap::Args, Debug)]
pub struct Arguments {}

/// Does the task on standard input.
pub fn run(_: &Arguments) -> Outcome {
    let mut text = String::new();
    std::io::stdin().read_line(&mut text).map_err(|e| Failure::new(format!("standard input cannot be read: {e}")))?;
    let order: Order<'_> = serde_json::from_str(&text).map_err(|e| Failure::new(format!("not a task of `mobilenet lab run`: {e}")))?;
    let limit = Duration::try_from_secs_f64(order.limit).map_err(|e| Failure::new(format!("a limit of {} s: {e}", order.limit)))?;
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        end();
    });
    std::thread::spawn(move || {
        std::thread::sleep(limit);
        end();
    });
    match order.task {
        Task::Measure(job) => tell(work(&job)),
        Task::Try(trial) => tell(attempt(&trial)),
    }
    Ok(Status::Good)
}

/// Ends this process, with a kernel under way or not. Nobody is there any more to read why.
fn end() {
    // A driver may wait for its queue when a process exits; that must not take longer than this.
    std::thread::spawn(|| {
        std::thread::sleep(Duration::from_secs(1));
        std::process::abort();
    });
    std::process::exit(1);
}

fn tell<T: Serialize>(result: mobilenet_wgpu::Result<T>) {
    write(&result.map_or_else(|error| Line::Error(error.to_string()), Line::Result));
}

fn write<T: Serialize>(line: &Line<T>) {
    let mut out = std::io::stdout().lock();
    let _ = serde_json::to_writer(&mut out, line);
    let _ = out.write_all(b"\n").and_then(|()| out.flush());
}

fn attempt(trial: &Trial) -> mobilenet_wgpu::Result<()> {
    let engine = Engine::open(&AdapterOptions { adapter: trial.adapter.clone(), backend: trial.backend.clone() })?;
    for (op, file, source) in &trial.kernels {
        let Some(variant) = first(*op, file, source)? else { continue };
        for (layer, case) in trial.layers.iter().filter(|(_, case)| variant.check(case, trial.precision, engine.profile()).is_ok()) {
            write(&Line::<()>::Begin(layer.clone()));
            measure::dispatch_once(&engine, case, trial.precision, &variant)?;
        }
    }
    Ok(())
}

/// A file's kernel as a whole network takes it: of several values of its parameters with the first.
pub fn first(op: OpKind, file: &str, source: &str) -> mobilenet_wgpu::Result<Option<Variant>> {
    Ok(UserKernel::read(op, file, source, None, &[])?.variants()?.into_iter().next())
}

fn work(job: &Job) -> mobilenet_wgpu::Result<Box<CaseResult>> {
    let engine = Engine::open(&AdapterOptions { adapter: job.adapter.clone(), backend: job.backend.clone() })?;
    let watch = Stopwatch::new(engine.device(), engine.queue())?;
    let kernel = UserKernel::read(job.case.op, &job.file, &job.source, job.workgroups.as_deref(), &job.parameters)?;
    let own: Vec<Variant> = kernel.variants()?.into_iter().filter(|v| job.own.iter().any(|name| *name == v.name)).collect();
    let ours = engine.variants().iter().filter(|v| job.variants.iter().any(|name| *name == v.name));
    let rows: Vec<&Variant> = ours.chain(&own).collect();
    let options = KernelOptions {
        rounds: job.rounds,
        checks: job.checks,
        odd: job.odd,
        cold: job.cold,
        counting: Some(counting),
        confined: Some(confined),
        budget: Some(Duration::from_secs_f64(job.budget.max(0.0))),
        ..KernelOptions::default()
    };
    let tell = &mut |stage, variant: &Variant| {
        let name = variant.name.to_string();
        write(&if stage == Stage::Check { Line::<()>::Begin(name) } else { Line::Timing(name) });
    };
    measure::kernels_telling(&engine, &watch, &job.case, job.precision, &rows, &options, tell).map(Box::new)
}

/// Has a child measure, for at most `limit`, with `patience` for each candidate's compiling and checking, and for each of its
/// samples.
pub fn supervise(job: &Job, limit: Duration, patience: Duration) -> Outcome<Ended<Box<CaseResult>>> {
    give(Task::Measure(Cow::Borrowed(job)), limit, patience)
}

/// Has a child dispatch kernels once for each layer, which gets `patience`.
pub fn supervise_trial(trial: &Trial, patience: Duration) -> Outcome<Ended<()>> {
    give(Task::Try(Cow::Borrowed(trial)), patience * (1 + trial.layers.len() as u32), patience)
}

/// How much later than it is killed a child ends of its own accord, if nobody kills it.
const GRACE: f64 = 5.0;

fn give<T: DeserializeOwned>(task: Task<'_>, limit: Duration, patience: Duration) -> Outcome<Ended<T>> {
    let failed = |e: std::io::Error| Failure::new(format!("the lab's worker cannot be started: {e}"));
    let order = Order { task, limit: limit.as_secs_f64() + GRACE };
    let text = serde_json::to_string(&order).map_err(|e| Failure::new(format!("the lab's job cannot be written: {e}")))?;
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    follow(apart(command.args(["lab", "worker"])), &text, limit, patience)
}

/// The command in a process group of its own, which Ctrl-C in a terminal does not reach.
fn apart(command: &mut Command) -> &mut Command {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(windows)]
    {
        const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
        std::os::windows::process::CommandExt::creation_flags(command, CREATE_NEW_PROCESS_GROUP);
    }
    command
}

/// Starts a child, hands it a line and follows what it says until it ends or its time is over.
fn follow<T: DeserializeOwned>(command: &mut Command, order: &str, limit: Duration, patience: Duration) -> Outcome<Ended<T>> {
    let failed = |e: std::io::Error| Failure::new(format!("the lab's worker cannot be started: {e}"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    let (sender, lines) = mpsc::channel();
    let out = child.stdout.take();
    std::thread::spawn(move || {
        for line in out.into_iter().flat_map(|out| BufReader::new(out).lines().map_while(Result::ok)) {
            let _ = sender.send(line);
        }
    });
    let err = child.stderr.take();
    let err = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = err.map(|mut pipe| pipe.read_to_string(&mut text));
        text
    });
    // It is held open until the child has ended. A child that died at once has none any more; its end tells.
    let mut stdin = child.stdin.take();
    let _ = stdin.as_mut().map(|pipe| pipe.write_all(order.as_bytes()).and_then(|()| pipe.write_all(b"\n")));
    let ended = listen(&lines, limit, patience);
    if matches!(ended, Heard::Said(Ended::Badly(..) | Ended::Late)) {
        let _ = child.kill();
    }
    Ok(match ended {
        Heard::Said(ended) => {
            let _ = child.wait();
            ended
        }
        Heard::Silence(at) => {
            let how = how_it_ended(&mut child);
            let said = err.join().unwrap_or_default();
            Ended::Badly(at, format!("its run failed ({how}) {}", said.trim()).trim_end().to_string())
        }
    })
}

fn how_it_ended(child: &mut Child) -> String {
    child.wait().map_or_else(|e| e.to_string(), |status| status.to_string())
}

/// What came of listening to a child.
enum Heard<T> {
    Said(Ended<T>),
    /// It ended without a result, at this candidate.
    Silence(Option<String>),
}

fn listen<T: DeserializeOwned>(lines: &mpsc::Receiver<String>, limit: Duration, patience: Duration) -> Heard<T> {
    let last = Instant::now() + limit;
    let (mut at, mut end) = (None, last);
    loop {
        match lines.recv_timeout(end.min(last).saturating_duration_since(Instant::now())) {
            Ok(line) => match serde_json::from_str::<Line<T>>(&line) {
                Ok(Line::Begin(name) | Line::Timing(name)) => (at, end) = (Some(name), Instant::now() + patience),
                Ok(Line::Result(result)) => return Heard::Said(Ended::Well(result)),
                Ok(Line::Error(why)) => return Heard::Said(Ended::Refused(at, why)),
                // A driver may write to standard output too.
                Err(_) => {}
            },
            Err(RecvTimeoutError::Timeout) if end <= last && at.is_some() => {
                let why = format!("it did not end within {:.0} s and was killed", patience.as_secs_f64());
                return Heard::Said(Ended::Badly(at, why));
            }
            Err(RecvTimeoutError::Timeout) => return Heard::Said(Ended::Late),
            Err(RecvTimeoutError::Disconnected) => return Heard::Silence(at),
        }
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    /// What becomes of a child that is a shell script.
    fn child(script: &str) -> Ended<u32> {
        let limit = Duration::from_secs(20);
        follow(Command::new("sh").args(["-c", script]), "{}", limit, Duration::from_millis(400)).unwrap()
    }

    fn badly(script: &str) -> (Option<String>, String) {
        match child(script) {
            Ended::Badly(at, why) => (at, why),
            _ => panic!("{script}"),
        }
    }

    #[test]
    fn a_candidate_that_does_not_end_is_named_checked_or_timed() {
        let begin = r#"echo '{"begin":"a"}'; echo '{"begin":"b"}';"#;
        let (at, why) = badly(&format!("{begin} exec sleep 30"));
        assert!(at.as_deref() == Some("b") && why.contains("did not end"), "{at:?} {why}");
        // What is timed is at fault, not what was checked last.
        let (at, _) = badly(&format!(r#"{begin} echo '{{"timing":"a"}}'; exec sleep 30"#));
        assert_eq!(at.as_deref(), Some("a"));
        let (at, why) = badly(&format!("{begin} kill -SEGV $$"));
        assert!(at.as_deref() == Some("b") && why.contains("signal: 11"), "{at:?} {why}");
    }

    #[test]
    fn an_error_says_at_which_candidate() {
        let lost = r#"echo '{"begin":"a"}'; echo '{"error":"the device is lost"}'"#;
        assert!(matches!(child(lost), Ended::Refused(Some(at), why) if at == "a" && why.contains("lost")));
        assert!(matches!(child(r#"echo '{"error":"no adapter"}'"#), Ended::Refused(None, _)));
    }

    #[test]
    fn nobody_is_to_blame_for_the_end_of_all_time() {
        let (soon, patience) = (Duration::from_millis(300), Duration::from_secs(20));
        let script = r#"echo '{"timing":"a"}'; exec sleep 30"#;
        let ended = follow::<u32>(Command::new("sh").args(["-c", script]), "{}", soon, patience).unwrap();
        assert!(matches!(ended, Ended::Late));
    }
}
