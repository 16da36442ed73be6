//! The reference against the formulas themselves: plain loops in f64, one output value at a time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Session, run};
use crate::graph::{
    Activation, Conv2d, Graph, GraphBuilder, Groups, InvertedResidual, Node, Norm, Op, Padding, Param, SeparableBlock, Shape,
};
use crate::{Result, Tensor};
use proptest::prelude::*;

/// Values by rule in -1..1; variances are positive.
fn values(name: &str, length: usize) -> Vec<f32> {
    let seed = name.bytes().fold(17u32, |h, b| h.wrapping_mul(31).wrapping_add(u32::from(b)));
    let value = |i: usize| (seed.wrapping_add(i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0;
    (0..length).map(value).map(|v| if name.ends_with("variance") { v.abs() + 0.1 } else { v }).collect()
}

fn tensor(batch: u32, shape: Shape) -> Tensor {
    Tensor::from_nhwc(batch, shape, values("x", (u64::from(batch) * shape.elements()) as usize)).unwrap()
}

/// Arithmetic of `conv` at one output value; no epilogue.
fn sum(x: &Tensor, conv: &Conv2d, filters: &[f32], [n, y, column, channel]: [usize; 4]) -> f64 {
    let Shape { height, width, channels } = x.shape;
    let [rows, columns] = conv.kernel.map(|k| k as usize);
    let mut sum = 0.0;
    for (ky, kx) in (0..rows).flat_map(|ky| (0..columns).map(move |kx| (ky, kx))) {
        let iy = (y * conv.stride as usize + ky) as i64 - i64::from(conv.padding.top);
        let ix = (column * conv.stride as usize + kx) as i64 - i64::from(conv.padding.left);
        if !(0..i64::from(height)).contains(&iy) || !(0..i64::from(width)).contains(&ix) {
            continue;
        }
        let pixel = &x.picture(n)[(iy as usize * width as usize + ix as usize) * channels as usize..][..channels as usize];
        let out = conv.out_channels as usize;
        sum += match conv.groups {
            Groups::Depthwise => f64::from(pixel[channel]) * f64::from(filters[(ky * columns + kx) * out + channel]),
            Groups::Dense => {
                let weight = |k: usize| f64::from(filters[((ky * columns + kx) * channels as usize + k) * out + channel]);
                pixel.iter().enumerate().map(|(k, v)| f64::from(*v) * weight(k)).sum()
            }
        };
    }
    sum
}

/// A graph of one node that has a second input, built by hand since the builder leaves such nodes to passes.
fn fused(input: Shape, op: Op, residual: bool) -> Graph {
    let mut g = GraphBuilder::new();
    let x = g.input("input", input).unwrap();
    let mut graph = g.finish(&[x]).unwrap();
    let shape = match &op {
        Op::Conv2d(c) => c.output_size(input).map(|(h, w)| Shape::new(h, w, c.out_channels)),
        Op::SeparableBlock(b) => b.depthwise.output_size(input).map(|(h, w)| Shape::new(h, w, b.pointwise.out_channels)),
        Op::InvertedResidual(b) => b.depthwise.output_size(input).map(|(h, w)| Shape::new(h, w, b.project.out_channels)),
        _ => None,
    };
    let inputs = if residual { vec![x, x] } else { vec![x] };
    graph.nodes.push(Node { name: "node".into(), op, inputs, shape: shape.unwrap() });
    graph.outputs = vec![crate::graph::NodeId(1)];
    graph
}

/// The values of a convolution's parameters; all else is an error of the test.
fn conv_params(input: Shape, convs: Vec<Conv2d>) -> impl Fn(&Param) -> Result<Vec<f32>> {
    move |param| {
        let mut channels = input.channels;
        for conv in &convs {
            if *param == conv.filters {
                return Ok(values(&param.to_string(), conv.filter_shape(channels).iter().product()));
            }
            if Some(param) == conv.bias.as_ref() {
                return Ok(values(&param.to_string(), conv.out_channels as usize));
            }
            channels = conv.out_channels;
        }
        panic!("nobody needs {param}")
    }
}

fn named(mut conv: Conv2d, unit: &str) -> Conv2d {
    conv.filters = Param::tensor(format!("{unit}.filters"));
    conv.bias = conv.bias.map(|_| Param::tensor(format!("{unit}.bias")));
    conv
}

fn close(a: f32, b: f64) -> bool {
    (f64::from(a) - b).abs() <= 1e-4 * b.abs().max(1.0)
}

fn clamp(v: f64, activation: Activation) -> f64 {
    match activation {
        Activation::Identity => v,
        Activation::Relu => v.max(0.0),
        Activation::Relu6 => v.clamp(0.0, 6.0),
    }
}

prop_compose! {
    fn any_conv()(
        kernel in (1u32..=4, 1u32..=4), stride in 1u32..=3, pads in [0u32..=2, 0..=2, 0..=2, 0..=2], channels in 1u32..=19,
        depthwise: bool, bias: bool, activation in prop::sample::select(vec![Activation::Identity, Activation::Relu, Activation::Relu6]),
    ) -> Conv2d {
        let kernel = [kernel.0, kernel.1];
        let [top, left, bottom, right] = pads;
        let conv = if depthwise { Conv2d::depthwise(kernel, channels) } else { Conv2d::new(kernel, channels) };
        let conv = conv.stride(stride).padding(Padding { top, left, bottom, right }).with_activation(activation);
        named(if bias { conv.with_bias() } else { conv }, "node")
    }
}

proptest! {
    #[test]
    fn convolutions_are_their_formula(conv in any_conv(), size in (1u32..=9, 1u32..=9), inputs in 1u32..=17, batch in 1u32..=3) {
        let channels = if conv.groups == Groups::Depthwise { conv.out_channels } else { inputs };
        let x = tensor(batch, Shape::new(size.0, size.1, channels));
        prop_assume!(conv.output_size(x.shape).is_some());
        let params = conv_params(x.shape, vec![conv.clone()]);
        let out = &run(&fused(x.shape, Op::Conv2d(conv.clone()), false), &params, &x).unwrap()[0];
        let filters = params(&conv.filters).unwrap();
        let bias = conv.bias.as_ref().map(|b| params(b).unwrap());
        let [h, w, c] = [out.shape.height, out.shape.width, out.shape.channels].map(|n| n as usize);
        for (i, value) in out.data.iter().enumerate() {
            let place = [i / (h * w * c), i / (w * c) % h, i / c % w, i % c];
            let expected = sum(&x, &conv, &filters, place) + bias.as_ref().map_or(0.0, |b| f64::from(b[i % c]));
            prop_assert!(close(*value, clamp(expected, conv.activation)), "{value} for {expected} at {place:?}");
        }
    }

    /// More pixels than one task of the blocked matrix product holds, with tails in every direction.
    #[test]
    fn pointwise_is_its_formula(size in (1u32..=13, 1u32..=13), inputs in 1u32..=40, outputs in 1u32..=40, batch in 1u32..=2) {
        let conv = named(Conv2d::new([1, 1], outputs).with_bias(), "node");
        let x = tensor(batch, Shape::new(size.0, size.1, inputs));
        let params = conv_params(x.shape, vec![conv.clone()]);
        let out = &run(&fused(x.shape, Op::Conv2d(conv.clone()), false), &params, &x).unwrap()[0];
        let (filters, bias) = (params(&conv.filters).unwrap(), params(conv.bias.as_ref().unwrap()).unwrap());
        let pixels = (size.0 * size.1 * outputs) as usize;
        for (i, value) in out.data.iter().enumerate() {
            let place = [i / pixels, i / (size.1 * outputs) as usize % size.0 as usize, i / outputs as usize % size.1 as usize, i % outputs as usize];
            let expected = sum(&x, &conv, &filters, place) + f64::from(bias[place[3]]);
            prop_assert!(close(*value, expected));
        }
    }
}

#[test]
fn the_residual_is_added_before_the_activation() {
    let shape = Shape::new(5, 3, 6);
    let x = tensor(2, shape);
    for conv in [Conv2d::new([1, 1], 6), Conv2d::new([3, 3], 6).padding(Padding::symmetric(1)), Conv2d::depthwise([1, 1], 6)] {
        let plain = named(conv, "node");
        let with = Conv2d { residual: true, activation: Activation::Relu, ..plain.clone() };
        let params = conv_params(shape, vec![plain.clone()]);
        let without = &run(&fused(shape, Op::Conv2d(plain), false), &params, &x).unwrap()[0];
        let out = &run(&fused(shape, Op::Conv2d(with), true), &params, &x).unwrap()[0];
        let expected: Vec<f32> = without.data.iter().zip(&x.data).map(|(a, b)| (a + b).max(0.0)).collect();
        assert_eq!(out.data, expected);
    }
}

#[test]
fn blocks_are_their_convolutions() {
    let shape = Shape::new(7, 6, 5);
    let x = tensor(2, shape);
    let expand = named(Conv2d::new([1, 1], 11).with_bias().with_activation(Activation::Relu6), "expand");
    let depthwise = |channels| named(Conv2d::depthwise([3, 3], channels).padding(Padding::symmetric(1)).with_bias(), "depthwise");
    let project = named(Conv2d::new([1, 1], 5).with_bias(), "project");
    let mut x_next = x.clone();
    for conv in [&expand, &depthwise(11), &project] {
        let params = conv_params(x_next.shape, vec![conv.clone()]);
        x_next = run(&fused(x_next.shape, Op::Conv2d(conv.clone()), false), &params, &x_next).unwrap().remove(0);
    }
    let params = conv_params(shape, vec![expand.clone(), depthwise(11), project.clone()]);
    let residual = Conv2d { residual: true, ..project.clone() };
    let block = InvertedResidual { expand, depthwise: depthwise(11), project: residual };
    let out = run(&fused(shape, Op::InvertedResidual(Box::new(block)), false), &params, &x).unwrap().remove(0);
    let expected: Vec<f32> = x_next.data.iter().zip(&x.data).map(|(a, b)| a + b).collect();
    assert_eq!(out.data, expected);

    let pointwise = named(Conv2d::new([1, 1], 9), "pointwise");
    let params = conv_params(shape, vec![depthwise(5), pointwise.clone()]);
    let middle = run(&fused(shape, Op::Conv2d(depthwise(5)), false), &params, &x).unwrap().remove(0);
    let expected = run(&fused(middle.shape, Op::Conv2d(pointwise.clone()), false), &params, &middle).unwrap();
    let block = SeparableBlock { depthwise: depthwise(5), pointwise };
    assert_eq!(run(&fused(shape, Op::SeparableBlock(Box::new(block)), false), &params, &x).unwrap(), expected);
}

/// Everything that is not a convolution, in one small network, against hand-made sums.
#[test]
fn other_ops_are_their_formulas() {
    let mut g = GraphBuilder::new();
    let x = g.input("input", Shape::new(2, 2, 3)).unwrap();
    let norm = g.batch_norm("norm", x, Norm::named("norm", 1e-3)).unwrap();
    let twice = g.add("twice", norm, norm).unwrap();
    let relu = g.activation("relu", twice, Activation::Relu).unwrap();
    let pool = g.global_average_pool("pool", relu).unwrap();
    let logits = g.linear("logits", pool, 4, true).unwrap();
    let probabilities = g.softmax("probabilities", logits).unwrap();
    let graph = g.finish(&[x, norm, relu, pool, logits, probabilities]).unwrap();
    let length = |name: &str| {
        if name.starts_with("norm") {
            3
        } else if name == "logits.bias" {
            4
        } else {
            12
        }
    };
    let get = |name: &str| Ok(values(name, length(name)));
    let input = tensor(1, Shape::new(2, 2, 3));
    let out = Session::new(&graph, &|p| p.evaluate(&get)).unwrap().run(&input).unwrap();
    assert_eq!(out[0], input);
    let [gamma, beta, mean, variance] = ["gamma", "beta", "mean", "variance"].map(|part| values(&format!("norm.norm.{part}"), 3));
    for (i, v) in input.data.iter().enumerate() {
        let c = i % 3;
        let expected = f64::from(beta[c]) + f64::from(gamma[c]) * f64::from(v - mean[c]) / (f64::from(variance[c]) + 1e-3).sqrt();
        assert!(close(out[1].data[i], expected));
        assert!(close(out[2].data[i], (2.0 * expected).max(0.0)));
    }
    for c in 0..3 {
        let sum: f32 = out[2].data.iter().skip(c).step_by(3).sum();
        assert!(close(out[3].data[c], f64::from(sum / 4.0)));
    }
    let (weights, bias) = (values("logits.weights", 12), values("logits.bias", 4));
    for n in 0..4 {
        let sum: f32 = (0..3).map(|c| out[3].data[c] * weights[c * 4 + n]).sum();
        assert!(close(out[4].data[n], f64::from(sum + bias[n])));
    }
    let sum: f32 = out[5].data.iter().sum();
    assert!((sum - 1.0).abs() < 1e-6);
}

#[test]
fn wrong_inputs_and_parameters_are_errors() {
    let shape = Shape::new(4, 4, 3);
    let graph = fused(shape, Op::Conv2d(named(Conv2d::new([1, 1], 2), "node")), false);
    let short = run(&graph, &|_| Ok(vec![0.0; 5]), &tensor(1, shape)).map_err(|e| e.to_string());
    assert_eq!(short, Err("tensor `node.filters`: node `node` needs 6 values, found 5".into()));
    let session = Session::new(&graph, &|_| Ok(vec![0.0; 6])).unwrap();
    assert!(session.run(&tensor(1, Shape::new(4, 5, 3))).is_err());
    assert!(session.run(&Tensor { batch: 2, ..tensor(1, shape) }).is_err());
    assert_eq!(session.run(&Tensor { batch: 0, shape, data: Vec::new() }).unwrap()[0].data, Vec::<f32>::new());
}
