//! Every subset of the passes leaves what a graph computes as it was, by the reference: on random small graphs and on
//! small MobileNets, with negative gammas, variances of exactly 0, and outputs asked for in the middle of what would
//! be fused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mobilenet_wgpu::graph::{Activation, Conv2d, Graph, GraphBuilder, Norm, Op, Padding, Shape, passes};
use mobilenet_wgpu::model::{MobileNetConfig, PaddingRule};
use mobilenet_wgpu::{Result, Tensor, reference};
use proptest::prelude::*;
use std::collections::HashMap;

const ACTIVATIONS: [Activation; 3] = [Activation::Identity, Activation::Relu, Activation::Relu6];
const EPSILON: f32 = 1e-3;

/// A value in -1..1 by name and index.
fn noise(name: &str, index: usize) -> f32 {
    let hash =
        name.bytes().chain(index.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    ((hash ^ (hash >> 29)) >> 20 & 0xff_ffff) as f32 / 0x80_0000 as f32 - 1.0
}

/// Every fourth variance is exactly 0.
fn variance(name: &str, channel: usize) -> f32 {
    if channel.is_multiple_of(4) { 0.0 } else { noise(name, channel).abs() + 0.1 }
}

/// The tensors of a graph by rule: filters that keep the size of activations, gammas of both signs that undo their
/// variance, so that dead channels (variance 0) do not drown the others.
struct Tensors(HashMap<String, Vec<usize>>);

impl Tensors {
    fn of(graph: &Graph) -> Self {
        let shapes = |node: &mobilenet_wgpu::graph::Node| -> Vec<(String, Vec<usize>)> {
            let Some(input) = graph.input_shape(node) else { return Vec::new() };
            node.op.param_shapes(input).into_iter().map(|(p, shape)| (p.to_string(), shape)).collect()
        };
        Self(graph.nodes().iter().flat_map(shapes).collect())
    }
    fn values(&self, name: &str) -> Result<Vec<f32>> {
        let shape = &self.0[name];
        let length: usize = shape.iter().product();
        let fan_in = length / shape.last().unwrap();
        let value = |i: usize| match name.rsplit('.').next().unwrap() {
            "filters" | "weights" => noise(name, i) * (3.0 / fan_in as f32).sqrt(),
            "variance" => variance(name, i),
            "gamma" => {
                let sign = if noise(name, i) < 0.0 { -1.0 } else { 1.0 };
                sign * (0.5 + noise(name, i).abs()) * (variance(&name.replace("gamma", "variance"), i) + EPSILON).sqrt()
            }
            _ => noise(name, i) * 0.5,
        };
        Ok((0..length).map(value).collect())
    }
}

fn run(graph: &Graph, tensors: &Tensors, input: &Tensor) -> Vec<Tensor> {
    reference::run(graph, &|param| param.evaluate(&|name| tensors.values(name)), input).unwrap()
}

fn names(graph: &Graph) -> Vec<String> {
    graph.outputs().iter().map(|id| graph.node(*id).name.clone()).collect()
}

fn assert_same(found: &[Tensor], expected: &[Tensor], what: &str) {
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!((found.batch, found.shape), (expected.batch, expected.shape), "output {i} {what}");
        let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        let distance = norm(&mut found.data.iter().zip(&expected.data).map(|(a, b)| a - b));
        let length = norm(&mut expected.data.iter().copied());
        assert!(distance <= 1e-4 * length + 1e-6, "output {i} {what}: off by {distance} of {length}");
    }
}

/// Runs `graph` as it is, after every subset of the passes, and with blocks fused.
fn check(graph: &Graph, batch: u32) {
    let tensors = Tensors::of(graph);
    let (_, shape) = graph.input().unwrap();
    let length = (u64::from(batch) * shape.elements()) as usize;
    let input = Tensor::from_nhwc(batch, shape, (0..length).map(|i| noise("input", i)).collect()).unwrap();
    let expected = run(graph, &tensors, &input);
    assert!(expected.iter().all(|t| t.data.iter().all(|v| v.is_finite())), "the test's own values overflow");
    let compare = |rewritten: &Graph, what: &str| {
        assert_eq!(names(rewritten), names(graph), "{what}");
        assert_same(&run(rewritten, &tensors, &input), &expected, what);
    };
    for subset in 0..1u32 << passes::ALL.len() {
        let off: Vec<&str> = passes::ALL.iter().enumerate().filter(|(i, _)| subset >> i & 1 == 1).map(|(_, p)| p.name).collect();
        compare(&passes::run(graph, &off), &format!("without {off:?}"));
    }
    let passed = passes::run(graph, &[] as &[&str]);
    compare(&passes::fuse_blocks(&passed, |_, _| true), "with all blocks fused");
    let mut turn = 0;
    let every_other = passes::fuse_blocks(&passed, |_, _| {
        turn += 1;
        turn % 2 == 0
    });
    compare(&every_other, "with some blocks fused");
}

/// One step of a random graph: which op, which earlier nodes it reads, how many channels.
#[derive(Clone, Debug)]
struct Step {
    op: usize,
    reads: usize,
    other: usize,
    channels: u32,
    flag: bool,
}

fn step() -> impl Strategy<Value = Step> {
    (0usize..11, 0usize..4, any::<usize>(), 1u32..=9, any::<bool>()).prop_map(|(op, reads, other, channels, flag)| Step {
        op,
        // Half the steps read the node before them, so that chains come about.
        reads: reads.saturating_sub(1),
        other,
        channels,
        flag,
    })
}

/// A graph of these steps; a step that its input does not allow becomes an activation.
fn random_graph(size: [u32; 2], steps: &[Step], outputs: &[usize]) -> Graph {
    let mut g = GraphBuilder::new();
    let mut ids = vec![g.input("input", Shape::new(size[0], size[1], 3)).unwrap()];
    for (i, step) in steps.iter().enumerate() {
        let x = ids[ids.len() - 1 - step.reads.min(ids.len() - 1)];
        let (name, shape) = (format!("n{i}"), g.shape(x));
        let activation = ACTIVATIONS[step.other % 3];
        let finished = |conv: Conv2d| {
            let conv = if step.flag { conv.with_bias() } else { conv };
            conv.with_activation(if step.channels > 6 { activation } else { Activation::Identity })
        };
        let same: Vec<_> = ids.iter().copied().filter(|id| g.shape(*id) == shape).collect();
        let stride = 1 + u32::from(step.flag);
        let id = match step.op {
            0 | 1 => g.conv2d(&name, x, finished(Conv2d::new([1, 1], step.channels))),
            2 => g.conv2d(&name, x, finished(Conv2d::new([3, 3], step.channels).stride(stride).padding(Padding::symmetric(1)))),
            3 | 4 => {
                let padding = Padding::same(shape.height, shape.width, [3, 3], stride);
                g.conv2d(&name, x, finished(Conv2d::depthwise([3, 3], shape.channels).stride(stride).padding(padding)))
            }
            5 | 6 => g.batch_norm(&name, x, Norm::named(&name, EPSILON)),
            7 | 8 => g.add(&name, x, same[step.other % same.len()]),
            9 if step.channels == 1 => g.global_average_pool(&name, x),
            9 if shape.pixels() == 1 && step.flag => g.linear(&name, x, step.channels, step.other % 2 == 0),
            9 if shape.pixels() == 1 => g.softmax(&name, x),
            _ => g.activation(&name, x, activation),
        };
        ids.push(id.unwrap());
    }
    let last = ids[ids.len() - 1];
    let outputs: Vec<_> = outputs.iter().map(|i| ids[i % ids.len()]).chain([last]).collect();
    g.finish(&outputs).unwrap()
}

fn small_mobilenet() -> impl Strategy<Value = MobileNetConfig> {
    let size = (1u32..=20, 1u32..=20);
    let norms = prop_oneof![Just((Some(EPSILON), false)), Just((Some(EPSILON), true)), Just((None, true)), Just((None, false))];
    (any::<bool>(), 0.05f32..0.2, size, norms, any::<bool>(), 0usize..3, prop::option::of(1u32..12), any::<bool>()).prop_map(
        |(v1, width, size, (batch_norm, conv_bias), same, activation, classes, slow)| {
            let config = if v1 { MobileNetConfig::v1(width) } else { MobileNetConfig::v2(width) };
            let strides = vec![1; config.stages.len() + 1];
            let config = if slow && size.0 * size.1 < 100 { config.with_strides(&strides).unwrap() } else { config };
            let padding = if same { PaddingRule::Same } else { PaddingRule::Symmetric };
            let config = MobileNetConfig {
                padding,
                activation: ACTIVATIONS[activation],
                batch_norm,
                conv_bias,
                last: config.last.map(|_| 24),
                ..config
            };
            config.with_input([size.0, size.1]).with_classes(classes)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn random_graphs_keep_their_values(
        size in (1u32..=6, 1u32..=6), batch in 1u32..=2,
        steps in prop::collection::vec(step(), 1..14), outputs in prop::collection::vec(0usize..15, 0..3),
    ) {
        check(&random_graph([size.0, size.1], &steps, &outputs), batch);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn mobilenets_keep_their_values(config in small_mobilenet(), asked in prop::collection::vec(any::<prop::sample::Index>(), 0..4)) {
        let graph = config.graph().unwrap();
        check(&graph, 1);
        // Outputs from anywhere, which forbid fusing there.
        let all: Vec<&str> = graph.nodes().iter().map(|n| n.name.as_str()).collect();
        let asked: Vec<&str> = asked.iter().map(|i| all[i.index(all.len())]).collect();
        if !asked.is_empty() {
            check(&graph.with_outputs(&asked).unwrap(), 2);
        }
    }
}

/// Every node of a block at once, so that nothing of it can be fused.
#[test]
fn all_values_of_a_block_can_be_asked_for() {
    let config = MobileNetConfig { batch_norm: Some(EPSILON), ..MobileNetConfig::v2(0.1) };
    let graph = config.with_input([9, 8]).graph().unwrap();
    let asked: Vec<&str> = graph.nodes().iter().map(|n| n.name.as_str()).filter(|n| n.starts_with("block3.")).collect();
    assert_eq!(asked.len(), 9, "{asked:?}");
    check(&graph.with_outputs(&asked).unwrap(), 1);
}

#[test]
fn nothing_but_convolutions_is_left_of_the_body() {
    let graph = passes::run(&MobileNetConfig::v2(1.0).graph().unwrap(), &[] as &[&str]);
    let others: Vec<&str> = graph.nodes().iter().filter(|n| !matches!(n.op, Op::Conv2d(_))).map(|n| n.name.as_str()).collect();
    assert_eq!(others, ["input", "pool", "logits"]);
    assert_eq!(graph.nodes().len(), 3 + 52);
    let residuals = graph.nodes().iter().filter(|n| matches!(&n.op, Op::Conv2d(c) if c.residual));
    assert!(residuals.clone().all(|n| n.name.ends_with(".add") && n.inputs.len() == 2));
    assert_eq!(residuals.count(), 10);
}

#[test]
fn whole_networks_become_blocks() {
    let fused = |config: MobileNetConfig, wanted: &[&str]| {
        let graph = passes::run(&config.graph().unwrap(), &[] as &[&str]);
        let graph = passes::fuse_blocks(&graph, |_, candidate| wanted.contains(&candidate.fused.op.name()));
        graph.nodes().iter().map(|n| n.op.name()).collect::<Vec<_>>()
    };
    // V1 also offers inverted residuals: a block's pointwise with the whole block after it.
    let v1 = [&["input", "convolution"][..], &["separable"; 13], &["pool", "linear"]].concat();
    assert_eq!(fused(MobileNetConfig::v1(1.0), &["separable"]), v1);
    let v2 = [&["input", "convolution", "separable"][..], &["inverted_residual"; 16], &["pointwise", "pool", "linear"]].concat();
    assert_eq!(fused(MobileNetConfig::v2(1.0), &["separable", "inverted_residual"]), v2);
}

/// A fused block adds its own input; one that adds another node must stay as it is.
#[test]
fn a_residual_from_elsewhere_is_not_taken_for_the_blocks_input() {
    let mut g = GraphBuilder::new();
    let input = g.input("input", Shape::new(5, 4, 3)).unwrap();
    let x = g.conv2d("x", input, Conv2d::new([1, 1], 3)).unwrap();
    let expand = g.conv2d("expand", x, Conv2d::new([1, 1], 8)).unwrap();
    let depthwise = g.conv2d("depthwise", expand, Conv2d::depthwise([3, 3], 8).padding(Padding::symmetric(1))).unwrap();
    let project = g.conv2d("project", depthwise, Conv2d::new([1, 1], 3)).unwrap();
    let add = g.add("add", project, input).unwrap();
    let graph = g.finish(&[add]).unwrap();
    check(&graph, 1);
    let fused = passes::fuse_blocks(&passes::run(&graph, &[] as &[&str]), |_, _| true);
    assert!(fused.nodes().iter().all(|n| matches!(n.op, Op::Input | Op::Conv2d(_))), "{fused}");
}
