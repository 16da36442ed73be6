//! Outputs as NumPy arrays and predictions.

use crate::errors::input;
use mobilenet_wgpu::Tensor;
use mobilenet_wgpu::engine::Outputs;
use mobilenet_wgpu::labels::Labels;
use numpy::{PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// A class and its probability.
#[pyclass(frozen, get_all, module = "mobilenet_wgpu")]
#[derive(Clone)]
pub struct Prediction {
    /// The model's own output index; a background class counts.
    index: usize,
    /// The class's name.
    label: String,
    /// WordNet id, of ImageNet's classes.
    wnid: Option<String>,
    /// In 0..1.
    probability: f32,
}

#[pymethods]
impl Prediction {
    fn __repr__(&self) -> String {
        format!("Prediction(index={}, label={:?}, probability={:.4})", self.index, self.label, self.probability)
    }
}

impl From<mobilenet_wgpu::Prediction> for Prediction {
    fn from(p: mobilenet_wgpu::Prediction) -> Self {
        Self { index: p.index, label: p.label, wnid: p.wnid, probability: p.probability }
    }
}

/// The outputs by name.
pub(crate) fn dictionary(py: Python<'_>, outputs: Outputs) -> PyResult<Bound<'_, PyDict>> {
    let dictionary = PyDict::new(py);
    for (name, tensor) in outputs.tensors {
        dictionary.set_item(name, array(py, tensor)?)?;
    }
    Ok(dictionary)
}

/// `[N, C]` for a vector a picture, `[N, H, W, C]` for maps; the values are handed over, not copied.
pub(crate) fn array(py: Python<'_>, tensor: Tensor) -> PyResult<Bound<'_, PyArrayDyn<f32>>> {
    let [n, height, width, channels] = [tensor.batch, tensor.shape.height, tensor.shape.width, tensor.shape.channels].map(|n| n as usize);
    let shape = if height == 1 && width == 1 { vec![n, channels] } else { vec![n, height, width, channels] };
    PyArray1::from_vec(py, tensor.data).reshape(shape)
}

/// The likeliest classes of each row of `probabilities` among outputs that Python gives back.
pub(crate) fn predictions(outputs: &Bound<'_, PyDict>, labels: &Labels, top: usize) -> PyResult<Vec<Vec<Prediction>>> {
    let py = outputs.py();
    let Some(found) = outputs.get_item("probabilities")? else {
        return Err(input(py, "`probabilities` is not among the outputs: name it when the classifier is made"));
    };
    let found: PyReadonlyArray2<'_, f32> =
        found.extract().map_err(|_| input(py, "`probabilities` is no float32 array of two axes, [N, classes]"))?;
    let rows = found.as_array();
    let best = |row: Vec<f32>| mobilenet_wgpu::Prediction::best(&row, labels, top).into_iter().map(Into::into).collect();
    Ok(rows.rows().into_iter().map(|row| best(row.to_vec())).collect())
}
