//! Whole blocks in one dispatch: depthwise + pointwise (V1), expand + depthwise + project + residual (V2).
//!
//! They are taken only where a record has measured them faster than the separate kernels, or the caller asks for them.

use super::depthwise::{no_residual, small_filters};
#[cfg(not(target_arch = "wasm32"))]
use super::{Applies, Packing, pointwise::subgroup8};
use super::{Case, Geometry, OpKind, Variant, fold, row};
#[cfg(not(target_arch = "wasm32"))]
use crate::gpu::DeviceProfile;

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
        #[cfg(not(target_arch = "wasm32"))]
        registers("subgroup8_s1", 1),
        #[cfg(not(target_arch = "wasm32"))]
        registers("subgroup8_s2", 2),
    ]
}

/// An inverted residual through registers, a pipeline for each stride.
#[cfg(not(target_arch = "wasm32"))]
fn registers(name: &'static str, stride: u32) -> Variant {
    let (file, source) = shader!("inverted_residual/subgroup8");
    let (applies, geometry, compile_ms, summary): (Applies, fn(&Case, &DeviceProfile) -> Geometry, _, _) = match stride {
        1 => (|case, profile| lanes_at(case, profile, 1), |case, _| lane_tiles(case, 7), 1250.0, "7 x 7 pixels x 32 channels"),
        _ => (|case, profile| lanes_at(case, profile, 2), |case, _| lane_tiles(case, 4), 870.0, "4 x 4 pixels x 32 channels"),
    };
    Variant {
        packing: Packing::Tiles32Pairs,
        invocations: 8,
        precisions: &[super::Precision::F32],
        int64: true,
        applies,
        geometry,
        compile_ms,
        ..row(
            OpKind::InvertedResidual,
            name,
            file,
            source.replace("const STRIDE = 0u;", &format!("const STRIDE = {stride}u;")),
            format!("thread: as many pixels x 4 channels; workgroup (one subgroup of 8): {summary}, 32 hidden channels at a time"),
        )
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn lanes_at(case: &Case, profile: &DeviceProfile, stride: u32) -> Result<(), &'static str> {
    subgroup8(case, profile)?;
    small_filters(case)?;
    if case.stride == stride { Ok(()) } else { Err("it is for another stride") }
}

#[cfg(not(target_arch = "wasm32"))]
fn lane_tiles(case: &Case, side: u32) -> Geometry {
    let tiles = case.output.width.div_ceil(side) * case.output.height.div_ceil(side);
    Geometry { workgroups: [case.output.c4().div_ceil(8), tiles, case.batch], rows: 0, rounds: 0 }
}

fn tiles(case: &Case, width: u32, height: u32) -> Geometry {
    let tiles = case.output.width.div_ceil(width) * case.output.height.div_ceil(height);
    Geometry { workgroups: [tiles, case.output.c4().div_ceil(16), case.batch], rows: 0, rounds: 0 }
}
