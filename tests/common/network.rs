//! Networks with weights by rule, for tests to which the values do not matter.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mobilenet_wgpu::Tensor;
use mobilenet_wgpu::graph::{Graph, Op, Param, Shape};

/// Evaluates the parameters of a graph that a `MobileNetConfig` gave, by rule.
pub fn evaluate(graph: &Graph) -> impl Fn(&Param) -> mobilenet_wgpu::Result<Vec<f32>> + '_ {
    move |param| param.evaluate(&|name| Ok(values(graph, name)))
}

fn values(graph: &Graph, name: &str) -> Vec<f32> {
    let (unit, part) = name.rsplit_once('.').unwrap();
    let unit = unit.trim_end_matches(".norm");
    let find = |name: &str| graph.nodes().iter().find(|n| n.name == name);
    let node = find(&format!("{unit}.conv")).or(find(unit)).unwrap_or_else(|| panic!("no node for {name}"));
    let input = graph.input_shape(node).unwrap();
    let n: usize = match (&node.op, part) {
        (Op::Conv2d(c), "filters") => c.filter_shape(input.channels).iter().product(),
        (Op::Linear(_), "weights") => (input.channels * node.shape.channels) as usize,
        _ => node.shape.channels as usize,
    };
    let scale = 2.0 / (n as f32 / node.shape.channels as f32).sqrt();
    let wave = |i: usize| ((i * 7919 + name.len() * 104_729) % 1009) as f32 / 1009.0 - 0.5;
    (0..n).map(|i| if part == "variance" { 1.0 } else { wave(i) * scale }).collect()
}

/// Pictures by rule.
pub fn input(batch: u32, shape: Shape) -> Tensor {
    let n = (u64::from(batch) * shape.elements()) as usize;
    Tensor::from_nhwc(batch, shape, (0..n).map(|i| (i * 31 % 255) as f32 / 127.0 - 1.0).collect()).unwrap()
}

/// Holds values against others: at most `tolerance` of the largest.
pub fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
    assert!(scale > 1e-6, "nothing but zeros is expected");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * scale, "value {i} is {a}, expected {b}");
    }
}
