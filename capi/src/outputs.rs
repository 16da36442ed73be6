//! What a run gives.

use crate::border::{exclusive, reference, text};
use crate::status::{Failure, Status, guarded};
use mobilenet_wgpu::Tensor;
use mobilenet_wgpu::classifier::Prediction;
use mobilenet_wgpu::labels::Labels;
use std::ffi::{CString, c_char};
use std::sync::Arc;

/// What a run gave.
pub struct Outputs {
    tensors: Vec<(CString, Tensor)>,
    labels: Arc<Vec<CString>>,
}

/// An output: `[batch][height][width][channels]`. Lives as long as the outputs that it is of.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TensorView {
    /// Its name.
    pub name: *const c_char,
    /// Its values.
    pub data: *const f32,
    /// Pictures.
    pub batch: u32,
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
    /// Channels.
    pub channels: u32,
}

/// A class and its probability.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Ranked {
    /// The model's own output index.
    pub index: usize,
    /// In 0..1.
    pub probability: f32,
    /// The class's name; lives as long as the outputs.
    pub label: *const c_char,
}

impl Outputs {
    pub(crate) fn new(outputs: mobilenet_wgpu::engine::Outputs, labels: Arc<Vec<CString>>) -> *mut Self {
        let c = |name: String| CString::new(name).unwrap_or_default();
        let tensors = outputs.tensors.into_iter().map(|(name, tensor)| (c(name), tensor)).collect();
        Box::into_raw(Box::new(Self { tensors, labels }))
    }
    fn find(&self, name: &str) -> Result<&(CString, Tensor), Failure> {
        let found = self.tensors.iter().find(|(n, _)| n.to_bytes() == name.as_bytes());
        found.ok_or_else(|| Failure {
            status: Status::Input,
            message: format!("`{name}` is not among the outputs: name it in the options when opening"),
        })
    }
}

fn view((name, tensor): &(CString, Tensor)) -> TensorView {
    TensorView {
        name: name.as_ptr(),
        data: tensor.data.as_ptr(),
        batch: tensor.batch,
        height: tensor.shape.height,
        width: tensor.shape.width,
        channels: tensor.shape.channels,
    }
}

/// Number of outputs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_output_count(outputs: *const Outputs) -> usize {
    unsafe { outputs.as_ref() }.map_or(0, |o| o.tensors.len())
}

/// The output at `index`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_output_at(outputs: *const Outputs, index: usize, tensor: *mut TensorView) -> Status {
    guarded(|| {
        let outputs = unsafe { reference(outputs, "outputs") }?;
        let found = outputs.tensors.get(index);
        let found = found.ok_or_else(|| Failure::argument(format!("output {index} of {}", outputs.tensors.len())))?;
        *unsafe { exclusive(tensor, "tensor") }? = view(found);
        Ok(Status::Ok)
    })
}

/// The output called `name`, such as "logits" or "embedding".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_output(outputs: *const Outputs, name: *const c_char, tensor: *mut TensorView) -> Status {
    guarded(|| {
        let outputs = unsafe { reference(outputs, "outputs") }?;
        let name = unsafe { text(name, "name") }?.ok_or_else(|| Failure::argument("`name` is NULL"))?;
        *unsafe { exclusive(tensor, "tensor") }? = view(outputs.find(&name)?);
        Ok(Status::Ok)
    })
}

/// The most probable classes of picture `picture`, the most probable first: at most `capacity` of them are written to
/// `predictions`, and their number to `count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_top(
    outputs: *const Outputs,
    picture: usize,
    predictions: *mut Ranked,
    capacity: usize,
    count: *mut usize,
) -> Status {
    guarded(|| {
        let outputs = unsafe { reference(outputs, "outputs") }?;
        let count = unsafe { exclusive(count, "count") }?;
        let (_, probabilities) = outputs.find("probabilities")?;
        if picture >= probabilities.batch as usize {
            return Err(Failure::argument(format!("picture {picture} of {}", probabilities.batch)));
        }
        if predictions.is_null() && capacity > 0 {
            return Err(Failure::argument("`predictions` is NULL"));
        }
        let best = Prediction::best(probabilities.picture(picture), &Labels::default(), capacity);
        for (i, prediction) in best.iter().enumerate() {
            let label = outputs.labels.get(prediction.index).map_or(c"".as_ptr(), |l| l.as_ptr());
            let ranked = Ranked { index: prediction.index, probability: prediction.probability, label };
            // `best` has at most `capacity` entries.
            unsafe { predictions.add(i).write(ranked) };
        }
        *count = best.len();
        Ok(Status::Ok)
    })
}

/// Frees outputs. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_outputs_free(outputs: *mut Outputs) {
    if !outputs.is_null() {
        drop(unsafe { Box::from_raw(outputs) });
    }
}
