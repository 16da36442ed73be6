//! Whole blocks in one dispatch: depthwise + pointwise (V1), expand + depthwise + project + residual (V2).
//!
//! They are taken only where a record has measured them faster than the separate kernels, or the caller asks for them.

use super::depthwise::{no_residual, small_filters};
use super::{Case, Geometry, OpKind, Variant, fold, row};
#[cfg(not(target_arch = "wasm32"))]
use super::{Packing, pointwise::subgroup8};

macro_rules! shader {
    ($name:literal) => {
        (concat!("shaders/", $name, ".wgsl"), include_str!(concat!("../../shaders/", $name, ".wgsl")))
    };
}

pub(super) fn variants() -> Vec<Variant> {
    let sixteen = shader!("separable/workgroup_16");
    #[cfg(not(target_arch = "wasm32"))]
    let lanes = shader!("separable/subgroup8_28");
    let square = shader!("inverted_residual/workgroup_4x4");
    let wide = shader!("inverted_residual/workgroup_8x4");
    vec![
        Variant {
            workgroup_memory: 2048,
            applies: |case, _| {
                small_filters(case)?;
                no_residual(case)
            },
            geometry: |case, _| {
                let [y, z] = fold(case.pixels().div_ceil(16));
                Geometry { workgroups: [case.output.c4().div_ceil(32), y, z], rows: 0, rounds: 0 }
            },
            compile_ms: 1400.0,
            ..row(
                OpKind::Separable,
                "workgroup_16",
                sixteen.0,
                sixteen.1,
                "thread: 8 pixels x 4 channels; workgroup: 16 pixels x 128 channels, the depthwise part 32 channels at a time",
            )
        },
        // Subgroups of 8 are llvmpipe's, which no browser has.
        #[cfg(not(target_arch = "wasm32"))]
        Variant {
            packing: Packing::Tiles32,
            invocations: 8,
            applies: |case, profile| {
                subgroup8(case, profile)?;
                small_filters(case)?;
                no_residual(case)
            },
            geometry: |case, _| {
                let tiles = case.output.width.div_ceil(4) * case.output.height.div_ceil(7) * case.batch;
                Geometry { workgroups: [case.output.c4().div_ceil(8), tiles, 1], rows: 0, rounds: 7 }
            },
            compile_ms: 700.0,
            ..row(
                OpKind::Separable,
                "subgroup8_28",
                lanes.0,
                lanes.1,
                "thread: 28 pixels x 4 channels, of both parts in turn; workgroup (one subgroup of 8): 4 x 7 pixels x 32 channels",
            )
        },
        Variant {
            workgroup_memory: (9 * 9 + 16) * 64,
            applies: |case, _| small_filters(case),
            geometry: |case, _| tiles(case, 4, 4),
            compile_ms: 1750.0,
            ..row(
                OpKind::InvertedResidual,
                "workgroup_4x4",
                square.0,
                square.1,
                "thread: 4 pixels x 4 channels; workgroup: 4 x 4 pixels x 64 channels, 16 hidden channels at a time",
            )
        },
        Variant {
            workgroup_memory: (17 * 9 + 32) * 64,
            applies: |case, _| small_filters(case),
            geometry: |case, _| tiles(case, 8, 4),
            compile_ms: 1450.0,
            ..row(
                OpKind::InvertedResidual,
                "workgroup_8x4",
                wide.0,
                wide.1,
                "thread: 8 pixels x 4 channels; workgroup: 8 x 4 pixels x 64 channels, 16 hidden channels at a time",
            )
        },
    ]
}

fn tiles(case: &Case, width: u32, height: u32) -> Geometry {
    let tiles = case.output.width.div_ceil(width) * case.output.height.div_ceil(height);
    Geometry { workgroups: [tiles, case.output.c4().div_ceil(16), case.batch], rows: 0, rounds: 0 }
}
