//! Ops that passes usually fuse away: batch norm, activation, sum.

use super::{OpKind, Variant, row};

pub(super) fn variants() -> Vec<Variant> {
    let thread = "thread: 1 pixel x 4 channels; workgroup: 8 pixels x 32 channels";
    vec![
        row(
            OpKind::BatchNorm,
            "direct",
            "shaders/elementwise/batch_norm.wgsl",
            include_str!("../../shaders/elementwise/batch_norm.wgsl"),
            thread,
        ),
        row(
            OpKind::Activation,
            "direct",
            "shaders/elementwise/activation.wgsl",
            include_str!("../../shaders/elementwise/activation.wgsl"),
            thread,
        ),
        row(OpKind::Add, "direct", "shaders/elementwise/add.wgsl", include_str!("../../shaders/elementwise/add.wgsl"), thread),
    ]
}
