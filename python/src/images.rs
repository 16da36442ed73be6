//! Pictures as Python has them. Pixels are copied while Python's lock is held; files are decoded without it.

use crate::errors::input;
use mobilenet_wgpu::Picture;
use mobilenet_wgpu::picture::DecodeLimits;
use numpy::{PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use std::path::PathBuf;

/// A picture that may be still to be decoded.
pub(crate) enum Image {
    Pixels(Picture),
    File(PathBuf),
    Bytes(Vec<u8>),
}

/// One picture or several.
pub(crate) struct Images {
    pub images: Vec<Image>,
    /// Whether Python gave a picture and no list of them.
    pub single: bool,
}

impl Image {
    /// The picture.
    pub fn decode(self) -> mobilenet_wgpu::Result<Picture> {
        match self {
            Image::Pixels(picture) => Ok(picture),
            Image::File(path) => Picture::open(path),
            Image::Bytes(bytes) => Picture::decode(&bytes, &DecodeLimits::default()),
        }
    }
}

impl Images {
    /// A list or tuple of pictures, a batch of pixels `[N, H, W, C]`, or one picture.
    pub fn new(given: &Bound<'_, PyAny>) -> PyResult<Self> {
        if given.cast::<PyList>().is_ok() || given.cast::<PyTuple>().is_ok() {
            let mut images = Vec::new();
            for one in given.try_iter()? {
                images.push(image(&one?)?);
            }
            return Ok(Self { images, single: false });
        }
        match shape(given) {
            Some(4) => {
                let images = given.try_iter()?.map(|one| image(&one?)).collect::<PyResult<_>>()?;
                Ok(Self { images, single: false })
            }
            _ => Ok(Self { images: vec![image(given)?], single: true }),
        }
    }

    /// The pictures, in order.
    pub fn decode(self) -> mobilenet_wgpu::Result<Vec<Picture>> {
        self.images.into_iter().map(Image::decode).collect()
    }
}

/// Number of axes of an array.
fn shape(given: &Bound<'_, PyAny>) -> Option<usize> {
    given.getattr("shape").and_then(|shape| shape.len()).ok()
}

fn image(given: &Bound<'_, PyAny>) -> PyResult<Image> {
    let py = given.py();
    if let Ok(bytes) = given.cast::<PyBytes>() {
        return Ok(Image::Bytes(bytes.as_bytes().to_vec()));
    }
    if given.hasattr("convert")? && given.hasattr("tobytes")? {
        return pil(given);
    }
    if given.hasattr("__array__")? {
        return array(given);
    }
    let path = given.extract::<PathBuf>();
    path.map(Image::File).map_err(|_| {
        let kind = given.get_type().to_string();
        input(py, format!("{kind} is no picture: give a path, the bytes of a file, a PIL image or a uint8 array [H, W, 3]"))
    })
}

/// Upright and as RGB, as the library does with files.
fn pil(given: &Bound<'_, PyAny>) -> PyResult<Image> {
    let upright = given.py().import("PIL.ImageOps")?.call_method1("exif_transpose", (given,))?;
    let rgb = upright.call_method1("convert", ("RGB",))?;
    let (width, height) = rgb.getattr("size")?.extract()?;
    let bytes = rgb.call_method0("tobytes")?;
    pixels(given.py(), width, height, 3, bytes.cast::<PyBytes>()?.as_bytes())
}

fn array(given: &Bound<'_, PyAny>) -> PyResult<Image> {
    let py = given.py();
    // Anything that NumPy takes, in one piece.
    let array = py.import("numpy")?.call_method1("ascontiguousarray", (given,))?;
    let Ok(array) = array.cast::<PyArrayDyn<u8>>() else {
        let kind = array.getattr("dtype")?;
        return Err(input(py, format!("pixels of type {kind}: give uint8 in 0 to 255 (run_tensor takes values that are normalised)")));
    };
    let [height, width, channels] = match *array.shape() {
        [height, width] => [height, width, 1],
        [height, width, channels @ (1 | 3 | 4)] => [height, width, channels],
        ref other => {
            return Err(input(py, format!("pixels of shape {other:?}: give [H, W], [H, W, 1], [H, W, 3] or [H, W, 4]")));
        }
    };
    let view = array.readonly();
    let side = |n: usize| u32::try_from(n).map_err(|_| input(py, format!("a picture with a side of {n} pixels")));
    pixels(py, side(width)?, side(height)?, channels, view.as_slice()?)
}

fn pixels(py: Python<'_>, width: u32, height: u32, channels: usize, bytes: &[u8]) -> PyResult<Image> {
    let picture = match channels {
        1 => Picture::from_rgba(width, height, bytes.iter().flat_map(|&v| [v, v, v, 255]).collect()),
        3 => Picture::from_rgb(width, height, bytes),
        _ => Picture::from_rgba(width, height, bytes.to_vec()),
    };
    Ok(Image::Pixels(picture.map_err(|e| crate::errors::raise(py, &e))?))
}
