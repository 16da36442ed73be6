//! Measuring: every built-in kernel is found right and has a time; kernels that are wrong get the verdict they deserve.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/gpu.rs"]
mod gpu;

use mobilenet_wgpu::graph::{Activation, Shape};
use mobilenet_wgpu::kernel::{Case, OpKind, Precision, Variant};
use mobilenet_wgpu::measure::{self, CaseResult, KernelOptions, Stopwatch, Verdict};
use std::time::Duration;

fn case(op: OpKind, input: Shape, output: Shape) -> Case {
    let spatial = !matches!(op, OpKind::Pointwise | OpKind::Add | OpKind::Pool | OpKind::Softmax | OpKind::Activation | OpKind::BatchNorm);
    let block = matches!(op, OpKind::InvertedResidual | OpKind::Separable);
    let clamps = matches!(op, OpKind::Convolution | OpKind::Depthwise | OpKind::Pointwise | OpKind::Activation | OpKind::Separable);
    Case {
        op,
        batch: 1,
        input,
        output,
        kernel: if spatial { [3, 3] } else { [1, 1] },
        stride: if spatial { input.height.div_ceil(output.height) } else { 1 },
        padding: if spatial { [1, 1] } else { [0, 0] },
        activation: if clamps { Activation::Relu6 } else { Activation::Identity },
        residual: matches!(op, OpKind::Add),
        hidden: if op == OpKind::InvertedResidual {
            input.channels * 6
        } else if block {
            input.channels
        } else {
            0
        },
        hidden_activation: if block { Activation::Relu6 } else { Activation::Identity },
    }
}

fn quick() -> KernelOptions {
    KernelOptions { rounds: 2, sample: Duration::from_micros(200), ..Default::default() }
}

fn measure(case: &Case, precision: Precision, variants: &[&Variant], options: &KernelOptions) -> Option<CaseResult> {
    let engine = gpu::engine()?;
    let watch = Stopwatch::new(engine.device(), engine.queue()).unwrap();
    Some(measure::kernels(engine, &watch, case, precision, variants, options).unwrap())
}

#[test]
fn every_built_in_kernel_is_right_and_has_a_time() {
    let Some(engine) = gpu::engine() else { return };
    let (a, b) = (Shape::new(9, 11, 19), Shape::new(9, 11, 42));
    let cases = [
        case(OpKind::Convolution, Shape::new(18, 21, 3), Shape::new(9, 11, 19)),
        case(OpKind::Depthwise, a, a),
        case(OpKind::Depthwise, Shape::new(18, 21, 24), Shape::new(9, 11, 24)),
        case(OpKind::Pointwise, a, b),
        Case { residual: true, activation: Activation::Identity, batch: 2, ..case(OpKind::Pointwise, b, b) },
        case(OpKind::BatchNorm, a, a),
        case(OpKind::Activation, a, a),
        case(OpKind::Add, a, a),
        case(OpKind::Pool, a, Shape::new(1, 1, 19)),
        case(OpKind::Softmax, Shape::new(1, 1, 1001), Shape::new(1, 1, 1001)),
        case(OpKind::Separable, a, b),
        Case { residual: true, ..case(OpKind::InvertedResidual, a, a) },
        case(OpKind::InvertedResidual, Shape::new(18, 21, 8), b),
    ];
    let table: Vec<&Variant> = engine.variants().iter().collect();
    let precisions = if engine.profile().f16 { &Precision::ALL[..] } else { &[Precision::F32] };
    for case in &cases {
        for precision in precisions {
            let Some(result) = measure(case, *precision, &table, &quick()) else { return };
            for candidate in &result.candidates {
                let name = format!("{} {case} {precision}: {}", case.op, candidate.variant);
                assert_eq!(candidate.verdict, Verdict::Right, "{name}, error {:?}", candidate.error);
                assert!(candidate.ns().is_some_and(|ns| ns > 0.0 && ns < 1e9), "{name}: {:?}", candidate.warm);
                assert!(candidate.compile.is_some_and(|ns| ns > 0.0), "{name}");
            }
            assert!(result.best().is_some());
        }
    }
}

/// `register_tile` with an edit.
fn edited(from: &str, to: &str) -> Variant {
    let table = mobilenet_wgpu::kernel::variants();
    let mut variant = table.into_iter().find(|v| v.op == OpKind::Pointwise && v.name == "register_tile").unwrap();
    assert!(variant.source.contains(from), "`{from}` is not in {}", variant.file);
    variant.source = variant.source.replace(from, to).into();
    variant.name = "edited".into();
    variant
}

fn verdict(variant: &Variant) -> Option<Verdict> {
    let case = case(OpKind::Pointwise, Shape::new(7, 7, 24), Shape::new(7, 7, 42));
    let options = KernelOptions { checks: 6, ..quick() };
    let result = measure(&case, Precision::F32, &[variant], &options)?;
    assert!(result.best().is_none(), "{result:?}");
    Some(result.candidates[0].verdict.clone())
}

#[test]
fn a_kernel_that_is_wrong_at_one_pixel_differs() {
    let wrong = edited("var v = sum;", "var v = sum; if (pixel == layer.pixels - 1u && n == 2u) { v.y += 0.01; }");
    let Some(Verdict::Differs(why)) = verdict(&wrong) else { return assert!(gpu::engine().is_none()) };
    assert!(why.contains("row 6, column 6, channel 9"), "{why}");
}

#[test]
fn a_kernel_that_leaves_a_pixel_out_differs() {
    let wrong = edited("if (pixel >= layer.pixels) { return; }", "if (pixel >= layer.pixels || pixel == 8u) { return; }");
    let Some(Verdict::Differs(why)) = verdict(&wrong) else { return assert!(gpu::engine().is_none()) };
    assert!(why.contains("row 1, column 1") && why.contains("nothing"), "{why}");
}

#[test]
fn a_kernel_that_writes_behind_its_output_is_out_of_bounds() {
    let wrong = edited("if (pixel >= layer.pixels) { return; }", "");
    let Some(Verdict::OutOfBounds(why)) = verdict(&wrong) else { return assert!(gpu::engine().is_none()) };
    assert!(why.contains("behind"), "{why}");
}

#[test]
fn a_kernel_that_fills_the_padding_channels_is_out_of_bounds() {
    let wrong = edited("var v = sum;", "var v = sum; if (n == layer.out_c4 - 1u) { v.w = 1.0; }");
    let Some(Verdict::OutOfBounds(why)) = verdict(&wrong) else { return assert!(gpu::engine().is_none()) };
    assert!(why.contains("padding channels"), "{why}");
}

#[test]
fn a_kernel_that_does_not_compile_or_apply_fails() {
    let Some(engine) = gpu::engine() else { return };
    let broken = edited("var v = sum;", "var v = summ;");
    assert!(matches!(verdict(&broken), Some(Verdict::Failed(why)) if why.contains("summ")));
    let watch = Stopwatch::new(engine.device(), engine.queue()).unwrap();
    let never = Variant { applies: |_, _| Err("it is Tuesday"), ..edited("sum", "sum") };
    let case = case(OpKind::Pointwise, Shape::new(7, 7, 24), Shape::new(7, 7, 42));
    let refused = measure::kernels(engine, &watch, &case, Precision::F32, &[&never], &quick());
    assert!(refused.unwrap_err().to_string().contains("it is Tuesday"));
}

#[test]
fn no_time_left_means_skipped_and_cold_times_are_there_when_asked_for() {
    let Some(engine) = gpu::engine() else { return };
    let table: Vec<&Variant> = engine.variants().iter().collect();
    let case = case(OpKind::Pointwise, Shape::new(7, 7, 24), Shape::new(7, 7, 42));
    let none = KernelOptions { budget: Some(Duration::ZERO), ..quick() };
    let result = measure(&case, Precision::F32, &table, &none).unwrap();
    assert!(result.candidates.iter().all(|c| matches!(c.verdict, Verdict::Skipped(_))), "{result:?}");
    let cold = measure(&case, Precision::F32, &table, &KernelOptions { cold: true, ..quick() }).unwrap();
    assert!(cold.candidates.iter().all(|c| c.cold.is_some_and(|t| t.median > 0.0)), "{cold:?}");
}
