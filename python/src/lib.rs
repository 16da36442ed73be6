//! The Python package's native half: pictures and NumPy arrays in, NumPy arrays out.
//!
//! What must hold: nothing computes, decodes or waits with the interpreter's lock held; every error is an exception of
//! `mobilenet_wgpu/_errors.py`; what Python sees is what `mobilenet_wgpu/_native.pyi` says.

mod classifier;
mod errors;
mod images;
mod job;
mod options;
mod outputs;

use pyo3::prelude::*;

/// What `import mobilenet_wgpu` loads.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::classifier::Classifier;
    #[pymodule_export]
    use super::job::Job;
    #[pymodule_export]
    use super::outputs::Prediction;
    use mobilenet_wgpu::gpu::AdapterOptions;
    use pyo3::prelude::*;

    /// All graphics adapters, the best first, with names, drivers, limits and features.
    #[pyfunction]
    #[pyo3(signature = (backend=None))]
    fn adapters(py: Python<'_>, backend: Option<String>) -> PyResult<Bound<'_, PyAny>> {
        let options = AdapterOptions { adapter: None, backend };
        let found = py.detach(|| pollster::block_on(mobilenet_wgpu::gpu::adapters(&options)));
        let found = found.map_err(|e| super::errors::raise(py, &e))?;
        let json = serde_json::to_string(&found).map_err(|e| pyo3::exceptions::PyRuntimeError::new_err(e.to_string()))?;
        py.import("json")?.call_method1("loads", (json,))
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
