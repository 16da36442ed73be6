//! Drops what no output needs.

use super::compact;
use crate::graph::{Activation, Graph, NodeId, Op};

/// Drops nodes that no output needs (never the input), and identity activations that are not outputs.
pub fn drop_unused(graph: &Graph) -> Graph {
    let mut nodes = graph.nodes.clone();
    for i in 0..nodes.len() {
        let identity = matches!(nodes[i].op, Op::Activation(Activation::Identity)) && !graph.outputs.contains(&NodeId(i));
        if identity {
            let source = nodes[i].inputs[0];
            nodes.iter_mut().flat_map(|n| &mut n.inputs).filter(|x| **x == NodeId(i)).for_each(|x| *x = source);
        }
    }
    let mut needed: Vec<bool> = (0..nodes.len()).map(|i| graph.outputs.contains(&NodeId(i)) || matches!(nodes[i].op, Op::Input)).collect();
    for i in (0..nodes.len()).rev() {
        if needed[i] {
            nodes[i].inputs.iter().for_each(|x| needed[x.0] = true);
        }
    }
    let removed: Vec<bool> = needed.iter().map(|n| !n).collect();
    compact(nodes, &removed, &graph.outputs)
}
