//! Softmax over the channels.

use super::{Geometry, OpKind, Variant, fold, row};

pub(super) fn variants() -> Vec<Variant> {
    vec![Variant {
        workgroup_memory: 256,
        geometry: |case, _| {
            let [x, y] = fold(case.batch);
            Geometry { workgroups: [x, y, 1], rows: 0, rounds: 0 }
        },
        ..row(
            OpKind::Softmax,
            "workgroup",
            "shaders/softmax/workgroup.wgsl",
            include_str!("../../shaders/softmax/workgroup.wgsl"),
            "workgroup: one picture, its 64 threads sharing the channels",
        )
    }]
}
