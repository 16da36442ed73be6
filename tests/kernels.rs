//! Every variant of every op against the plain-Rust reference, on odd shapes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/gpu.rs"]
mod gpu;

use mobilenet_wgpu::Tensor;
use mobilenet_wgpu::engine::{Input, SessionOptions};
use mobilenet_wgpu::graph::{Activation, Conv2d, Graph, GraphBuilder, Padding, Param, Shape};
use mobilenet_wgpu::graph::{Groups, Op, passes};
use mobilenet_wgpu::kernel::{Case, OpKind, Precision, Variant};
use mobilenet_wgpu::plan::Preference;
use mobilenet_wgpu::reference;
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Values in -1..1 that depend on a seed and their index alone.
fn values(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// Sessions of one owner share weights by name, and every problem here has its own.
static OWNERS: AtomicUsize = AtomicUsize::new(0);

/// A problem for one op.
#[derive(Clone, Debug)]
struct Problem {
    op: OpKind,
    batch: u32,
    input: Shape,
    channels: u32,
    kernel: [u32; 2],
    stride: u32,
    padding: Padding,
    activation: Activation,
    residual: bool,
}

/// A graph whose last node, after passes, is the op; `first` reads the input through a clamp so that a residual
/// can be read from a slot as well as from the input.
fn graph(p: &Problem) -> Graph {
    let mut g = GraphBuilder::new();
    let x = g.input("input", p.input).unwrap();
    let conv = |c: Conv2d| c.stride(p.stride).padding(p.padding).with_bias().with_activation(p.activation);
    let y = match p.op {
        OpKind::Convolution | OpKind::Depthwise | OpKind::Pointwise => {
            let c = match p.op {
                OpKind::Convolution => conv(Conv2d::new(p.kernel, p.channels)),
                OpKind::Depthwise => conv(Conv2d::depthwise(p.kernel, p.input.channels)),
                _ => Conv2d::new([1, 1], p.channels).with_bias().with_activation(p.activation),
            };
            if p.residual {
                let plain = c.with_activation(Activation::Identity);
                let y = g.conv2d("conv", x, plain.clone()).unwrap();
                let other = g.conv2d("other", x, plain).unwrap();
                let sum = g.add("sum", y, other).unwrap();
                g.activation("op", sum, p.activation).unwrap()
            } else {
                g.conv2d("op", x, c).unwrap()
            }
        }
        OpKind::BatchNorm => g.batch_norm("op", x, mobilenet_wgpu::graph::Norm::named("op", 1e-3)).unwrap(),
        OpKind::Activation => g.activation("op", x, Activation::Relu6).unwrap(),
        OpKind::Add => g.add("op", x, x).unwrap(),
        OpKind::Pool => g.global_average_pool("op", x).unwrap(),
        OpKind::Softmax => {
            let pool = g.global_average_pool("pool", x).unwrap();
            g.softmax("op", pool).unwrap()
        }
        OpKind::Separable | OpKind::InvertedResidual => unreachable!("fused blocks have a test of their own"),
    };
    g.finish(&[y]).unwrap()
}

/// Parameters of a node by rule, with the number of values that the canonical shape has.
fn params<'a>(graph: &'a Graph) -> impl Fn(&Param) -> mobilenet_wgpu::Result<Vec<f32>> + 'a {
    move |param| param.evaluate(&|name| Ok(tensor(graph, name)))
}

fn tensor(graph: &Graph, name: &str) -> Vec<f32> {
    let (node, part) = name.split_once('.').unwrap();
    let node = graph.nodes().iter().find(|n| n.name == node).unwrap();
    let input = graph.input_shape(node).unwrap();
    let seed = name.bytes().fold(7u64, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b)));
    let n = match (&node.op, part) {
        (mobilenet_wgpu::graph::Op::Conv2d(c), "filters") => c.filter_shape(input.channels).iter().product(),
        _ => node.shape.channels as usize,
    };
    let scale = if part == "filters" { (1.0 / (n as f32 / node.shape.channels as f32)).sqrt().max(0.05) } else { 0.5 };
    let offset = if part.ends_with("variance") { 1.0 } else { 0.0 };
    values(seed, n).into_iter().map(|v| v * scale + offset).collect()
}

/// Runs every variant that applies, and compares.
fn check(p: &Problem, precision: Precision, tolerance: f32) {
    let Some(engine) = gpu::engine() else { return };
    let graph = graph(p);
    let input = Tensor::from_nhwc(p.batch, p.input, values(1, (u64::from(p.batch) * p.input.elements()) as usize)).unwrap();
    let expected = reference::run(&graph, &params(&graph), &input).unwrap().remove(0);
    let passed = mobilenet_wgpu::graph::passes::run(&graph, &[] as &[&str]);
    let adds = |c: &Case| c.residual == p.residual || !matches!(p.op, OpKind::Convolution | OpKind::Depthwise | OpKind::Pointwise);
    let case = passed.nodes().iter().filter_map(|n| Case::of(&passed, n, p.batch)).find(|c| c.op == p.op && adds(c)).unwrap();
    let mut tried = 0;
    let owner = OWNERS.fetch_add(1, Ordering::Relaxed);
    for variant in engine.variants().iter().filter(|v| v.op == p.op && v.check(&case, precision, engine.profile()).is_ok()) {
        let prefer = vec![Preference { op: p.op, variant: variant.name.to_string() }];
        let options = SessionOptions { batch: p.batch, prefer, precision, ..Default::default() };
        let compiled = pollster::block_on(engine.compile_graph(&graph, owner, &params(&graph), &options));
        let mut session = compiled.unwrap_or_else(|e| panic!("{p:?} {}: {e}", variant.name));
        let outputs = session.run(Input::Tensor(&input)).unwrap();
        let found = &outputs.tensors[0].1;
        assert_eq!(found.shape, expected.shape);
        let scale = expected.data.iter().fold(1.0f32, |m, v| m.max(v.abs()));
        for (i, (a, b)) in found.data.iter().zip(&expected.data).enumerate() {
            assert!((a - b).abs() <= tolerance * scale, "{p:?}\n{} {precision}: value {i} is {a}, expected {b}", variant.name);
        }
        tried += 1;
    }
    assert!(tried > 0, "no variant applies to {p:?}");
}

fn activation() -> impl Strategy<Value = Activation> {
    prop_oneof![Just(Activation::Identity), Just(Activation::Relu), Just(Activation::Relu6)]
}

fn problem(op: OpKind) -> impl Strategy<Value = Problem> {
    let kernels = match op {
        OpKind::Convolution | OpKind::Depthwise => vec![[3, 3], [3, 3], [3, 3], [1, 1], [5, 5], [2, 3]],
        _ => vec![[1, 1]],
    };
    let spatial = matches!(op, OpKind::Convolution | OpKind::Depthwise);
    let strides = if spatial { 1..=3u32 } else { 1..=1 };
    let pads = if spatial { 0..=2u32 } else { 0..=0 };
    let cin = if op == OpKind::Convolution { 1..=13u32 } else { 1..=70 };
    let shape = (1..=3u32, 1..=17u32, 1..=19u32, cin, 1..=75u32);
    let conv = (proptest::sample::select(kernels), strides, pads.clone(), pads.clone(), pads.clone(), pads);
    (shape, conv, activation(), any::<bool>()).prop_filter_map("the filter must fit", move |(s, c, activation, residual)| {
        let (batch, height, width, cin, channels) = s;
        let (kernel, stride, top, left, bottom, right) = c;
        let padding = Padding { top, left, bottom, right };
        let fits = height + top + bottom >= kernel[0] && width + left + right >= kernel[1];
        // A 1x1 convolution at stride 1 is the pointwise op.
        let distinct = op != OpKind::Convolution || kernel != [1, 1] || stride > 1 || top + left + bottom + right > 0;
        (fits && distinct).then(|| Problem {
            op,
            batch,
            input: Shape::new(height, width, cin),
            channels,
            kernel,
            stride,
            padding,
            activation,
            residual,
        })
    })
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..Default::default() }
}

proptest! {
    #![proptest_config(config(24))]
    #[test]
    fn convolution(p in problem(OpKind::Convolution)) { check(&p, Precision::F32, 2e-5); }
    #[test]
    fn depthwise(p in problem(OpKind::Depthwise)) { check(&p, Precision::F32, 2e-5); }
    #[test]
    fn pointwise(p in problem(OpKind::Pointwise)) { check(&p, Precision::F32, 2e-5); }
}

proptest! {
    #![proptest_config(config(8))]
    #[test]
    fn batch_norm(p in problem(OpKind::BatchNorm)) { check(&p, Precision::F32, 2e-5); }
    #[test]
    fn activations(p in problem(OpKind::Activation)) { check(&p, Precision::F32, 1e-6); }
    #[test]
    fn add(p in problem(OpKind::Add)) { check(&p, Precision::F32, 1e-6); }
    #[test]
    fn pool(p in problem(OpKind::Pool)) { check(&p, Precision::F32, 2e-5); }
    #[test]
    fn softmax(p in problem(OpKind::Softmax)) { check(&p, Precision::F32, 1e-5); }
}

/// Half precision: relative to the largest value, 2^-10 a rounding.
#[test]
fn half_precision() {
    let Some(engine) = gpu::engine() else { return };
    if !engine.profile().f16 {
        println!("skipped: no f16 on this adapter");
        return;
    }
    for precision in [Precision::F16Storage, Precision::F16] {
        for op in [OpKind::Convolution, OpKind::Depthwise, OpKind::Pointwise, OpKind::Pool, OpKind::Softmax] {
            for (stride, cin) in [(1, 19), (2, 32)] {
                let cin = if op == OpKind::Convolution { 3 } else { cin };
                let kernel = if matches!(op, OpKind::Convolution | OpKind::Depthwise) { [3, 3] } else { [1, 1] };
                let padding = if kernel == [3, 3] { Padding::symmetric(1) } else { Padding::default() };
                let stride = if kernel == [3, 3] { stride } else { 1 };
                let input = Shape::new(9, 11, cin);
                let p =
                    Problem { op, batch: 2, input, channels: 24, kernel, stride, padding, activation: Activation::Relu6, residual: false };
                check(&p, precision, 2e-2);
            }
        }
    }
}

/// Both half precisions of a problem, where the device has them.
fn check_half(p: &Problem) {
    if gpu::engine().is_some_and(|engine| engine.profile().f16) {
        check(p, Precision::F16Storage, 2e-2);
        check(p, Precision::F16, 2e-2);
    }
}

proptest! {
    #![proptest_config(config(6))]
    #[test]
    fn convolution_in_half_precision(p in problem(OpKind::Convolution)) { check_half(&p); }
    #[test]
    fn depthwise_in_half_precision(p in problem(OpKind::Depthwise)) { check_half(&p); }
    #[test]
    fn pointwise_in_half_precision(p in problem(OpKind::Pointwise)) { check_half(&p); }
    #[test]
    fn pool_in_half_precision(p in problem(OpKind::Pool)) { check_half(&p); }
    #[test]
    fn softmax_in_half_precision(p in problem(OpKind::Softmax)) { check_half(&p); }
}

/// Blocks of V1 and V2 in one dispatch against the reference's separate ops.
fn check_block(p: &Problem, hidden: u32, precision: Precision) {
    let Problem { op: kind, batch, input, channels: out, stride, padding, .. } = *p;
    let Some(engine) = gpu::engine() else { return };
    let mut g = GraphBuilder::new();
    let x = g.input("input", input).unwrap();
    // The block's input comes from a slot, as in a network.
    let x = g.activation("clamped", x, Activation::Relu6).unwrap();
    let relu6 = |c: Conv2d| c.with_bias().with_activation(Activation::Relu6);
    let wide = match kind {
        OpKind::InvertedResidual => g.conv2d("expand", x, relu6(Conv2d::new([1, 1], hidden))).unwrap(),
        _ => x,
    };
    let channels = g.shape(wide).channels;
    let middle = g.conv2d("depthwise", wide, relu6(Conv2d::depthwise([3, 3], channels)).stride(stride).padding(padding)).unwrap();
    let last = Conv2d::new([1, 1], out).with_bias();
    let activation = if kind == OpKind::Separable { Activation::Relu6 } else { Activation::Identity };
    let mut y = g.conv2d("project", middle, last.with_activation(activation)).unwrap();
    if g.shape(y) == input && kind == OpKind::InvertedResidual {
        y = g.add("add", y, x).unwrap();
    }
    let graph = g.finish(&[y]).unwrap();
    let data = values(3, (u64::from(batch) * input.elements()) as usize);
    let input = Tensor::from_nhwc(batch, input, data).unwrap();
    let expected = reference::run(&graph, &params(&graph), &input).unwrap().remove(0);
    // A kernel may be for one stride, or for f32 alone.
    let other = if stride == 1 { "_s2" } else { "_s1" };
    let applies = |v: &&Variant| v.op == kind && !v.name.ends_with(other) && v.precisions.contains(&precision);
    for variant in engine.variants().iter().filter(applies) {
        let prefer = vec![Preference { op: kind, variant: variant.name.to_string() }];
        let options = SessionOptions { batch, prefer, precision, ..Default::default() };
        let owner = OWNERS.fetch_add(1, Ordering::Relaxed);
        let mut session = pollster::block_on(engine.compile_graph(&graph, owner, &params(&graph), &options)).unwrap();
        assert!(session.plan().steps.iter().any(|s| s.case.op == kind), "{} was not fused: {:?}", variant.name, session.plan());
        let found = session.run(Input::Tensor(&input)).unwrap();
        let tolerance = if precision == Precision::F32 { 2e-5 } else { 2e-2 };
        let scale = expected.data.iter().fold(1.0f32, |m, v| m.max(v.abs()));
        for (i, (a, b)) in found.tensors[0].1.data.iter().zip(&expected.data).enumerate() {
            assert!((a - b).abs() <= tolerance * scale, "{} {hidden} {out} s{stride}: value {i} is {a}, expected {b}", variant.name);
        }
    }
}

fn block(op: OpKind, batch: u32, input: Shape, channels: u32, stride: u32, padding: Padding) -> Problem {
    Problem { op, batch, input, channels, kernel: [3, 3], stride, padding, activation: Activation::Relu6, residual: true }
}

#[test]
fn fused_blocks() {
    let same = Padding { top: 0, left: 0, bottom: 1, right: 1 };
    let all = [Precision::F32, Precision::F16Storage, Precision::F16];
    for kind in [OpKind::InvertedResidual, OpKind::Separable] {
        for (batch, h, w, cin, hidden, out, stride, padding) in [
            (1, 14, 14, 24, 144, 24, 1, Padding::symmetric(1)),
            (2, 9, 13, 19, 38, 19, 1, Padding::symmetric(1)),
            (1, 12, 10, 16, 96, 24, 2, same),
            (1, 11, 7, 8, 20, 76, 2, Padding::symmetric(1)),
            (3, 5, 5, 70, 33, 150, 1, Padding::symmetric(1)),
            (1, 3, 2, 3, 5, 2, 2, Padding { top: 1, left: 0, bottom: 1, right: 1 }),
        ] {
            check_block(&block(kind, batch, Shape::new(h, w, cin), out, stride, padding), hidden, Precision::F32);
        }
        if gpu::engine().is_some_and(|e| e.profile().f16) {
            for precision in all {
                check_block(&block(kind, 1, Shape::new(14, 14, 24), 24, 1, Padding::symmetric(1)), 72, precision);
            }
        }
    }
}

/// A block is not fused where something else needs what is inside.
#[test]
fn outputs_inside_a_block_forbid_its_fusion() {
    let mut g = GraphBuilder::new();
    let x = g.input("input", Shape::new(8, 8, 8)).unwrap();
    let a = g.conv2d("expand", x, Conv2d::new([1, 1], 16).with_bias()).unwrap();
    let b = g.conv2d("depthwise", a, Conv2d::depthwise([3, 3], 16).padding(Padding::symmetric(1)).with_bias()).unwrap();
    let c = g.conv2d("project", b, Conv2d::new([1, 1], 8).with_bias()).unwrap();
    let graph = g.finish(&[c]).unwrap();
    let depthwise_left = |outputs: &[&str]| {
        let fused = passes::fuse_blocks(&graph.with_outputs(outputs).unwrap(), |_, _| true);
        fused.nodes().iter().filter(|n| matches!(&n.op, Op::Conv2d(c) if c.groups == Groups::Depthwise)).count()
    };
    assert_eq!(depthwise_left(&["project"]), 0);
    assert_eq!(depthwise_left(&["project", "depthwise"]), 1);
}
