//! A software driver's worker threads, each on a core of its own.
//!
//! llvmpipe has as many threads as there are cores, gives each an equal part of every dispatch, and waits for the last. Linux wakes two
//! of them on one core now and then, beside an idle one, and a dispatch is over before it thinks again; that can go on for tens of
//! milliseconds, in which everything takes up to twice as long (`docs/PERFORMANCE.md` has figures). So each is bound to a core when the
//! device is opened. Nothing is bound where the threads are not as many as the cores that this process may use (`LP_NUM_THREADS` sets
//! their number), or are not known beyond doubt.

use rustix::thread::{CpuSet, Pid, gettid, sched_getaffinity, sched_setaffinity};
use std::collections::BTreeMap;

/// Threads of this process by number, which is their order of creation, with their names.
pub(super) type Threads = BTreeMap<i32, String>;

pub(super) fn threads() -> Threads {
    let entries = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|e| e.file_name().to_str()?.parse().ok());
    numbers.filter_map(|n: i32| Some((n, name(n)?))).collect()
}

fn name(thread: i32) -> Option<String> {
    Some(std::fs::read_to_string(format!("/proc/self/task/{thread}/comm")).ok()?.trim_end().to_string())
}

/// Binds the workers among the threads that came since `before`, if they are as many as the cores, which it gives then.
pub(super) fn spread(before: &Threads) -> Option<Vec<usize>> {
    let allowed = sched_getaffinity(None).ok()?;
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&c| allowed.is_set(c)).collect();
    let own = name(gettid().as_raw_nonzero().get())?;
    let workers = workers(threads().into_iter().filter(|(n, _)| !before.contains_key(n)), &own)?;
    if workers.len() != cores.len() {
        return None;
    }
    for (thread, core) in workers.into_iter().zip(&cores) {
        // One that cannot be bound computes on any core.
        let _ = bind(Pid::from_raw(thread), *core);
    }
    Some(cores)
}

/// Has a thread run on one core alone; `None` is this one.
pub(super) fn bind(thread: Option<Pid>, core: usize) -> rustix::io::Result<()> {
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(thread, &only)
}

/// llvmpipe's compute threads among new ones, in order of creation: those after its rasterisers, which are called `llvmpipe-0` and so
/// on, and as many. They have no name of their own, but that of the thread that opened the device.
fn workers(new: impl Iterator<Item = (i32, String)>, own: &str) -> Option<Vec<i32>> {
    let (mut rasterisers, mut workers) = (0, Vec::new());
    for (thread, name) in new {
        if name.starts_with("llvmpipe-") {
            rasterisers += 1;
            workers.clear();
        } else if name == own {
            workers.push(thread);
        }
    }
    (rasterisers > 1 && workers.len() == rasterisers).then_some(workers)
}

#[cfg(test)]
mod tests {
    use super::workers;

    fn found(names: &[&str]) -> Option<Vec<i32>> {
        workers(names.iter().enumerate().map(|(i, n)| (i32::try_from(i).unwrap_or(0), (*n).to_string())), "app")
    }

    #[test]
    fn the_compute_threads_are_those_after_the_rasterisers() {
        // The queue's thread, rasterisers, workers, the shader cache.
        assert_eq!(found(&["app", "llvmpipe-0", "llvmpipe-1", "app", "app", "app:disk$0"]), Some(vec![3, 4]));
    }

    #[test]
    fn nothing_is_bound_in_doubt() {
        // A thread of the application's own came in between; another driver; one core; a screen that was there before.
        assert_eq!(found(&["app", "llvmpipe-0", "llvmpipe-1", "app", "app", "app"]), None);
        assert_eq!(found(&["app", "app", "app"]), None);
        assert_eq!(found(&["app", "llvmpipe-0", "app"]), None);
        assert_eq!(found(&[]), None);
    }
}
