//! Depthwise convolutions.

#[cfg(not(target_arch = "wasm32"))]
use super::whole_eights;
use super::{Case, Geometry, OpKind, Variant, eight_by_eight, row};
use crate::gpu::{DeviceClass, DeviceProfile};

pub(super) fn variants() -> Vec<Variant> {
    let strip = |name, file, source, summary| Variant {
        invocations: 8,
        geometry: |case, profile| strips(case, profile, 4),
        cost: |case, profile| strip_cost(case, profile, if case.stride == 1 { 6 } else { 9 }, 4),
        ..row(OpKind::Depthwise, name, file, source, summary)
    };
    vec![
        Variant {
            cost: |case, profile| {
                let threads = f64::from(case.pixels()) * f64::from(case.output.c4());
                let taps = f64::from(case.kernel[0] * case.kernel[1]);
                match profile.class {
                    DeviceClass::Software => threads * taps * 3.5,
                    DeviceClass::Integrated => threads * taps * 0.01 + 2_000.0,
                    DeviceClass::Mobile => threads * taps * 0.02 + 4_000.0,
                    DeviceClass::Discrete => threads * taps * 0.0012 + 1_500.0,
                }
            },
            compile_ms: 100.0,
            ..row(
                OpKind::Depthwise,
                "direct",
                "shaders/depthwise/direct.wgsl",
                include_str!("../../shaders/depthwise/direct.wgsl"),
                "thread: 1 pixel x 4 channels; workgroup: 8 pixels x 32 channels",
            )
        },
        Variant {
            applies: |case, _| {
                small_filters(case)?;
                no_residual(case)
            },
            geometry: |case, profile| strips(case, profile, 4 - case.stride),
            cost: |case, profile| strip_cost(case, profile, 5, 4 - case.stride),
            compile_ms: 230.0,
            ..strip(
                "strip",
                "shaders/depthwise/strip.wgsl",
                include_str!("../../shaders/depthwise/strip.wgsl"),
                "thread: a strip of 3 columns (2 at stride 2) x rows x 4 channels, every input loaded once; workgroup: 8 strips side by side in channels",
            )
        },
        // Browsers have no 64-bit integers.
        #[cfg(not(target_arch = "wasm32"))]
        Variant {
            precisions: &[super::Precision::F32],
            int64: true,
            applies: |case, _| {
                small_filters(case)?;
                no_residual(case)?;
                whole_eights(case)
            },
            geometry: pair_strips,
            // On llvmpipe 0.6 to 0.86 of what `strip` takes; there is no other adapter that it was measured on.
            cost: |case, profile| {
                strip_cost(case, profile, 5, 4 - case.stride) * if profile.class == DeviceClass::Software { 0.72 } else { 2.0 }
            },
            compile_ms: 240.0,
            ..strip(
                "strip_u64",
                "shaders/depthwise/strip_u64.wgsl",
                include_str!("../../shaders/depthwise/strip_u64.wgsl"),
                "thread: a strip of 3 columns (2 at stride 2) x rows x 8 channels; workgroup: 8 strips, side by side in channels, then in columns",
            )
        },
        Variant {
            applies: |case, _| three_by_three(case, 1),
            compile_ms: 280.0,
            ..strip(
                "strip_s1",
                "shaders/depthwise/strip_s1.wgsl",
                include_str!("../../shaders/depthwise/strip_s1.wgsl"),
                "thread: a strip of 4 columns x rows x 4 channels, every input loaded once; workgroup: 8 strips side by side in channels",
            )
        },
        Variant {
            applies: |case, _| three_by_three(case, 2),
            compile_ms: 350.0,
            ..strip(
                "strip_s2",
                "shaders/depthwise/strip_s2.wgsl",
                include_str!("../../shaders/depthwise/strip_s2.wgsl"),
                "thread: a strip of 4 columns x rows x 4 channels at stride 2; workgroup: 8 strips side by side in channels",
            )
        },
        Variant {
            applies: |case, _| three_by_three(case, 1),
            compile_ms: 730.0,
            ..tile("tile_2x2_s1", "shaders/depthwise/tile_2x2_s1.wgsl", include_str!("../../shaders/depthwise/tile_2x2_s1.wgsl"))
        },
        Variant {
            applies: |case, _| three_by_three(case, 2),
            compile_ms: 1050.0,
            ..tile("tile_2x2_s2", "shaders/depthwise/tile_2x2_s2.wgsl", include_str!("../../shaders/depthwise/tile_2x2_s2.wgsl"))
        },
    ]
}

/// A 2 x 2 tile a thread: 4 or 6.25 loads an output instead of 9.
fn tile(name: &'static str, file: &'static str, source: &'static str) -> Variant {
    Variant {
        geometry: |case, _| {
            let tiles = case.batch * case.output.width.div_ceil(2) * case.output.height.div_ceil(2);
            eight_by_eight(case.output.c4(), tiles, 1)
        },
        cost: |case, profile| {
            let threads = f64::from(case.pixels()) / 4.0 * f64::from(case.output.c4());
            let loads = if case.stride == 1 { 16.0 } else { 25.0 };
            match profile.class {
                DeviceClass::Software => threads * loads * 4.5,
                DeviceClass::Integrated => threads * loads * 0.01 + 2_000.0,
                DeviceClass::Mobile => threads * loads * 0.02 + 4_000.0,
                DeviceClass::Discrete => threads * loads * 0.0012 + 1_500.0,
            }
        },
        ..row(OpKind::Depthwise, name, file, source, "thread: 2 x 2 pixels x 4 channels in registers; workgroup: 8 tiles x 32 channels")
    }
}

fn three_by_three(case: &Case, stride: u32) -> Result<(), &'static str> {
    if case.kernel != [3, 3] || case.stride != stride {
        return Err("it is for 3x3 filters at one stride");
    }
    no_residual(case)
}

pub(super) fn small_filters(case: &Case) -> Result<(), &'static str> {
    if case.kernel == [3, 3] && case.stride <= 2 { Ok(()) } else { Err("it is for 3x3 filters at stride 1 or 2") }
}

pub(super) fn no_residual(case: &Case) -> Result<(), &'static str> {
    if case.residual { Err("it adds no residual") } else { Ok(()) }
}

/// On software adapters a thread takes the whole height; a GPU wants more threads.
fn rows(case: &Case, profile: &DeviceProfile) -> u32 {
    let rows = match profile.class {
        DeviceClass::Software => case.output.height,
        DeviceClass::Discrete => 2,
        _ => 4,
    };
    // z holds pictures times bands: fewer bands where that would be too many.
    let most = (profile.max_workgroups / case.batch.max(1)).max(1);
    rows.max(case.output.height.div_ceil(most)).clamp(1, case.output.height)
}

fn strips(case: &Case, profile: &DeviceProfile, wide: u32) -> Geometry {
    let rows = rows(case, profile);
    let bands = case.output.height.div_ceil(rows);
    Geometry { workgroups: [case.output.c4().div_ceil(8), case.output.width.div_ceil(wide), case.batch * bands], rows, rounds: 9 }
}

/// Strips of eight channels, one after another.
#[cfg(not(target_arch = "wasm32"))]
fn pair_strips(case: &Case, profile: &DeviceProfile) -> Geometry {
    let Geometry { workgroups: [_, across, z], rows, rounds } = strips(case, profile, 4 - case.stride);
    let x = (u64::from(case.output.c4() / 2) * u64::from(across)).div_ceil(8);
    Geometry { workgroups: [u32::try_from(x).unwrap_or(u32::MAX), 1, z], rows, rounds }
}

fn strip_cost(case: &Case, profile: &DeviceProfile, columns: u32, wide: u32) -> f64 {
    let rows = rows(case, profile);
    let bands = f64::from(case.output.height.div_ceil(rows));
    let threads = f64::from(case.batch) * f64::from(case.output.width.div_ceil(wide)) * f64::from(case.output.c4()) * bands;
    let loads = f64::from(columns) * f64::from(rows * case.stride + 3 - case.stride);
    let per_load = match profile.class {
        DeviceClass::Software => 2.4,
        DeviceClass::Integrated => 0.015,
        DeviceClass::Mobile => 0.03,
        DeviceClass::Discrete => 0.002,
    };
    threads * loads * per_load + 1_500.0
}
