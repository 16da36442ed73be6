//! Global average pooling.

use super::{Geometry, OpKind, Variant, fold, row};

pub(super) fn variants() -> Vec<Variant> {
    vec![Variant {
        workgroup_memory: 1024,
        geometry: |case, _| {
            let [y, z] = fold(case.batch);
            Geometry { workgroups: [case.input.c4().div_ceil(8), y, z], rows: 0, rounds: 0 }
        },
        ..row(
            OpKind::Pool,
            "mean",
            "shaders/pool/mean.wgsl",
            include_str!("../../shaders/pool/mean.wgsl"),
            "thread: an eighth of the pixels x 4 channels; workgroup: 1 picture x 32 channels",
        )
    }]
}
