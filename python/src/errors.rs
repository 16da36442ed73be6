//! The library's errors as exceptions, which Python's half defines.

use mobilenet_wgpu::Error;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// The exception for an error.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let name = match error {
        Error::File { .. } => "FileError",
        Error::Checkpoint(_) | Error::Tensor { .. } | Error::Graph { .. } => "CheckpointError",
        Error::Input(_) | Error::Picture(_) => "InputError",
        Error::Option { .. } => "OptionError",
        Error::NoAdapter(_) => "NoAdapterError",
        Error::Limit { .. } | Error::NoVariant { .. } => "LimitError",
        Error::OutOfMemory(_) => "OutOfMemoryError",
        Error::DeviceLost(_) => "DeviceLostError",
        Error::Busy(_) => "BusyError",
        _ => "DeviceError",
    };
    exception(py, name, error.to_string())
}

/// An exception for what was given.
pub(crate) fn input(py: Python<'_>, message: impl Into<String>) -> PyErr {
    exception(py, "InputError", message.into())
}

/// An exception for an option.
pub(crate) fn option(py: Python<'_>, message: impl Into<String>) -> PyErr {
    exception(py, "OptionError", message.into())
}

fn exception(py: Python<'_>, name: &str, message: String) -> PyErr {
    let class = py.import("mobilenet_wgpu._errors").and_then(|module| module.getattr(name));
    match class.and_then(|class| Ok(class.cast_into::<PyType>()?)) {
        Ok(class) => PyErr::from_type(class, message),
        Err(error) => error,
    }
}
