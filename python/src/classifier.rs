//! A model, ready to run.

use crate::errors::{input, option, raise};
use crate::images::Images;
use crate::job::Job;
use crate::options::{AdapterName, Size, check_counts, default_outputs, precision};
use crate::outputs::{Prediction, array, dictionary, predictions};
use mobilenet_wgpu::classifier::normalized;
use mobilenet_wgpu::graph::Shape;
use mobilenet_wgpu::labels::Labels;
use mobilenet_wgpu::model::{LoadOptions, Model, Settings};
use mobilenet_wgpu::{Classifier as Inner, ClassifierOptions, Error, Tensor};
use numpy::{PyArrayDyn, PyReadonlyArray4};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// A model, ready to run at one size. Threads may share it; they take turns.
#[pyclass(frozen, module = "mobilenet_wgpu")]
pub struct Classifier {
    inner: Mutex<Inner>,
    model: Model,
    outputs: Vec<String>,
    size: [u32; 2],
    max_batch: usize,
    backend: String,
}

/// A checkpoint as Python names it.
enum Checkpoint {
    Path(PathBuf),
    Bytes(Vec<u8>),
}

impl Checkpoint {
    fn new(given: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = given.cast::<PyBytes>() {
            return Ok(Self::Bytes(bytes.as_bytes().to_vec()));
        }
        let path = given.extract::<PathBuf>();
        path.map(Self::Path).map_err(|_| option(given.py(), "a model is a path, or the bytes of a .safetensors file"))
    }
    fn open(self, options: &LoadOptions) -> mobilenet_wgpu::Result<Model> {
        match self {
            Checkpoint::Path(path) => Model::open_with(path, options),
            Checkpoint::Bytes(bytes) => Model::from_bytes(bytes, options),
        }
    }
}

impl Classifier {
    /// Runs `work` with the classifier, without Python's lock: first that goes, then ours is taken.
    fn with<T: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut Inner) -> mobilenet_wgpu::Result<T> + Send) -> PyResult<T> {
        let result = py.detach(|| work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner)));
        result.map_err(|e| raise(py, &e))
    }
}

#[pymethods]
impl Classifier {
    #[new]
    #[pyo3(signature = (model, *, outputs=None, size=None, batch=1, in_flight=2, precision="f32", cpu=false, fallback=true,
        adapter=None, backend=None, labels=None, config_json=None))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        model: &Bound<'_, PyAny>,
        outputs: Option<Vec<String>>,
        size: Option<Size>,
        batch: u32,
        in_flight: usize,
        precision: &str,
        cpu: bool,
        fallback: bool,
        adapter: Option<AdapterName>,
        backend: Option<String>,
        labels: Option<Vec<String>>,
        config_json: Option<String>,
    ) -> PyResult<Self> {
        let checkpoint = Checkpoint::new(model)?;
        let load = LoadOptions { settings: Settings { labels, ..Settings::default() }, config_json, ..LoadOptions::default() };
        let mut options = ClassifierOptions { cpu, fallback, ..ClassifierOptions::default() };
        options.adapter.adapter = adapter.map(AdapterName::into_text);
        options.adapter.backend = backend;
        options.session.size = size.map(|size| size.sides());
        options.session.batch = batch;
        options.session.in_flight = in_flight;
        options.session.precision = self::precision(py, precision)?;
        check_counts(py, &options)?;
        let made = py.detach(move || {
            let model = checkpoint.open(&load)?;
            options.session.outputs = outputs.unwrap_or_else(|| default_outputs(model.recognition().classes.is_some()));
            let outputs = options.session.outputs.clone();
            Ok((Inner::new(model.clone(), &options)?, model, outputs))
        });
        let (inner, model, outputs) = made.map_err(|e: Error| raise(py, &e))?;
        let (size, max_batch, backend) = (inner.size(), inner.max_batch(), inner.backend());
        Ok(Self { inner: Mutex::new(inner), model, outputs, size, max_batch, backend })
    }

    /// The `top` likeliest classes of a picture, the likeliest first; a list of such lists for several pictures.
    #[pyo3(signature = (images, top=5))]
    fn classify<'py>(&self, py: Python<'py>, images: &Bound<'py, PyAny>, top: usize) -> PyResult<Bound<'py, PyAny>> {
        let images = Images::new(images)?;
        let single = images.single;
        let found = self.with(py, |inner| inner.classify(&images.decode()?, top))?;
        let found = found.into_iter().map(|best| best.into_iter().map(Into::into).collect::<Vec<Prediction>>());
        if single { found.flatten().collect::<Vec<_>>().into_pyobject(py) } else { found.collect::<Vec<_>>().into_pyobject(py) }
    }

    /// The pooled output of the last convolution: `[C]` for one picture, `[N, C]` for several.
    #[pyo3(signature = (images, *, normalize=false))]
    fn embed<'py>(&self, py: Python<'py>, images: &Bound<'py, PyAny>, normalize: bool) -> PyResult<Bound<'py, PyAny>> {
        let images = Images::new(images)?;
        let single = images.single;
        let found = self.with(py, |inner| {
            let mut outputs = inner.run_pictures(&images.decode()?)?;
            let at = outputs.tensors.iter().position(|(name, _)| name == "embedding");
            let message = "`embedding` is not among the outputs: name it when the classifier is made";
            let at = at.ok_or_else(|| Error::Option { option: "outputs", message: message.into() })?;
            let mut embedding = outputs.tensors.swap_remove(at).1;
            if normalize {
                let size = (embedding.shape.elements() as usize).max(1);
                embedding.data = embedding.data.chunks(size).flat_map(normalized).collect();
            }
            Ok(embedding)
        })?;
        let found = array(py, found)?;
        if single { found.get_item(0) } else { Ok(found.into_any()) }
    }

    /// All outputs by name, for pictures.
    fn run<'py>(&self, py: Python<'py>, images: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let images = Images::new(images)?;
        let outputs = self.with(py, |inner| inner.run_pictures(&images.decode()?))?;
        dictionary(py, outputs)
    }

    /// All outputs by name, for values that are normalised already, at the network's size.
    #[pyo3(signature = (values, *, layout="nhwc"))]
    fn run_tensor<'py>(&self, py: Python<'py>, values: &Bound<'py, PyAny>, layout: &str) -> PyResult<Bound<'py, PyDict>> {
        let tensor = tensor(values, layout)?;
        let outputs = self.with(py, |inner| inner.run(&tensor))?;
        dictionary(py, outputs)
    }

    /// Sets pictures going, at most `max_batch` of them, and does not wait.
    fn submit(&self, py: Python<'_>, images: &Bound<'_, PyAny>) -> PyResult<Job> {
        let images = Images::new(images)?;
        Ok(Job::new(self.with(py, |inner| inner.submit(&images.decode()?))?))
    }

    /// The likeliest classes of each picture, from the outputs of `run` or of a job.
    #[pyo3(signature = (outputs, top=5))]
    fn predictions(&self, outputs: &Bound<'_, PyDict>, top: usize) -> PyResult<Vec<Vec<Prediction>>> {
        predictions(outputs, self.model.labels(), top)
    }

    #[getter]
    fn labels(&self) -> Vec<String> {
        let labels: &Labels = self.model.labels();
        (0..self.model.recognition().classes.unwrap_or(0) as usize).map(|i| labels.get(i).0.into_owned()).collect()
    }
    #[getter]
    fn outputs(&self) -> Vec<String> {
        self.outputs.clone()
    }
    #[getter]
    fn input_size(&self) -> (u32, u32) {
        self.size.into()
    }
    #[getter]
    fn max_batch(&self) -> usize {
        self.max_batch
    }
    #[getter]
    fn backend(&self) -> &str {
        &self.backend
    }
    #[getter]
    fn description(&self) -> String {
        self.model.recognition().to_string()
    }
    fn __repr__(&self) -> String {
        let [height, width] = self.size;
        format!("Classifier({}, {height}x{width}, on {})", self.model.recognition(), self.backend)
    }
}

/// Normalised values as the library takes them.
fn tensor(values: &Bound<'_, PyAny>, layout: &str) -> PyResult<Tensor> {
    let py = values.py();
    let array = py.import("numpy")?.call_method1("ascontiguousarray", (values,))?;
    if array.cast::<PyArrayDyn<f32>>().is_err() {
        let kind = array.getattr("dtype")?;
        return Err(input(py, format!("values of type {kind}: give float32 (`.astype(numpy.float32)`)")));
    }
    let array: PyReadonlyArray4<'_, f32> = array.extract().map_err(|_| input(py, "values of other than 4 axes: give [N, H, W, 3]"))?;
    let side = |n: usize| u32::try_from(n).map_err(|_| input(py, format!("an axis of {n} values")));
    let view = array.as_array();
    let [a, b, c, d] = [0, 1, 2, 3].map(|axis| side(view.shape()[axis]));
    let data = array.as_slice()?;
    let tensor = match layout {
        "nhwc" => Tensor::from_nhwc(a?, Shape::new(b?, c?, d?), data.to_vec()),
        "nchw" => Tensor::from_nchw(a?, Shape::new(c?, d?, b?), data),
        other => return Err(option(py, format!("layout `{other}`: give nhwc or nchw"))),
    };
    tensor.map_err(|e| raise(py, &e))
}
