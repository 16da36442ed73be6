//! A network of the papers with weights by rule: for measuring widths of which no checkpoint is at hand.

use crate::failure::Outcome;
use mobilenet_wgpu::Model;
use mobilenet_wgpu::graph::{Op, Param};
use mobilenet_wgpu::model::MobileNetConfig;
use mobilenet_wgpu::weights::Weights;

/// The network without batch norm, as kernels see it anyway once it is folded.
pub fn model(config: MobileNetConfig) -> Outcome<Model> {
    let graph = config.folded().graph()?;
    let mut tensors = Vec::new();
    let mut add = |param: &Param, shape: Vec<usize>| {
        let values = values(shape.iter().product(), shape.last().copied().unwrap_or(1), tensors.len());
        tensors.extend(param.tensors().first().map(|name| (name.to_string(), shape, values)));
    };
    for node in graph.nodes() {
        let Some(input) = graph.input_shape(node) else { continue };
        let channels = node.shape.channels as usize;
        let (weights, bias, shape) = match &node.op {
            Op::Conv2d(conv) => (&conv.filters, &conv.bias, conv.filter_shape(input.channels)),
            Op::Linear(linear) => (&linear.weights, &linear.bias, vec![input.channels as usize, channels]),
            _ => continue,
        };
        add(weights, shape);
        if let Some(bias) = bias {
            add(bias, vec![channels]);
        }
    }
    Ok(Model::from_graph(graph, Weights::from_tensors(tensors)?)?)
}

/// `n` values around 0, small enough that sums over the inputs of a channel stay near 1.
fn values(n: usize, channels: usize, seed: usize) -> Vec<f32> {
    let scale = 4.0 / (n as f32 / channels as f32).sqrt();
    (0..n).map(|i| (((i * 7919 + seed * 104_729) % 1009) as f32 / 1009.0 - 0.5) * scale).collect()
}
