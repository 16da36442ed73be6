//! Rewriting a graph, one file a pass. A pass is a function `&Graph -> Graph` that keeps every output's value and name.

mod drop_unused;
mod fold_batch_norm;
mod fuse_activation;
mod fuse_blocks;
mod fuse_residual;

pub use drop_unused::drop_unused;
pub use fold_batch_norm::fold_batch_norm;
pub use fuse_activation::fuse_activation;
pub use fuse_blocks::{Candidate, fuse_blocks};
pub use fuse_residual::fuse_residual;

use super::{Graph, Node, NodeId};

/// A pass and its name.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// The name by which it is listed and turned off.
    pub name: &'static str,
    /// What it does, in a line.
    pub description: &'static str,
    /// The rewriting.
    pub apply: fn(&Graph) -> Graph,
}

/// All passes in the order in which they run.
pub const ALL: &[Pass] = &[
    Pass { name: "drop_unused", description: "drop nodes that no output needs, and identity activations", apply: drop_unused },
    Pass { name: "fold_batch_norm", description: "fold a batch norm into the convolution before it", apply: fold_batch_norm },
    Pass { name: "fuse_residual", description: "add the residual in the convolution that it follows", apply: fuse_residual },
    Pass { name: "fuse_activation", description: "clamp in the convolution that the activation follows", apply: fuse_activation },
];

/// Runs all passes but those named in `without`.
pub fn run(graph: &Graph, without: &[impl AsRef<str>]) -> Graph {
    ALL.iter().filter(|p| !without.iter().any(|w| w.as_ref() == p.name)).fold(graph.clone(), |g, p| (p.apply)(&g))
}

/// Merges nodes into the node before them: `merge(producer, node)` gives the merged op and its inputs, or `None`.
///
/// A node is merged only if its first input has no other reader and is not an output itself; the merged node takes
/// the later node's name and place, so that its other inputs still stand before it.
fn merge_into_producer(graph: &Graph, merge: impl Fn(&Node, &Node, usize) -> Option<Node>) -> Graph {
    let mut nodes = graph.nodes.clone();
    let mut removed = vec![false; nodes.len()];
    for i in 0..nodes.len() {
        for which in 0..nodes[i].inputs.len() {
            let producer = nodes[i].inputs[which];
            let readers: usize = nodes
                .iter()
                .zip(&removed)
                .filter(|(_, gone)| !**gone)
                .map(|(n, _)| n.inputs.iter().filter(|x| **x == producer).count())
                .sum();
            if readers != 1 || graph.outputs.contains(&producer) {
                continue;
            }
            if let Some(merged) = merge(&nodes[producer.0], &nodes[i], which) {
                nodes[i] = merged;
                removed[producer.0] = true;
                break;
            }
        }
    }
    compact(nodes, &removed, &graph.outputs)
}

/// Renumbers the nodes that stay.
fn compact(nodes: Vec<Node>, removed: &[bool], outputs: &[NodeId]) -> Graph {
    let mut places = vec![NodeId(usize::MAX); nodes.len()];
    let mut next = 0;
    for (place, gone) in places.iter_mut().zip(removed) {
        if !gone {
            *place = NodeId(next);
            next += 1;
        }
    }
    let nodes = nodes
        .into_iter()
        .zip(removed)
        .filter(|(_, gone)| !**gone)
        .map(|(n, _)| Node { inputs: n.inputs.iter().map(|i| places[i.0]).collect(), ..n })
        .collect();
    Graph { nodes, outputs: outputs.iter().map(|o| places[o.0]).collect() }
}
