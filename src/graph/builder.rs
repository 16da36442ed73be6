//! Building a graph, shapes checked at every node.

use super::{Activation, BatchNorm, Conv2d, Graph, Groups, Linear, Node, NodeId, Norm, Op, Param, Shape};
use crate::{Error, Result};

/// Builds a [`Graph`] node by node. Parameters left unnamed are called after their node: `NODE.filters`,
/// `NODE.bias`, `NODE.weights`, `NODE.gamma` and so on.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    graph: Graph,
}

fn error<T>(node: &str, message: impl Into<String>) -> Result<T> {
    Err(Error::Graph { node: node.to_string(), message: message.into() })
}

fn fill(param: &mut Param, node: &str, part: &str) {
    if let Param::Tensor(name) = param
        && name.is_empty()
    {
        *name = format!("{node}.{part}");
    }
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }
    /// The shape of a node that was added.
    pub fn shape(&self, id: NodeId) -> Shape {
        self.graph.nodes[id.0].shape
    }
    fn push(&mut self, name: &str, op: Op, inputs: &[NodeId], shape: Shape) -> Result<NodeId> {
        if name.is_empty() || self.graph.nodes.iter().any(|n| n.name == name) {
            return error(name, "names must be unique and not empty");
        }
        if let Some(bad) = inputs.iter().find(|i| i.0 >= self.graph.nodes.len()) {
            return error(name, format!("input {} is not a node of this graph", bad.0));
        }
        if shape.elements() == 0 {
            return error(name, format!("its shape {shape} is empty"));
        }
        self.graph.nodes.push(Node { name: name.to_string(), op, inputs: inputs.to_vec(), shape });
        Ok(NodeId(self.graph.nodes.len() - 1))
    }
    /// The network's input, `[H, W, C]`; a graph has one.
    pub fn input(&mut self, name: &str, shape: Shape) -> Result<NodeId> {
        if self.graph.input().is_some() {
            return error(name, "a graph has one input, and this one has it already");
        }
        self.push(name, Op::Input, &[], shape)
    }
    /// A convolution.
    pub fn conv2d(&mut self, name: &str, x: NodeId, mut conv: Conv2d) -> Result<NodeId> {
        let input = self.checked(name, x)?;
        if conv.stride == 0 || conv.kernel.contains(&0) || conv.out_channels == 0 {
            return error(name, "kernel, stride and channels must be at least 1");
        }
        if conv.residual {
            return error(name, "residual inputs are fused by a pass; build `add` instead");
        }
        if conv.groups == Groups::Depthwise && conv.out_channels != input.channels {
            return error(name, format!("a depthwise convolution keeps the channels: {} in, {} out", input.channels, conv.out_channels));
        }
        let Some((height, width)) = conv.output_size(input) else {
            return error(name, format!("a {}x{} filter does not fit into {input} with its padding", conv.kernel[0], conv.kernel[1]));
        };
        fill(&mut conv.filters, name, "filters");
        if let Some(bias) = &mut conv.bias {
            fill(bias, name, "bias");
        }
        let shape = Shape::new(height, width, conv.out_channels);
        self.push(name, Op::Conv2d(conv), &[x], shape)
    }
    /// Batch normalisation with the vectors of `norm`.
    pub fn batch_norm(&mut self, name: &str, x: NodeId, norm: Norm) -> Result<NodeId> {
        let shape = self.checked(name, x)?;
        self.push(name, Op::BatchNorm(BatchNorm { norm }), &[x], shape)
    }
    /// An activation.
    pub fn activation(&mut self, name: &str, x: NodeId, activation: Activation) -> Result<NodeId> {
        let shape = self.checked(name, x)?;
        self.push(name, Op::Activation(activation), &[x], shape)
    }
    /// Sum of two nodes of the same shape.
    pub fn add(&mut self, name: &str, a: NodeId, b: NodeId) -> Result<NodeId> {
        let (shape, other) = (self.checked(name, a)?, self.checked(name, b)?);
        if shape != other {
            return error(name, format!("cannot add {shape} and {other}"));
        }
        self.push(name, Op::Add, &[a, b], shape)
    }
    /// Mean over all pixels: `[1, 1, C]`.
    pub fn global_average_pool(&mut self, name: &str, x: NodeId) -> Result<NodeId> {
        let input = self.checked(name, x)?;
        self.push(name, Op::GlobalAveragePool, &[x], Shape::new(1, 1, input.channels))
    }
    /// A fully connected layer on a `[1, 1, C]` node, with a bias if `bias`.
    pub fn linear(&mut self, name: &str, x: NodeId, out_channels: u32, bias: bool) -> Result<NodeId> {
        let input = self.checked(name, x)?;
        if input.pixels() != 1 {
            return error(name, format!("a linear layer reads one pixel, not {input}; pool first"));
        }
        let linear = Linear {
            out_channels,
            weights: Param::tensor(format!("{name}.weights")),
            bias: bias.then(|| Param::tensor(format!("{name}.bias"))),
        };
        self.push(name, Op::Linear(linear), &[x], Shape::new(1, 1, out_channels))
    }
    /// Softmax over the channels of a `[1, 1, C]` node.
    pub fn softmax(&mut self, name: &str, x: NodeId) -> Result<NodeId> {
        let input = self.checked(name, x)?;
        if input.pixels() != 1 {
            return error(name, format!("softmax reads one pixel, not {input}"));
        }
        self.push(name, Op::Softmax, &[x], input)
    }
    fn checked(&self, name: &str, x: NodeId) -> Result<Shape> {
        match self.graph.nodes.get(x.0) {
            Some(node) => Ok(node.shape),
            None => error(name, format!("input {} is not a node of this graph", x.0)),
        }
    }
    /// The graph with these outputs; nodes that none of them needs stay (see [`Graph::with_outputs`]).
    pub fn finish(mut self, outputs: &[NodeId]) -> Result<Graph> {
        if self.graph.input().is_none() {
            return error("input", "the graph has no input");
        }
        if outputs.is_empty() || outputs.iter().any(|o| o.0 >= self.graph.nodes.len()) {
            return error("output", "a graph needs outputs, and they must be nodes of it");
        }
        self.graph.outputs = outputs.to_vec();
        Ok(self.graph)
    }
}
