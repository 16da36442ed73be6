//! Kernels that nobody knows run in a child of this process: one that loops for ever, on a software adapter that has no
//! watchdog, is killed there, and the lab goes on.
//!
//! The child, `mobilenet lab worker`, reads one task from standard input and writes lines: which candidate it begins, then
//! the result. So it is known which candidate did not end.

use crate::failure::{Failure, Outcome, Status};
use mobilenet_wgpu::engine::Engine;
use mobilenet_wgpu::gpu::AdapterOptions;
use mobilenet_wgpu::kernel::{Case, OpKind, Precision, Variant};
use mobilenet_wgpu::lab::{UserKernel, counting};
use mobilenet_wgpu::measure::{self, CaseResult, KernelOptions, Stopwatch};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
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

/// A line from the child.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<T> {
    /// A candidate is compiled and checked.
    Begin(String),
    /// The candidates are timed.
    Timing,
    Result(T),
    Error(String),
}

/// What became of a child.
pub enum Ended<T> {
    /// It did what it was to do.
    Well(T),
    /// It could not, and says why; of a measurement, no candidate is to blame.
    Refused(Option<String>, String),
    /// It died or was killed while it was at this candidate, if it had come to one.
    Badly(Option<String>, String),
}

/// The child's part
#[derive(clap::Args, Debug)]
pub struct Arguments {}

/// Does the task on standard input.
pub fn run(_: &Arguments) -> Outcome {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|e| Failure::new(format!("standard input cannot be read: {e}")))?;
    let task: Task<'_> = serde_json::from_str(&text).map_err(|e| Failure::new(format!("not a task of `mobilenet lab run`: {e}")))?;
    match task {
        Task::Measure(job) => tell(work(&job)),
        Task::Try(trial) => tell(attempt(&trial)),
    }
    Ok(Status::Good)
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
        budget: Some(Duration::from_secs_f64(job.budget.max(0.0))),
        ..KernelOptions::default()
    };
    let begin = &mut |variant: Option<&Variant>| write(&variant.map_or(Line::<()>::Timing, |v| Line::Begin(v.name.to_string())));
    measure::kernels_telling(&engine, &watch, &job.case, job.precision, &rows, &options, begin).map(Box::new)
}

/// Has a child measure, for at most `limit`, and each candidate's compiling and checking for at most `patience`.
pub fn supervise(job: &Job, limit: Duration, patience: Duration) -> Outcome<Ended<Box<CaseResult>>> {
    give(&Task::Measure(Cow::Borrowed(job)), limit, patience)
}

/// Has a child dispatch kernels once for each layer, which gets `patience`.
pub fn supervise_trial(trial: &Trial, patience: Duration) -> Outcome<Ended<()>> {
    give(&Task::Try(Cow::Borrowed(trial)), patience * (1 + trial.layers.len() as u32), patience)
}

fn give<T: DeserializeOwned>(task: &Task<'_>, limit: Duration, patience: Duration) -> Outcome<Ended<T>> {
    let failed = |e: std::io::Error| Failure::new(format!("the lab's worker cannot be started: {e}"));
    let text = serde_json::to_string(task).map_err(|e| Failure::new(format!("the lab's job cannot be written: {e}")))?;
    let mut child = Command::new(std::env::current_exe().map_err(failed)?)
        .args(["lab", "worker"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
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
    // A child that died at once has no standard input any more; its end tells.
    let _ = child.stdin.take().map(|mut pipe| pipe.write_all(text.as_bytes()));
    let (mut end, mut at) = (Instant::now() + limit, None);
    let last = end;
    let mut given = limit;
    let ended = loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => match serde_json::from_str::<Line<T>>(&line) {
                Ok(Line::Begin(name)) => {
                    at = Some(name);
                    given = patience;
                    end = last.min(Instant::now() + patience);
                }
                Ok(Line::Timing) => (end, given) = (last, limit),
                Ok(Line::Result(result)) => break Some(Ended::Well(result)),
                Ok(Line::Error(why)) => break Some(Ended::Refused(at.clone(), why)),
                // A driver may write to standard output too.
                Err(_) => {}
            },
            Err(RecvTimeoutError::Timeout) => {
                break Some(Ended::Badly(at.clone(), format!("it did not end within {:.0} s and was killed", given.as_secs_f64())));
            }
            Err(RecvTimeoutError::Disconnected) => break None,
        }
    };
    if matches!(ended, Some(Ended::Badly(..))) {
        let _ = child.kill();
    }
    let _ = child.wait();
    Ok(match ended {
        Some(ended) => ended,
        None => Ended::Badly(at, format!("its run failed: {}", err.join().unwrap_or_default().trim())),
    })
}
