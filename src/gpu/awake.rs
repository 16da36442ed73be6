//! Cores that stay awake while a software driver works on them.
//!
//! Between two dispatches the workers sleep, and a core that idles takes 20 us and more until it runs the one that is woken; the others
//! wait for it, in each of the 30 to 54 dispatches of a run. So a thread of the lowest priority on each core does nothing for some
//! milliseconds after a submit, but to let others run. (Thread pools that compute wait like that, for the same reason.)

use super::workers::bind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// How long after a submit: about what a picture takes.
const STAY: Duration = Duration::from_millis(30);

/// Threads that keep cores awake. They end with it.
#[derive(Debug)]
pub(crate) struct Awake {
    until: Arc<Until>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Until {
    start: Instant,
    /// Nanoseconds since then.
    end: AtomicU64,
    gone: AtomicBool,
}

impl Until {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Awake {
    /// A thread on each of `cores`, asleep; none where the process may use less time than these cores have (a container's quota), which
    /// waiting would use up.
    pub fn on(cores: &[usize]) -> Option<Self> {
        let quota = std::thread::available_parallelism().ok()?;
        (quota.get() >= cores.len()).then(|| Self::start(cores))
    }

    fn start(cores: &[usize]) -> Self {
        let until = Arc::new(Until { start: Instant::now(), end: AtomicU64::new(0), gone: AtomicBool::new(false) });
        let start = |core: &usize| {
            let (core, until) = (*core, until.clone());
            // Without it a run takes longer, no more.
            Builder::new().name("awake".into()).stack_size(64 << 10).spawn(move || stay(core, &until)).ok()
        };
        let threads = cores.iter().filter_map(start).collect();
        Self { until, threads }
    }

    /// Work was submitted.
    pub fn submitted(&self) {
        let now = self.until.now();
        if self.until.end.swap(now + STAY.as_nanos() as u64, Ordering::Relaxed) < now {
            self.threads.iter().for_each(|t| t.thread().unpark());
        }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.until.gone.store(true, Ordering::Relaxed);
        self.threads.iter().for_each(|t| t.thread().unpark());
    }
}

fn stay(core: usize, until: &Until) {
    const LOWEST: i32 = 19;
    let own = Some(rustix::thread::gettid());
    // At any other priority it would take time from who works.
    if rustix::process::setpriority_process(own, LOWEST).is_err() || bind(None, core).is_err() {
        return;
    }
    while !until.gone.load(Ordering::Relaxed) {
        if until.now() < until.end.load(Ordering::Relaxed) {
            std::thread::yield_now();
        } else {
            std::thread::park();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_sleep_until_work_is_submitted_and_again_after_it() {
        let awake = Awake::start(&[]);
        assert_eq!(awake.until.end.load(Ordering::Relaxed), 0);
        awake.submitted();
        let end = awake.until.end.load(Ordering::Relaxed);
        assert!(end >= STAY.as_nanos() as u64);
        std::thread::sleep(Duration::from_millis(1));
        awake.submitted();
        assert!(awake.until.end.load(Ordering::Relaxed) > end, "each submit prolongs it");
    }

    #[test]
    fn threads_end_with_it() {
        let mut awake = Awake::start(&[0]);
        let threads = std::mem::take(&mut awake.threads);
        threads.iter().for_each(|t| assert!(t.thread().name() == Some("awake")));
        awake.submitted();
        drop(awake);
        threads.into_iter().for_each(|t| {
            t.thread().unpark();
            assert!(t.join().is_ok());
        });
    }
}
