//! What `mobilenet bench` can do beside its plain run: time by step, over batches, of two settings, of a folder, and drawings of it.

pub mod compare;
pub mod folder;
pub mod plot;
pub mod profile;
pub mod sweep;

use crate::failure::Outcome;
use mobilenet_wgpu::Tensor;
use mobilenet_wgpu::graph::Shape;

/// Values in -1..1 by a rule: no kernel's time depends on them, as long as they are not all the same.
pub fn values(batch: u32, [height, width]: [u32; 2]) -> Outcome<Tensor> {
    let shape = Shape::new(height, width, 3);
    let count = u64::from(batch) * shape.elements();
    let value = |i: u64| ((i.wrapping_mul(2_654_435_761) >> 7) % 2048) as f32 / 1024.0 - 1.0;
    Ok(Tensor::from_nhwc(batch, shape, (0..count).map(value).collect())?)
}
