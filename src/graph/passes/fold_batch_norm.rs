//! Folds batch normalisation into the convolution before it.

use super::merge_into_producer;
use crate::graph::{Activation, Graph, Node, Op, Param};

/// `norm(conv(x) + bias)` is a convolution with scaled filters and a shifted bias; exact up to rounding, since the
/// scale stands on the output side and zero padding is not touched.
pub fn fold_batch_norm(graph: &Graph) -> Graph {
    merge_into_producer(graph, |producer, node, _| {
        let (Op::Conv2d(conv), Op::BatchNorm(batch_norm)) = (&producer.op, &node.op) else { return None };
        if conv.activation != Activation::Identity || conv.residual {
            return None;
        }
        let norm = Box::new(batch_norm.norm.clone());
        let mut folded = conv.clone();
        folded.filters = Param::Scaled(Box::new(conv.filters.clone()), norm.clone());
        folded.bias = Some(Param::Shifted(conv.bias.clone().map(Box::new), norm));
        Some(Node { name: node.name.clone(), op: Op::Conv2d(folded), inputs: producer.inputs.clone(), shape: node.shape })
    })
}
