//! The lab's child process: whoever ends first, the tool, the child or the kernel, nothing is left running and nobody is blamed
//! for another's end.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tool;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use tool::{Folder, mobilenet};

/// A kernel with four thousand million workgroups, which no adapter computes in the time of a test, or with few.
fn kernel(folder: &Folder, name: &str, endless: bool) -> String {
    let file = folder.join(name);
    assert_eq!(mobilenet(["lab", "new", "pointwise", file.to_str().unwrap()]).code, 0);
    let source = std::fs::read_to_string(&file).unwrap().replace("@compute", "override TILE: u32 = 1u;\n@compute");
    let source = source.replace("var v = sum;", "var v = sum * f32(TILE) / f32(TILE);");
    let workgroups = if endless { "65535, 65535, 1" } else { "ceil(out_c4, 8), ceil(pixels, 32)" };
    std::fs::write(&file, source.replace("ceil(out_c4, 8), ceil(pixels, 32)", workgroups)).unwrap();
    file.to_str().unwrap().to_string()
}

/// A process's state and parent, as long as it is there.
fn state(pid: u32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut words = stat.rsplit_once(')')?.1.split_whitespace();
    Some((words.next()?.chars().next()?, words.next()?.parse().ok()?))
}

/// Whether a process runs; a dead one that nobody has asked after does not.
fn runs(pid: u32) -> bool {
    state(pid).is_some_and(|(state, _)| !['Z', 'X'].contains(&state))
}

fn wait_for<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = done() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "waited for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The child of a tool that runs, if it makes one before it ends.
fn worker(tool: &mut Child) -> Option<u32> {
    let parent = tool.id();
    wait_for("the worker", || {
        if tool.try_wait().unwrap().is_some() {
            return Some(None);
        }
        let pids = std::fs::read_dir("/proc").unwrap().filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok());
        let found = pids.into_iter().find(|pid| state(*pid).is_some_and(|(_, of)| of == parent));
        found.map(Some)
    })
}

fn signal(name: &str, to: &str) {
    assert!(Command::new("kill").args([name, "--", to]).status().unwrap().success());
}

fn start(arguments: &[&str]) -> Child {
    tool::command(arguments).process_group(0).spawn().unwrap()
}

const RUN: [&str; 10] = ["lab", "run", "--shape", "7x7x8x8", "--variant", "register_tile", "--rounds", "1", "--no-roof", "--json"];

#[test]
fn a_child_ends_with_its_parent() {
    let folder = Folder::new();
    let file = kernel(&folder, "endless.wgsl", true);
    let mut tool = start(&[&RUN[..], &["--budget", "200s", "--wgsl", &file]].concat());
    if let Some(worker) = worker(&mut tool) {
        // Into the kernel that does not end.
        std::thread::sleep(Duration::from_secs(2));
        tool.kill().unwrap();
        wait_for("the end of the worker", || (!runs(worker)).then_some(()));
    }
    tool.wait().unwrap();
}

#[test]
fn a_child_that_dies_takes_its_candidate_along_and_no_other() {
    let folder = Folder::new();
    let file = kernel(&folder, "mine.wgsl", true);
    let mut tool = start(&[&RUN[..], &["--budget", "200s", "--wgsl", &file]].concat());
    let Some(worker) = worker(&mut tool) else { return };
    std::thread::sleep(Duration::from_secs(2));
    signal("-KILL", &worker.to_string());
    let output = tool.wait_with_output().unwrap();
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    let of = |name: &str| value[0]["candidates"].as_array().unwrap().iter().find(|c| c["variant"] == name).unwrap().clone();
    assert_eq!((&of("mine")["is"], &of("register_tile")["is"]), (&"failed".into(), &"right".into()), "{value}");
    assert!(of("mine")["why"].as_str().unwrap().contains("signal: 9"), "{value}");
}

/// The children of a terminal's Ctrl-C are the tool's group: what the worker is at is finished, and no right kernel is on record
/// as a failed one.
#[test]
fn an_interrupted_sweep_goes_on_with_the_same_command() {
    let folder = Folder::new();
    let file = kernel(&folder, "mine.wgsl", false);
    let record = folder.join("record.jsonl");
    let settings = ["--param", "TILE=1,2,3,4,5,6,7,8", "--rounds", "40", "-o", record.to_str().unwrap()];
    let sweep =
        [&["lab", "sweep", "--shape", "7x7x8x8", "--variant", "register_tile", "--no-roof", "--wgsl", &file][..], &settings].concat();
    let mut tool = start(&sweep);
    if worker(&mut tool).is_some() {
        std::thread::sleep(Duration::from_millis(700));
        signal("-INT", &format!("-{}", tool.id()));
    }
    let output = tool.wait_with_output().unwrap();
    let failed = |record: &Path| std::fs::read_to_string(record).unwrap_or_default().contains("\"failed\"");
    assert!(!failed(&record), "{output:?}");
    let again = mobilenet(&sweep);
    if again.code != 2 {
        let text = std::fs::read_to_string(&record).unwrap();
        assert!(!failed(&record) && (1..=8).all(|tile| text.contains(&format!("mine TILE={tile}"))), "{again:?}");
    }
}
