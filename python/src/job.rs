//! Pictures under way.

use crate::errors::{input, raise};
use crate::outputs::dictionary;
use mobilenet_wgpu::classifier::Running;
use mobilenet_wgpu::engine::Outputs;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Pictures under way. Dropping it gives them up.
#[pyclass(frozen, module = "mobilenet_wgpu")]
pub struct Job(Mutex<State>);

enum State {
    Running(Running),
    Done(mobilenet_wgpu::Result<Outputs>),
    Taken,
}

impl Job {
    pub(crate) fn new(running: Running) -> Self {
        Self(Mutex::new(State::Running(running)))
    }
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn poll(&self) -> bool {
        let mut state = self.lock();
        if let State::Running(running) = &mut *state
            && let Some(result) = running.try_take().transpose()
        {
            *state = State::Done(result);
        }
        !matches!(*state, State::Running(_))
    }
}

#[pymethods]
impl Job {
    /// Whether the result is there; never waits.
    fn done(&self, py: Python<'_>) -> bool {
        py.detach(|| self.poll())
    }

    /// Waits for the outputs; they come once.
    fn result<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let outputs = py.detach(|| {
            let state = std::mem::replace(&mut *self.lock(), State::Taken);
            match state {
                State::Running(running) => Some(running.wait()),
                State::Done(result) => Some(result),
                State::Taken => None,
            }
        });
        let outputs = outputs.ok_or_else(|| input(py, "the outputs of this job were taken already"))?;
        dictionary(py, outputs.map_err(|e| raise(py, &e))?)
    }
}
