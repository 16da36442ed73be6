//! Fuses a residual add into the convolution that feeds it.

use super::merge_into_producer;
use crate::graph::{Activation, Graph, Node, Op};

/// `conv(x) + y` becomes a convolution with `y` as its second input.
pub fn fuse_residual(graph: &Graph) -> Graph {
    merge_into_producer(graph, |producer, node, which| {
        let (Op::Conv2d(conv), Op::Add) = (&producer.op, &node.op) else { return None };
        if conv.activation != Activation::Identity || conv.residual {
            return None;
        }
        let mut fused = conv.clone();
        fused.residual = true;
        let inputs = vec![producer.inputs[0], node.inputs[1 - which]];
        Some(Node { name: node.name.clone(), op: Op::Conv2d(fused), inputs, shape: node.shape })
    })
}
