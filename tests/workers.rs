//! On Linux a software driver's worker threads are bound to a core each.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use mobilenet_wgpu::gpu::{AdapterOptions, request_device};

/// The cores that the process's threads may run on, a text such as `0-3` for each thread, but for those that keep cores awake: they
/// are bound as well, some time after the device is opened.
fn cores_of_threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks.filter_map(|task| allowed(&std::fs::read_to_string(task.path().join("status")).ok()?)).collect()
}

fn allowed(status: &str) -> Option<String> {
    let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    field("Cpus_allowed_list:").filter(|_| field("Name:") != Some("awake")).map(str::to_string)
}

#[test]
fn every_core_has_one_worker() {
    let options = AdapterOptions { adapter: Some("llvmpipe".into()), ..AdapterOptions::default() };
    let own = allowed(&std::fs::read_to_string("/proc/thread-self/status").unwrap()).unwrap();
    if std::env::var_os("LP_NUM_THREADS").is_some() || !own.contains(['-', ',']) {
        return eprintln!("skipped: one core, or LP_NUM_THREADS is set");
    }
    let before = cores_of_threads();
    assert!(before.iter().all(|cores| *cores == own), "nothing is bound before: {before:?}");
    let Ok((_device, _queue)) = pollster::block_on(request_device(&options)) else {
        return eprintln!("skipped: no llvmpipe here");
    };
    let mut bound: Vec<String> = cores_of_threads().into_iter().filter(|cores| *cores != own).collect();
    let workers = bound.len();
    bound.sort();
    bound.dedup();
    assert_eq!(bound.len(), workers, "two workers on one core: {bound:?}");
    assert!(workers > 1 && bound.iter().all(|cores| !cores.contains(['-', ','])), "a core each: {bound:?} of {own}");
}
