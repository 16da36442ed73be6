//! How many pictures go through the steps together.
//!
//! A batch shares the cost of dispatches and lets small layers fill the device. On a CPU it also has to stay in the caches: the activations
//! of many pictures are read from memory again in every layer, while each picture's own would still be there.

use super::{PlanOptions, memory};
use crate::gpu::{DeviceClass, DeviceProfile};
use crate::graph::{Graph, Shape};

/// Bytes of live activations that a software adapter's caches are taken to hold: two to four pictures of 224x224.
const CACHED: u64 = 24 << 20;

/// What WebGPU's devices want the offset of a storage binding to be a multiple of, at most.
const ALIGNMENT: u64 = 256;

/// The micro-batch for a graph: what is asked for, or what suits the device; a number whose passes begin at whole bindings of the input.
pub(super) fn of(graph: &Graph, profile: &DeviceProfile, options: &PlanOptions) -> u32 {
    let batch = options.batch.max(1);
    if batch == 1 {
        return 1;
    }
    let wanted = match options.micro_batch {
        0 if profile.class == DeviceClass::Software => {
            let live = memory::live_bytes(graph, |shape| picture(shape, options));
            u32::try_from(CACHED / live.max(1)).unwrap_or(u32::MAX)
        }
        0 => batch,
        asked => asked,
    };
    let step = step(graph, options);
    if wanted >= batch { batch } else { (wanted / step * step).max(step).min(batch) }
}

/// Halves what [`of`] gives; where it is the least already, the batch.
pub(super) fn shrink(graph: &Graph, profile: &DeviceProfile, options: &mut PlanOptions) {
    let now = of(graph, profile, options);
    if now > step(graph, options) {
        options.micro_batch = now / 2;
    } else {
        options.batch /= 2;
    }
}

/// Pictures after which the input is at a multiple of the alignment again.
fn step(graph: &Graph, options: &PlanOptions) -> u32 {
    let bytes = graph.input().map_or(0, |(_, shape)| picture(shape, options));
    1 << ALIGNMENT.trailing_zeros().saturating_sub(bytes.trailing_zeros())
}

fn picture(shape: Shape, options: &PlanOptions) -> u64 {
    shape.padded_elements() * options.precision.bytes()
}
