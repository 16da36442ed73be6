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
use crate::{Error, Result};

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

/// The pass called `name`.
///
/// # Errors
/// [`Error::Option`] with the names that there are; [`run`] itself passes over names that no pass has.
pub fn find(name: &str) -> Result<&'static Pass> {
    ALL.iter().find(|p| p.name == name).ok_or_else(|| {
        let names = ALL.iter().map(|p| p.name).collect::<Vec<_>>().join(", ");
        Error::Option { option: "passes", message: format!("there is no pass `{name}`; there are {names}") }
    })
}

/// Runs all passes but those named in `without`.
pub fn run(graph: &Graph, without: &[impl AsRef<str>]) -> Graph {
    ALL.iter().filter(|p| !without.iter().any(|w| w.as_ref() == p.name)).fold(graph.clone(), |g, p| (p.apply)(&g))
}

/// Merges nodes into a node before them: `merge(producer, node, which)` gives the merged node, or `None`; the producer
/// is the node's input number `which`.
///
/// Nodes are merged only if nothing else reads the producer and it is not an output itself; the merged node takes the
/// later node's name and place, so that its other inputs still stand before it.
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

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;
    use crate::graph::{Activation, Conv2d, GraphBuilder, Norm, Op, Padding, Shape};
    use crate::model::MobileNetConfig;

    const NONE: &[&str] = &[];

    fn count(graph: &Graph, op: &str) -> usize {
        graph.nodes().iter().filter(|n| n.op.name() == op).count()
    }

    /// `input -> conv -> norm -> add(norm, input) -> relu`, with these outputs.
    fn residual_block(outputs: &[usize]) -> Result<Graph> {
        let mut g = GraphBuilder::new();
        let x = g.input("input", Shape::new(4, 4, 3))?;
        let conv = g.conv2d("conv", x, Conv2d::new([3, 3], 3).padding(Padding::symmetric(1)))?;
        let norm = g.batch_norm("norm", conv, Norm::named("conv", 1e-5))?;
        let add = g.add("add", x, norm)?;
        let relu = g.activation("relu", add, Activation::Relu)?;
        let ids = [x, conv, norm, add, relu];
        g.finish(&outputs.iter().map(|i| ids[*i]).collect::<Vec<_>>())
    }

    fn names(graph: &Graph) -> Vec<&str> {
        graph.nodes().iter().map(|n| n.name.as_str()).collect()
    }

    #[test]
    fn a_residual_block_becomes_one_convolution() -> Result<()> {
        let graph = run(&residual_block(&[4])?, NONE);
        assert_eq!(names(&graph), ["input", "relu"]);
        let Op::Conv2d(conv) = &graph.nodes()[1].op else { panic!("{graph}") };
        assert_eq!((conv.residual, conv.activation), (true, Activation::Relu));
        assert_eq!(graph.nodes()[1].inputs, [NodeId(0), NodeId(0)], "the convolution's input and the residual");
        let texts: Vec<String> = graph.nodes()[1].op.params().iter().map(ToString::to_string).collect();
        let norm = "norm(conv.norm.gamma, conv.norm.beta, conv.norm.mean, conv.norm.variance, 1e-5)";
        assert_eq!(texts, [format!("scaled(conv.filters, {norm})"), format!("shifted(0, {norm})")]);
        Ok(())
    }

    #[test]
    fn an_output_inside_forbids_the_fusion() -> Result<()> {
        assert_eq!(names(&run(&residual_block(&[1, 4])?, NONE)), ["input", "conv", "norm", "add", "relu"]);
        assert_eq!(names(&run(&residual_block(&[2, 4])?, NONE)), ["input", "norm", "add", "relu"]);
        assert_eq!(names(&run(&residual_block(&[3, 4])?, NONE)), ["input", "add", "relu"]);
        Ok(())
    }

    #[test]
    fn each_pass_can_be_turned_off() -> Result<()> {
        let graph = MobileNetConfig::v2(1.0).graph()?;
        let without = |names: &[&str]| run(&graph, names);
        assert_eq!(count(&without(NONE), "batch_norm") + count(&without(NONE), "activation") + count(&without(NONE), "add"), 0);
        assert_eq!(count(&without(&["fold_batch_norm"]), "batch_norm"), 52);
        assert_eq!(count(&without(&["fuse_activation"]), "activation"), 35);
        assert_eq!(count(&without(&["fuse_residual"]), "add"), 10);
        assert_eq!(count(&without(&["drop_unused"]), "softmax"), 1);
        assert_eq!(without(&ALL.iter().map(|p| p.name).collect::<Vec<_>>()), graph);
        Ok(())
    }

    #[test]
    fn an_activation_before_the_sum_is_not_moved_behind_it() -> Result<()> {
        let mut g = GraphBuilder::new();
        let x = g.input("input", Shape::new(4, 4, 3))?;
        let conv = g.conv2d("conv", x, Conv2d::new([1, 1], 3).with_activation(Activation::Relu))?;
        let twice = g.add("twice", conv, conv)?;
        let add = g.add("add", twice, x)?;
        let graph = g.finish(&[add])?;
        assert_eq!(names(&run(&graph, NONE)), names(&graph));
        Ok(())
    }

    #[test]
    fn identities_go_unless_asked_for() -> Result<()> {
        let mut g = GraphBuilder::new();
        let x = g.input("input", Shape::new(4, 4, 3))?;
        let a = g.activation("a", x, Activation::Identity)?;
        let b = g.activation("b", a, Activation::Identity)?;
        let pool = g.global_average_pool("pool", b)?;
        let unused = g.softmax("unused", pool)?;
        let graph = g.finish(&[pool])?;
        assert_eq!(names(&drop_unused(&graph)), ["input", "pool"]);
        assert_eq!(names(&graph.with_outputs(&["pool", "b"])?), ["input", "b", "pool"]);
        assert_eq!(graph.node(unused).name, "unused");
        Ok(())
    }

    #[test]
    fn a_pass_is_found_by_name() {
        assert_eq!(find("fuse_residual").map(|p| p.name).ok(), Some("fuse_residual"));
        let message = find("fuse_everything").map(|p| p.name).map_err(|e| e.to_string());
        assert!(message.is_err_and(|m| m.contains("drop_unused, fold_batch_norm, fuse_residual, fuse_activation")));
    }
}
