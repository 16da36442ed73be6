//! Fuses an activation into the convolution or sum before it.

use super::merge_into_producer;
use crate::graph::{Activation, Graph, Node, Op};

/// `activation(conv(x))` becomes the convolution's own clamp.
pub fn fuse_activation(graph: &Graph) -> Graph {
    merge_into_producer(graph, |producer, node, _| {
        let (Op::Conv2d(conv), Op::Activation(activation)) = (&producer.op, &node.op) else { return None };
        if conv.activation != Activation::Identity {
            return None;
        }
        let op = Op::Conv2d(conv.clone().with_activation(*activation));
        Some(Node { name: node.name.clone(), op, inputs: producer.inputs.clone(), shape: node.shape })
    })
}
