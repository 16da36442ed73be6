//! Dense convolutions of any kernel: the stem, and networks of a user's own.

use super::{Case, OpKind, Variant, eight_by_eight, row};
#[cfg(not(target_arch = "wasm32"))]
use super::{depthwise::no_residual, pointwise::lanes, pointwise::subgroup8, whole_eights};
use crate::gpu::{DeviceClass, DeviceProfile};

pub(super) fn variants() -> Vec<Variant> {
    vec![
        Variant {
            cost: |case, profile| case.macs() as f64 * if profile.class == DeviceClass::Software { 0.4 } else { 0.001 },
            ..row(
                OpKind::Convolution,
                "direct",
                "shaders/convolution/direct.wgsl",
                include_str!("../../shaders/convolution/direct.wgsl"),
                "thread: 1 pixel x 4 channels; workgroup: 8 pixels x 32 channels",
            )
        },
        // Subgroups of 8 are llvmpipe's, which no browser has.
        #[cfg(not(target_arch = "wasm32"))]
        Variant {
            invocations: 8,
            applies: few_channels,
            geometry: |case, _| lanes(case, 14, 7),
            cost: |case, _| case.macs() as f64 * 0.06,
            compile_ms: 140.0,
            ..row(
                OpKind::Convolution,
                "subgroup8_14",
                "shaders/convolution/subgroup8_14.wgsl",
                include_str!("../../shaders/convolution/subgroup8_14.wgsl"),
                "thread: 14 pixels x 4 channels; workgroup (one subgroup of 8): 14 pixels x 32 channels",
            )
        },
        #[cfg(not(target_arch = "wasm32"))]
        Variant {
            invocations: 8,
            precisions: &[super::Precision::F32],
            int64: true,
            applies: |case, profile| {
                few_channels(case, profile)?;
                whole_eights(case)
            },
            geometry: |case, _| lanes(case, 14, 7),
            cost: |case, _| case.macs() as f64 * 0.05,
            compile_ms: 130.0,
            ..row(
                OpKind::Convolution,
                "subgroup8_14_u64",
                "shaders/convolution/subgroup8_14_u64.wgsl",
                include_str!("../../shaders/convolution/subgroup8_14_u64.wgsl"),
                "thread: 14 pixels x 4 channels; workgroup (one subgroup of 8): 14 pixels x 32 channels, by 64-bit loads and stores",
            )
        },
        Variant {
            applies: many_channels,
            geometry: |case, _| eight_by_eight(case.output.c4(), case.pixels(), 4),
            cost: |case, profile| case.macs() as f64 * if profile.class == DeviceClass::Software { 0.25 } else { 0.0005 },
            ..row(
                OpKind::Convolution,
                "register_tile",
                "shaders/convolution/register_tile.wgsl",
                include_str!("../../shaders/convolution/register_tile.wgsl"),
                "thread: 4 pixels x 4 channels; workgroup: 32 pixels x 32 channels",
            )
        },
        #[cfg(not(target_arch = "wasm32"))]
        Variant {
            packing: super::Packing::Tiles32,
            invocations: 8,
            applies: |case, profile| {
                subgroup8(case, profile)?;
                many_channels(case, profile)
            },
            geometry: |case, _| lanes(case, 28, 7),
            cost: |case, _| case.macs() as f64 * 0.06,
            ..row(
                OpKind::Convolution,
                "subgroup8_28",
                "shaders/convolution/subgroup8_28.wgsl",
                include_str!("../../shaders/convolution/subgroup8_28.wgsl"),
                "thread: 28 pixels x 4 channels; workgroup (one subgroup of 8): 28 pixels x 32 channels",
            )
        },
    ]
}

#[cfg(not(target_arch = "wasm32"))]
fn few_channels(case: &Case, profile: &DeviceProfile) -> Result<(), &'static str> {
    subgroup8(case, profile)?;
    if case.input.channels > 3 {
        return Err("it is for up to three input channels");
    }
    no_residual(case)
}

fn many_channels(case: &Case, _: &DeviceProfile) -> Result<(), &'static str> {
    if case.input.channels > 3 { Ok(()) } else { Err("it is for more than three input channels") }
}
