//! Pointwise (1x1) convolutions and linear layers: `output[p][n] = clamp(bias[n] + sum_k input[p][k] * weights[k][n] (+ residual))`.

#[cfg(not(target_arch = "wasm32"))]
use super::whole_eights;
use super::{Case, Geometry, OpKind, Packing, Variant, eight_by_eight, fold, row};
use crate::gpu::{DeviceClass, DeviceProfile};

macro_rules! shader {
    ($name:literal) => {
        (concat!("shaders/pointwise/", $name, ".wgsl"), include_str!(concat!("../../shaders/pointwise/", $name, ".wgsl")))
    };
}

pub(super) fn variants() -> Vec<Variant> {
    let register = shader!("register_tile");
    let tile = shader!("workgroup_tile");
    let large = shader!("workgroup_tile_128");
    #[cfg(not(target_arch = "wasm32"))]
    let narrow = shader!("subgroup8_14");
    #[cfg(not(target_arch = "wasm32"))]
    let wide = shader!("subgroup8_28");
    #[cfg(not(target_arch = "wasm32"))]
    let pairs = shader!("subgroup8_28_u64");
    #[cfg(not(target_arch = "wasm32"))]
    let double = shader!("subgroup8_28x64_u64");
    vec![
        Variant {
            geometry: |case, _| eight_by_eight(case.output.c4(), case.pixels(), 4),
            cost: |case, profile| gpu_cost(case, profile, &Walk { slices: 1, turn_ns: 450.0, rate: 0.8, llvmpipe: 1.0 }),
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
            cost: |case, profile| gpu_cost(case, profile, &Walk { slices: 1, turn_ns: 460.0, rate: 0.7, llvmpipe: 2.0 }),
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
            invocations: 256,
            workgroup_memory: 12_288,
            geometry: |case, _| {
                let [y, z] = fold(case.pixels().div_ceil(128));
                Geometry { workgroups: [case.output.c4().div_ceil(16), y, z], rows: 0, rounds: 0 }
            },
            cost: |case, profile| {
                // A workgroup makes 128 pixels x 64 channels, however many of them there are.
                let whole = f64::from(case.pixels().next_multiple_of(128)) / f64::from(case.pixels());
                let wide = f64::from(case.output.c4().next_multiple_of(16)) / f64::from(case.output.c4());
                gpu_cost(case, profile, &Walk { slices: 1, turn_ns: 460.0, rate: 1.0 / (whole * wide), llvmpipe: 3.0 })
            },
            compile_ms: 1100.0,
            ..row(
                OpKind::Pointwise,
                "workgroup_tile_128",
                large.0,
                large.1,
                "thread: 4 pixels x 8 channels; workgroup: 128 pixels x 64 channels, 16 inputs at a time through workgroup memory",
            )
        },
        split("split_k", 8),
        split("split_k_16", 16),
        matvec("matvec", 8),
        matvec("matvec_32", 32),
        #[cfg(not(target_arch = "wasm32"))]
        matvec_u64(),
        // Subgroups of 8 are llvmpipe's, which no browser has, and a page would download them.
        #[cfg(not(target_arch = "wasm32"))]
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
        #[cfg(not(target_arch = "wasm32"))]
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
        #[cfg(not(target_arch = "wasm32"))]
        Variant {
            packing: Packing::Tiles32Pairs,
            invocations: 8,
            precisions: &[super::Precision::F32],
            int64: true,
            applies: |case, profile| {
                subgroup8(case, profile)?;
                whole_eights(case)
            },
            geometry: |case, _| lanes(case, 28, 7),
            cost: |case, profile| lane_cost(case, profile, 28, 0.8),
            compile_ms: 260.0,
            ..row(
                OpKind::Pointwise,
                "subgroup8_28_u64",
                pairs.0,
                pairs.1,
                "thread: 28 pixels x 4 channels; workgroup (one subgroup of 8): 28 pixels x 32 channels, by 64-bit loads and stores",
            )
        },
        #[cfg(not(target_arch = "wasm32"))]
        Variant {
            packing: Packing::Tiles32Pairs,
            invocations: 8,
            precisions: &[super::Precision::F32],
            int64: true,
            applies: |case, profile| {
                subgroup8(case, profile)?;
                whole_eights(case)
            },
            geometry: |case, _| Geometry { workgroups: [case.output.c4().div_ceil(16), case.pixels().div_ceil(28), 1], rows: 0, rounds: 7 },
            // Layers of 64 or more channels take 0.77 to 0.98 of the other's time on Mesa 22.3, 1.1 to 1.15 times it on 25.0.
            cost: |case, profile| {
                let tiles = case.output.c4().div_ceil(8);
                let whole = f64::from(tiles.next_multiple_of(2)) / f64::from(tiles);
                lane_cost(case, profile, 28, whole * if profile.mesa_before(23) { 0.68 } else { 0.9 })
            },
            compile_ms: 460.0,
            ..row(
                OpKind::Pointwise,
                "subgroup8_28x64_u64",
                double.0,
                double.1,
                "thread: 28 pixels x 8 channels; workgroup (one subgroup of 8): 28 pixels x 64 channels, by 64-bit loads and stores",
            )
        },
    ]
}

/// The input channels in 8 or 16 slices.
fn split(name: &'static str, slices: u32) -> Variant {
    let (file, source) = shader!("split_k");
    let (cost, summary): (fn(&Case, &DeviceProfile) -> f64, _) = match slices {
        8 => (|case, profile| gpu_cost(case, profile, &Walk { slices: 8, turn_ns: 270.0, rate: 0.75, llvmpipe: 1.2 }), "1/8"),
        _ => (|case, profile| gpu_cost(case, profile, &Walk { slices: 16, turn_ns: 270.0, rate: 0.65, llvmpipe: 1.5 }), "1/16"),
    };
    Variant {
        invocations: 8 * slices,
        workgroup_memory: 512 * slices,
        geometry: |case, _| slice_groups(case, 4),
        cost,
        compile_ms: 390.0,
        ..row(
            OpKind::Pointwise,
            name,
            file,
            with_slices(source, slices),
            format!("thread: 4 pixels x 4 channels x {summary} of the inputs; workgroup: 4 pixels x 32 channels"),
        )
    }
}

/// The source with another number of slices.
fn with_slices(source: &str, slices: u32) -> String {
    source.replace("const SLICES = 8u;", &format!("const SLICES = {slices}u;"))
}

/// A pixel at a time, the input channels in 8 or 32 slices.
fn matvec(name: &'static str, slices: u32) -> Variant {
    let (file, source) = shader!("matvec");
    let (cost, summary): (fn(&Case, &DeviceProfile) -> f64, _) = match slices {
        8 => (|case, profile| gpu_cost(case, profile, &Walk { slices: 8, turn_ns: 400.0, rate: 0.1, llvmpipe: 1.0 }), "1/8"),
        _ => (|case, profile| gpu_cost(case, profile, &Walk { slices: 32, turn_ns: 400.0, rate: 0.1, llvmpipe: 1.2 }), "1/32"),
    };
    Variant {
        packing: Packing::Tiles32,
        invocations: 8 * slices,
        workgroup_memory: 128 * slices,
        applies: few_pixels,
        geometry: |case, _| slice_groups(case, 1),
        cost,
        compile_ms: 220.0,
        ..row(
            OpKind::Pointwise,
            name,
            file,
            with_slices(source, slices),
            format!("thread: 1 pixel x 4 channels x {summary} of the inputs; workgroup: 1 pixel x 32 channels"),
        )
    }
}

/// `matvec` by 64-bit loads, for llvmpipe.
#[cfg(not(target_arch = "wasm32"))]
fn matvec_u64() -> Variant {
    let (file, source) = shader!("matvec_u64");
    Variant {
        packing: Packing::Tiles32Pairs,
        precisions: &[super::Precision::F32],
        int64: true,
        applies: |case, profile| {
            subgroup8(case, profile)?;
            few_pixels(case, profile)
        },
        cost: |case, profile| gpu_cost(case, profile, &Walk { slices: 8, turn_ns: 400.0, rate: 0.1, llvmpipe: 0.8 }),
        compile_ms: 130.0,
        file: file.into(),
        source: source.into(),
        summary: "thread: 1 pixel x 4 channels x 1/8 of the inputs; workgroup: 1 pixel x 32 channels, by 64-bit loads".into(),
        ..matvec("matvec_u64", 8)
    }
}

fn few_pixels(case: &Case, _: &DeviceProfile) -> Result<(), &'static str> {
    if case.pixels() <= 64 { Ok(()) } else { Err("it is for 64 pixels at most: weights would be read again for each") }
}

#[cfg(not(target_arch = "wasm32"))]
pub(super) fn subgroup8(_: &Case, profile: &DeviceProfile) -> Result<(), &'static str> {
    if profile.subgroup_size == Some(8) { Ok(()) } else { Err("it needs subgroups of exactly 8 lanes") }
}

#[cfg(not(target_arch = "wasm32"))]
pub(super) fn lanes(case: &Case, pixels: u32, rounds: u32) -> Geometry {
    Geometry { workgroups: [case.output.c4().div_ceil(8), case.pixels().div_ceil(pixels), 1], rows: 0, rounds }
}

fn slice_groups(case: &Case, pixels: u32) -> Geometry {
    let [y, z] = fold(case.pixels().div_ceil(pixels));
    Geometry { workgroups: [case.output.c4().div_ceil(8), y, z], rows: 0, rounds: 0 }
}

/// How a kernel walks the input channels.
struct Walk {
    /// Threads that share an output's input channels.
    slices: u32,
    /// Nanoseconds of a turn (four input channels) on a discrete GPU with nothing else to do: it waits for its loads.
    turn_ns: f64,
    /// Share of the multiply-adds that the best kernel does on a full device.
    rate: f64,
    /// How much more a turn costs on llvmpipe than in the register tile.
    llvmpipe: f64,
}

/// Nanoseconds: a launch, and then what one thread waits for or the work of all, whichever is longer. The constants of discrete GPUs
/// are fitted to an H200 (`docs/PERFORMANCE.md`).
fn gpu_cost(case: &Case, profile: &DeviceProfile, walk: &Walk) -> f64 {
    let outputs = f64::from(case.pixels()) * f64::from(case.output.c4()) * 4.0;
    let macs = outputs * f64::from(case.input.c4()) * 4.0;
    // Four pixels and four channels a thread, and threads that there must be for a device to do what it can.
    let threads = outputs / 16.0 * f64::from(walk.slices);
    let (launch, wait, macs_per_ns, full) = match profile.class {
        DeviceClass::Software => (0.0, 1.0, 3.6 / (walk.llvmpipe * walk.rate), 0.0),
        // Waiting says all about a device that is not full.
        DeviceClass::Discrete => (2_500.0, 1.0, 13_500.0, 0.0),
        DeviceClass::Integrated => (4_000.0, 1.0, 400.0, 8_192.0),
        DeviceClass::Mobile => (8_000.0, 1.5, 150.0, 4_096.0),
    };
    let turns = f64::from(case.input.c4().div_ceil(walk.slices)) * walk.turn_ns;
    let sum = if walk.slices > 1 { f64::from(walk.slices) * 70.0 } else { 0.0 };
    launch + ((turns + sum) * wait).max(macs / (macs_per_ns * walk.rate) * (full / threads).max(1.0))
}

/// Nanoseconds of the subgroup kernels: whole tiles of pixels and 32 channels count.
#[cfg(not(target_arch = "wasm32"))]
fn lane_cost(case: &Case, profile: &DeviceProfile, pixels: u32, factor: f64) -> f64 {
    let tiles = f64::from(case.pixels().div_ceil(pixels)) * f64::from(case.output.c4().div_ceil(8));
    let fixed = if profile.class == DeviceClass::Software { 250.0 } else { 5_000.0 };
    // Per input quad: six loads and 4 multiply-adds a pixel.
    let quad = 45.0 + f64::from(pixels) * 3.2;
    tiles * (fixed + f64::from(case.input.c4()) * quad * factor) / 2.0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::graph::Shape;

    #[test]
    fn larger_tiles_are_for_mesa_22() {
        let table = variants();
        let cheapest = |driver: &str, outputs: u32| {
            let case = Case::plain(OpKind::Pointwise, 4, Shape::new(14, 14, 64), Shape::new(14, 14, outputs));
            let profile = DeviceProfile { driver: driver.into(), ..DeviceProfile::llvmpipe() };
            let cost = |v: &Variant| (v.cost)(&case, &profile);
            table.iter().min_by(|a, b| cost(a).total_cmp(&cost(b))).unwrap().name.to_string()
        };
        // Tiles of 64 channels where they are whole.
        assert_eq!(cheapest("llvmpipe Mesa 22.3.6 (LLVM 15.0.6)", 384), "subgroup8_28x64_u64");
        assert_eq!(cheapest("llvmpipe Mesa 22.3.6 (LLVM 15.0.6)", 96), "subgroup8_28_u64");
        assert_eq!(cheapest("llvmpipe Mesa 25.0.7-2~bpo12+1 (LLVM 15.0.6)", 384), "subgroup8_28_u64");
    }
}
