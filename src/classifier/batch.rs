//! Pictures put together into a batch, and batches taken apart and put together.

use crate::engine::Outputs;
use crate::{Error, Result, Tensor};

fn none() -> Error {
    Error::Input("no pictures: give at least one".into())
}

/// Several tensors of one shape as one.
pub(super) fn stack(tensors: impl Iterator<Item = Result<Tensor>>) -> Result<Tensor> {
    let mut whole: Option<Tensor> = None;
    for tensor in tensors {
        let tensor = tensor?;
        match &mut whole {
            None => whole = Some(tensor),
            Some(whole) => append(whole, tensor),
        }
    }
    whole.ok_or_else(none)
}

/// The outputs of parts as one.
pub(super) fn join(parts: Vec<Outputs>) -> Result<Outputs> {
    let mut parts = parts.into_iter();
    let mut all = parts.next().ok_or_else(none)?;
    for part in parts {
        all.tensors.iter_mut().zip(part.tensors).for_each(|((_, whole), (_, tensor))| append(whole, tensor));
    }
    Ok(all)
}

/// A tensor in parts of at most `most` pictures.
pub(super) fn parts(tensor: &Tensor, most: u32) -> Vec<Tensor> {
    let size = tensor.shape.elements() as usize;
    let chunks = tensor.data.chunks(size.saturating_mul(most as usize).max(1));
    chunks.map(|data| Tensor { batch: (data.len() / size.max(1)) as u32, shape: tensor.shape, data: data.to_vec() }).collect()
}

fn append(whole: &mut Tensor, part: Tensor) {
    whole.batch += part.batch;
    whole.data.extend(part.data);
}
