//! A batch under way, on the GPU or on the CPU.

use crate::engine::{Outputs, Pending};
use crate::{Error, Result};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A batch under way: a future, and natively a thing to wait for. Dropping it gives up the result.
#[derive(Debug)]
#[must_use = "a batch that nobody waits for is thrown away"]
pub struct Running(Kind);

#[derive(Debug)]
enum Kind {
    Gpu(Box<Pending>),
    Cpu(Arc<Job>),
}

/// A computation on other threads.
#[derive(Debug, Default)]
struct Job {
    state: Mutex<State>,
    finished: Condvar,
}

#[derive(Debug, Default)]
struct State {
    result: Option<Result<Outputs>>,
    taken: bool,
    waker: Option<Waker>,
}

impl Job {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn finish(&self, result: Result<Outputs>) {
        let waker = {
            let mut state = self.lock();
            state.result = Some(result);
            state.waker.take()
        };
        self.finished.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl State {
    fn take(&mut self) -> Result<Option<Outputs>> {
        if self.taken {
            return Err(Error::Input("the outputs of this batch were taken already".into()));
        }
        self.taken = self.result.is_some();
        self.result.take().transpose()
    }
}

impl From<Pending> for Running {
    fn from(pending: Pending) -> Self {
        Running(Kind::Gpu(Box::new(pending)))
    }
}

impl Running {
    /// Computes on the threads of the CPU's pool; where there are no threads (the web), at once.
    pub(super) fn spawn(work: impl FnOnce() -> Result<Outputs> + Send + 'static) -> Self {
        let job = Arc::new(Job::default());
        #[cfg(not(target_arch = "wasm32"))]
        {
            let job = job.clone();
            rayon::spawn(move || job.finish(work()));
        }
        #[cfg(target_arch = "wasm32")]
        job.finish(work());
        Running(Kind::Cpu(job))
    }

    /// The outputs, if they are there; never waits. `None` means not yet.
    ///
    /// # Errors
    /// What the computation met, and [`Error`] if the outputs were taken before.
    pub fn try_take(&mut self) -> Result<Option<Outputs>> {
        match &mut self.0 {
            Kind::Gpu(pending) => pending.try_take(),
            Kind::Cpu(job) => job.lock().take(),
        }
    }

    /// The outputs, waiting for them.
    ///
    /// # Errors
    /// As [`Running::try_take`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn wait(self) -> Result<Outputs> {
        let job = match self.0 {
            Kind::Gpu(pending) => return pending.wait(),
            Kind::Cpu(job) => job,
        };
        let mut state = job.lock();
        loop {
            if let Some(outputs) = state.take()? {
                return Ok(outputs);
            }
            state = job.finished.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Future for Running {
    type Output = Result<Outputs>;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Kind::Gpu(pending) => Pin::new(pending.as_mut()).poll(context),
            Kind::Cpu(job) => {
                let mut state = job.lock();
                match state.take().transpose() {
                    Some(result) => Poll::Ready(result),
                    None => {
                        state.waker = Some(context.waker().clone());
                        Poll::Pending
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_waited_for_or_awaited() -> Result<()> {
        let empty = || Ok(Outputs { tensors: Vec::new() });
        assert_eq!(Running::spawn(empty).wait()?.tensors.len(), 0);
        assert_eq!(pollster::block_on(Running::spawn(empty))?.tensors.len(), 0);
        let failed = Running::spawn(|| Err(Error::Input("bad".into())));
        assert!(failed.wait().is_err());
        Ok(())
    }

    #[test]
    fn outputs_are_taken_once() -> Result<()> {
        let mut running = Running::spawn(|| Ok(Outputs { tensors: Vec::new() }));
        while running.try_take()?.is_none() {
            std::thread::yield_now();
        }
        assert!(running.try_take().is_err());
        Ok(())
    }
}
