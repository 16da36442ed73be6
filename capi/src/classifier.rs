//! A model, ready to run.

use crate::border::{Checked, exclusive, reference, text, values};
use crate::options::{Options, read};
use crate::outputs::Outputs;
use crate::status::{Failure, Status, guarded};
use mobilenet_wgpu::graph::Shape;
use mobilenet_wgpu::model::{LoadOptions, Model};
use mobilenet_wgpu::{Picture, Tensor};
use std::ffi::{CString, c_char};
use std::sync::Arc;

/// A model, ready to run at one size.
pub struct Classifier {
    pub(crate) inner: mobilenet_wgpu::Classifier,
    backend: CString,
    labels: Arc<Vec<CString>>,
}

/// A picture in memory: RGBA, 8 bits a channel, rows from the top. It is copied.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Pixels {
    /// The pixels.
    pub rgba: *const u8,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes from one row to the next; 0 is 4 times the width.
    pub row_bytes: usize,
}

/// Opens a checkpoint: a .safetensors file, or a folder with model.safetensors. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_open(path: *const c_char, options: *const Options, classifier: *mut *mut Classifier) -> Status {
    guarded(|| {
        let out = unsafe { exclusive(classifier, "classifier") }?;
        let path = unsafe { text(path, "path") }?.ok_or_else(|| Failure::argument("`path` is NULL"))?;
        *out = open(Model::open(path)?, options)?;
        Ok(Status::Ok)
    })
}

/// Opens a checkpoint in memory, which is copied; `config_json` (the text of a config.json) and `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_open_bytes(
    bytes: *const u8,
    count: usize,
    config_json: *const c_char,
    options: *const Options,
    classifier: *mut *mut Classifier,
) -> Status {
    guarded(|| {
        let out = unsafe { exclusive(classifier, "classifier") }?;
        let bytes = unsafe { values(bytes, count, "bytes") }?.to_vec();
        let load = LoadOptions { config_json: unsafe { text(config_json, "config_json") }?, ..LoadOptions::default() };
        *out = open(Model::from_bytes(bytes, &load)?, options)?;
        Ok(Status::Ok)
    })
}

fn open(model: Model, options: *const Options) -> Checked<*mut Classifier> {
    let inner = mobilenet_wgpu::Classifier::new(model, &unsafe { read(options) }?)?;
    let c = |text: &str| CString::new(text.replace('\0', " ")).unwrap_or_default();
    let model = inner.model();
    let classes = model.recognition().classes.unwrap_or(0) as usize;
    let labels = Arc::new((0..classes).map(|i| c(&model.labels().get(i).0)).collect());
    Ok(Box::into_raw(Box::new(Classifier { backend: c(&inner.backend()), inner, labels })))
}

/// Frees a classifier; its jobs and outputs stay good. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_free(classifier: *mut Classifier) {
    if !classifier.is_null() {
        guarded(|| {
            drop(unsafe { Box::from_raw(classifier) });
            Ok(Status::Ok)
        });
    }
}

/// Height and width of the network's input.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_input_size(classifier: *const Classifier, height: *mut u32, width: *mut u32) -> Status {
    guarded(|| {
        let size = unsafe { reference(classifier, "classifier") }?.inner.size();
        let (height, width) = (unsafe { exclusive(height, "height") }?, unsafe { exclusive(width, "width") }?);
        [*height, *width] = size;
        Ok(Status::Ok)
    })
}

/// What computes: adapter, backend and driver. Lives as long as the classifier; NULL only for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_backend(classifier: *const Classifier) -> *const c_char {
    unsafe { classifier.as_ref() }.map_or(std::ptr::null(), |c| c.backend.as_ptr())
}

/// Number of classes; 0 for a model without a classifier.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_class_count(classifier: *const Classifier) -> usize {
    unsafe { classifier.as_ref() }.map_or(0, |c| c.labels.len())
}

/// Name of a class. Lives as long as the classifier; NULL if there is no such class.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_label(classifier: *const Classifier, index: usize) -> *const c_char {
    unsafe { classifier.as_ref() }.and_then(|c| c.labels.get(index)).map_or(std::ptr::null(), |label| label.as_ptr())
}

/// Runs any number of pictures, which are resized, cropped and normalised as the model wants them, and waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_run(
    classifier: *mut Classifier,
    pictures: *const Pixels,
    count: usize,
    outputs: *mut *mut Outputs,
) -> Status {
    guarded(|| {
        let out = unsafe { exclusive(outputs, "outputs") }?;
        let pictures = unsafe { copy(pictures, count) }?;
        let classifier = unsafe { exclusive(classifier, "classifier") }?;
        *out = Outputs::new(classifier.inner.run_pictures(&pictures)?, classifier.labels());
        Ok(Status::Ok)
    })
}

/// Runs normalised values, `[batch][height][width][3]`, at the network's size, and waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_run_tensor(
    classifier: *mut Classifier,
    data: *const f32,
    batch: u32,
    outputs: *mut *mut Outputs,
) -> Status {
    guarded(|| {
        let out = unsafe { exclusive(outputs, "outputs") }?;
        let classifier = unsafe { exclusive(classifier, "classifier") }?;
        let [height, width] = classifier.inner.size();
        let shape = Shape::new(height, width, 3);
        let data = unsafe { values(data, shape.elements() as usize * batch as usize, "data") }?.to_vec();
        let input = Tensor::from_nhwc(batch, shape, data)?;
        *out = Outputs::new(classifier.inner.run(&input)?, classifier.labels());
        Ok(Status::Ok)
    })
}

impl Classifier {
    pub(crate) fn labels(&self) -> Arc<Vec<CString>> {
        self.labels.clone()
    }
}

/// C's pictures as ours.
pub(crate) unsafe fn copy(pictures: *const Pixels, count: usize) -> Checked<Vec<Picture>> {
    let pictures = unsafe { values(pictures, count, "pictures") }?;
    pictures.iter().map(|p| unsafe { picture(p) }).collect()
}

unsafe fn picture(pixels: &Pixels) -> Checked<Picture> {
    let row = pixels.width as usize * 4;
    let stride = if pixels.row_bytes == 0 { row } else { pixels.row_bytes };
    if stride < row {
        return Err(Failure::argument(format!("rows of {stride} bytes for {} pixels of 4", pixels.width)));
    }
    let last = stride.checked_mul((pixels.height as usize).saturating_sub(1)).and_then(|start| start.checked_add(row));
    let last = last.ok_or_else(|| Failure::argument("a picture larger than memory"))?;
    let bytes = if pixels.height == 0 { &[] } else { unsafe { values(pixels.rgba, last, "rgba") }? };
    let rgba = bytes.chunks(stride.max(1)).flat_map(|r| &r[..row.min(r.len())]).copied().collect();
    Ok(Picture::from_rgba(pixels.width, pixels.height, rgba)?)
}
