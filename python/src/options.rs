//! What Python says of a classifier, as the library's options.

use crate::errors::option;
use mobilenet_wgpu::ClassifierOptions;
use mobilenet_wgpu::kernel::Precision;
use pyo3::prelude::*;

/// A number for both sides, or height and width.
#[derive(FromPyObject)]
pub(crate) enum Size {
    Square(u32),
    Sides(u32, u32),
}

impl Size {
    /// Height and width.
    pub fn sides(&self) -> [u32; 2] {
        match *self {
            Size::Square(side) => [side, side],
            Size::Sides(height, width) => [height, width],
        }
    }
}

/// An adapter's index, or a part of its name.
#[derive(FromPyObject)]
pub(crate) enum AdapterName {
    Index(usize),
    Name(String),
}

impl AdapterName {
    /// As the library wants it.
    pub fn into_text(self) -> String {
        match self {
            AdapterName::Index(index) => index.to_string(),
            AdapterName::Name(name) => name,
        }
    }
}

/// What is computed for whom nothing else is asked for.
pub(crate) fn default_outputs(has_classes: bool) -> Vec<String> {
    let names: &[&str] = if has_classes { &["logits", "probabilities", "embedding"] } else { &["embedding"] };
    names.iter().map(|n| (*n).to_string()).collect()
}

/// A precision by its name.
pub(crate) fn precision(py: Python<'_>, name: &str) -> PyResult<Precision> {
    Precision::named(name).ok_or_else(|| option(py, format!("precision `{name}`: give f32, f16-storage or f16")))
}

/// Numbers that must be at least 1.
pub(crate) fn check_counts(py: Python<'_>, options: &ClassifierOptions) -> PyResult<()> {
    if options.session.batch == 0 || options.session.in_flight == 0 {
        return Err(option(py, "batch and in_flight are at least 1"));
    }
    Ok(())
}
