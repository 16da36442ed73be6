//! The network as a value: nodes with shapes and parameters as expressions over tensor names, no bytes.
//!
//! A [`Graph`] is a list of nodes in topological order: a node's inputs stand before it. It is made by a
//! [`GraphBuilder`], which checks shapes, and rewritten by [`passes`]. Shapes are those of one picture,
//! `[H, W, C]`; the batch is the session's.

mod builder;
mod op;
mod param;
pub mod passes;

pub use builder::GraphBuilder;
pub use op::{Activation, BatchNorm, Conv2d, Groups, InvertedResidual, Linear, Op, Padding, SeparableBlock};
pub use param::{Norm, Param, Tensors};

use crate::{Error, Result};
use std::fmt;

/// Shape of one picture's activations: `[H, W, C]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Shape {
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
    /// Channels, without padding.
    pub channels: u32,
}

impl Shape {
    /// `[height, width, channels]`.
    pub const fn new(height: u32, width: u32, channels: u32) -> Self {
        Self { height, width, channels }
    }
    /// Number of values, without padding channels.
    pub const fn elements(&self) -> u64 {
        self.pixels().saturating_mul(self.channels as u64)
    }
    /// Number of values with padding channels, as a buffer has them.
    pub const fn padded_elements(&self) -> u64 {
        self.pixels().saturating_mul(self.c4() as u64 * 4)
    }
    /// `vec4`s of channels: one, or an even number, so that eight channels can be loaded and stored at a time.
    pub const fn c4(&self) -> u32 {
        quads(self.channels)
    }
    /// Number of pixels, `H * W`.
    pub const fn pixels(&self) -> u64 {
        self.height as u64 * self.width as u64
    }
}

/// `vec4`s that a number of channels takes in a buffer (see [`Shape::c4`]).
pub(crate) const fn quads(channels: u32) -> u32 {
    if channels <= 4 { channels.div_ceil(4) } else { 2 * channels.div_ceil(8) }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.height, self.width, self.channels)
    }
}

/// Index of a node in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct NodeId(pub usize);

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The papers' name, such as `block3.expand`; unique in the graph.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// The nodes it reads.
    pub inputs: Vec<NodeId>,
    /// What it gives, for one picture.
    pub shape: Shape,
}

/// A network: nodes in topological order and the outputs that are asked for.
///
/// ```
/// use mobilenet_wgpu::graph::{Activation, Conv2d, GraphBuilder, Shape};
/// let mut g = GraphBuilder::new();
/// let x = g.input("input", Shape::new(8, 8, 3))?;
/// let x = g.conv2d("conv", x, Conv2d::new([3, 3], 16).with_bias())?;
/// let x = g.activation("relu", x, Activation::Relu)?;
/// let x = g.global_average_pool("pool", x)?;
/// let graph = g.finish(&[x])?;
/// println!("{graph}");
/// # Ok::<(), mobilenet_wgpu::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Graph {
    pub(crate) nodes: Vec<Node>,
    pub(crate) outputs: Vec<NodeId>,
}

impl Graph {
    /// The nodes, each after its inputs.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }
    /// The nodes whose values are asked for.
    pub fn outputs(&self) -> &[NodeId] {
        &self.outputs
    }
    /// The node at `id`.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }
    /// The graph's input node and its shape.
    pub fn input(&self) -> Option<(NodeId, Shape)> {
        self.nodes.iter().position(|n| matches!(n.op, Op::Input)).map(|i| (NodeId(i), self.nodes[i].shape))
    }
    /// The node called `name`; the aliases `embedding` (= `pool`) and `features` (what `pool` reads) are known.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        let exact = |name: &str| self.nodes.iter().position(|n| n.name == name).map(NodeId);
        exact(name).or_else(|| match name {
            "embedding" => exact("pool"),
            "features" => self.nodes[exact("pool")?.0].inputs.first().copied(),
            _ => None,
        })
    }
    /// The same graph with other outputs, by name (see [`Graph::find`]); nodes that no output needs are dropped.
    ///
    /// # Errors
    /// [`Error::Graph`] for a name that no node has, with the names that are there.
    pub fn with_outputs<S: AsRef<str>>(&self, names: &[S]) -> Result<Graph> {
        let outputs = names
            .iter()
            .map(|name| {
                let name = name.as_ref();
                self.find(name).ok_or_else(|| Error::Graph {
                    node: name.to_string(),
                    message: format!(
                        "no such node; outputs can be: {}",
                        self.nodes.iter().map(|n| n.name.as_str()).collect::<Vec<_>>().join(", ")
                    ),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(passes::drop_unused(&Graph { nodes: self.nodes.clone(), outputs }))
    }
    /// The nodes that read `id`.
    pub fn consumers(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.nodes.iter().enumerate().filter(move |(_, n)| n.inputs.contains(&id)).map(|(i, _)| NodeId(i))
    }
    /// Multiply-accumulates for one picture (convolutions and linear layers, as the papers count them).
    pub fn macs(&self) -> u64 {
        self.nodes.iter().map(|n| self.node_macs(n)).fold(0, u64::saturating_add)
    }
    /// Multiply-accumulates of one node for one picture.
    pub fn node_macs(&self, node: &Node) -> u64 {
        let input = node.inputs.first().map(|i| self.node(*i).shape);
        input.map_or(0, |input| node.op.macs(input, node.shape))
    }
    /// The shape of a node's first input.
    pub fn input_shape(&self, node: &Node) -> Option<Shape> {
        node.inputs.first().map(|i| self.node(*i).shape)
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, n) in self.nodes.iter().enumerate() {
            let inputs = n.inputs.iter().map(|i| self.node(*i).name.as_str()).collect::<Vec<_>>().join(", ");
            let mark = if self.outputs.contains(&NodeId(i)) { " *" } else { "" };
            writeln!(f, "{:<24} {:<12} {}({inputs}){mark}", n.name, n.shape.to_string(), n.op)?;
        }
        Ok(())
    }
}
