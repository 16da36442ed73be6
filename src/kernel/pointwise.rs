//! Pointwise (1x1) convolutions and linear layers: `output[p][n] = clamp(bias[n] + sum_k input[p][k] * weights[k][n] (+ residual))`.

use super::{Case, Geometry, OpKind, Packing, Variant, eight_by_eight, fold, row};
use crate::gpu::{DeviceClass, DeviceProfile};

macro_rules! shader {
    ($name:literal) => {
        (concat!("shaders/pointwise/", $name, ".wgsl"), include_str!(concat!("../../shaders/pointwise/", $name, ".wgsl")))
    };
}

pub(super) fn variants() -> Vec<Variant> {
    let register = shader!("register_tile");
    let split = shader!("split_k");
    let matvec = shader!("matvec");
    let tile = shader!("workgroup_tile");
    let narrow = shader!("subgroup8_14");
    let wide = shader!("subgroup8_28");
    #[cfg(not(target_arch = "wasm32"))]
    let pairs = shader!("subgroup8_28_u64");
    vec![
        Variant {
            geometry: |case, _| eight_by_eight(case.output.c4(), case.pixels(), 4),
            cost: |case, profile| gpu_cost(case, profile, 4, 16, 1.0),
            compile_ms: 360.0,
            ..row(
                OpKind::Pointwise,
                "register_tile",
                register.0,
                register.1,
                "thread: 4 pixels x 4 channels; workgroup: 32 pixels x 32 channels",
            )
        },
        Variant {
            workgroup_memory: 6144,
            geometry: |case, _| eight_by_eight(case.output.c4(), case.pixels(), 8),
            cost: |case, profile| gpu_cost(case, profile, 8, 16, if profile.class == DeviceClass::Software { 2.0 } else { 0.8 }),
            compile_ms: 1040.0,
            ..row(
                OpKind::Pointwise,
                "workgroup_tile",
                tile.0,
                tile.1,
                "thread: 8 pixels x 4 channels; workgroup: 64 pixels x 32 channels, 16 inputs at a time through workgroup memory",
            )
        },
        Variant {
            workgroup_memory: 4096,
            geometry: |case, _| slices(case, 4),
            cost: |case, profile| gpu_cost(case, profile, 4, 2, 1.2),
            compile_ms: 390.0,
            ..row(
                OpKind::Pointwise,
                "split_k",
                split.0,
                split.1,
                "thread: 4 pixels x 4 channels x 1/8 of the inputs; workgroup: 4 pixels x 32 channels",
            )
        },
        Variant {
            workgroup_memory: 1024,
            applies: |case, _| {
                if case.pixels() <= 64 { Ok(()) } else { Err("it is for 64 pixels at most: weights would be read again for each") }
            },
            geometry: |case, _| slices(case, 1),
            cost: |case, profile| gpu_cost(case, profile, 1, 2, 1.0),
            compile_ms: 220.0,
            ..row(
                OpKind::Pointwise,
                "matvec",
                matvec.0,
                matvec.1,
                "thread: 1 pixel x 4 channels x 1/8 of the inputs; workgroup: 1 pixel x 32 channels",
            )
        },
        Variant {
            packing: Packing::Tiles32,
            invocations: 8,
            applies: subgroup8,
            geometry: |case, _| lanes(case, 14, 7),
            cost: |case, profile| lane_cost(case, profile, 14, 1.15),
            compile_ms: 220.0,
            ..row(
                OpKind::Pointwise,
                "subgroup8_14",
                narrow.0,
                narrow.1,
                "thread: 14 pixels x 4 channels; workgroup (one subgroup of 8): 14 pixels x 32 channels",
            )
        },
        Variant {
            packing: Packing::Tiles32,
            invocations: 8,
            applies: subgroup8,
            geometry: |case, _| lanes(case, 28, 7),
            cost: |case, profile| lane_cost(case, profile, 28, 1.0),
            compile_ms: 400.0,
            ..row(
                OpKind::Pointwise,
                "subgroup8_28",
                wide.0,
                wide.1,
                "thread: 28 pixels x 4 channels; workgroup (one subgroup of 8): 28 pixels x 32 channels",
            )
        },
        // A page could never use it, and would download it.
        #[cfg(not(target_arch = "wasm32"))]
        Variant {
            packing: Packing::Tiles32Pairs,
            invocations: 8,
            precisions: &[super::Precision::F32],
            int64: true,
            applies: subgroup8,
            geometry: |case, _| lanes(case, 28, 7),
            // Measured: 4 to 6 % less on Mesa 22.3, nothing on 25.0; more on both where weights leave the second-level cache.
            cost: |case, profile| lane_cost(case, profile, 28, if weight_bytes(case) > 2 << 20 { 1.05 } else { 0.97 }),
            compile_ms: 400.0,
            ..row(
                OpKind::Pointwise,
                "subgroup8_28_u64",
                pairs.0,
                pairs.1,
                "thread: 28 pixels x 4 channels; workgroup (one subgroup of 8): 28 pixels x 32 channels, two rows of weights a load",
            )
        },
    ]
}

pub(super) fn subgroup8(_: &Case, profile: &DeviceProfile) -> Result<(), &'static str> {
    if profile.subgroup_size == Some(8) { Ok(()) } else { Err("it needs subgroups of exactly 8 lanes") }
}

pub(super) fn lanes(case: &Case, pixels: u32, rounds: u32) -> Geometry {
    Geometry { workgroups: [case.output.c4().div_ceil(8), case.pixels().div_ceil(pixels), 1], rows: 0, rounds }
}

fn slices(case: &Case, pixels: u32) -> Geometry {
    let [y, z] = fold(case.pixels().div_ceil(pixels));
    Geometry { workgroups: [case.output.c4().div_ceil(8), y, z], rows: 0, rounds: 0 }
}

/// Nanoseconds by a model of waves: threads that a device can hold do useful work side by side; a load feeds
/// `pixels` pixels. `slice` is the share of the inputs (in sixteenths) that one thread walks.
fn gpu_cost(case: &Case, profile: &DeviceProfile, pixels: u32, slice: u32, overhead: f64) -> f64 {
    let threads = f64::from(case.pixels().div_ceil(pixels)) * f64::from(case.output.c4()) * 16.0 / f64::from(slice);
    let (parallel, ns_per_quad) = match profile.class {
        DeviceClass::Software => (16.0, 60.0),
        DeviceClass::Integrated => (8_192.0, 40.0),
        DeviceClass::Mobile => (4_096.0, 60.0),
        DeviceClass::Discrete => (65_536.0, 30.0),
    };
    let walk = f64::from(case.input.c4()) * f64::from(slice) / 16.0;
    // Four weight loads and one input load a pixel for 4 * pixels multiply-adds of vec4.
    let loads = (4.0 + f64::from(pixels)) / 5.0;
    (threads / parallel).max(1.0) * walk.max(1.0) * loads * ns_per_quad * overhead
}

fn weight_bytes(case: &Case) -> u64 {
    4 * u64::from(case.input.channels) * u64::from(case.output.channels)
}

/// Nanoseconds of the subgroup kernels: whole tiles of pixels and 32 channels count.
fn lane_cost(case: &Case, profile: &DeviceProfile, pixels: u32, factor: f64) -> f64 {
    let tiles = f64::from(case.pixels().div_ceil(pixels)) * f64::from(case.output.c4().div_ceil(8));
    let fixed = if profile.class == DeviceClass::Software { 250.0 } else { 5_000.0 };
    // Per input quad: six loads and 4 multiply-adds a pixel.
    let quad = 45.0 + f64::from(pixels) * 3.2;
    tiles * (fixed + f64::from(case.input.c4()) * quad * factor) / 2.0
}
