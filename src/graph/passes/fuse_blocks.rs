//! Fuses whole blocks into one node, where the caller's measure says so.

use super::compact;
use crate::graph::{Conv2d, Graph, Groups, InvertedResidual, Node, NodeId, Op, SeparableBlock};

/// A block that could be one node.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The separate nodes, in order.
    pub separate: Vec<NodeId>,
    /// The node that would stand for them.
    pub fused: Node,
}

/// Fuses expand + depthwise + project (with the residual), and depthwise + pointwise, wherever `decide` says so.
///
/// A node inside a block must have no other reader and be no output. The residual must be the block's own input.
pub fn fuse_blocks(graph: &Graph, mut decide: impl FnMut(&Graph, &Candidate) -> bool) -> Graph {
    let mut nodes = graph.nodes().to_vec();
    let mut removed = vec![false; nodes.len()];
    for last in (0..nodes.len()).rev() {
        if removed[last] {
            continue;
        }
        for candidate in candidates(graph, NodeId(last)) {
            if decide(graph, &candidate) {
                candidate.separate.iter().filter(|id| id.0 != last).for_each(|id| removed[id.0] = true);
                nodes[last] = candidate.fused;
                break;
            }
        }
    }
    compact(nodes, &removed, graph.outputs())
}

/// The blocks that end at `last`, the longer one first.
fn candidates(graph: &Graph, last: NodeId) -> Vec<Candidate> {
    [inverted_residual(graph, last), separable(graph, last)].into_iter().flatten().collect()
}

fn convolution(graph: &Graph, id: NodeId) -> Option<&Conv2d> {
    match &graph.node(id).op {
        Op::Conv2d(c) => Some(c),
        _ => None,
    }
}

/// The convolution before `id`, if nobody else reads it.
fn inner(graph: &Graph, id: NodeId) -> Option<NodeId> {
    let before = *graph.node(id).inputs.first()?;
    let readers: usize = graph.nodes().iter().map(|n| n.inputs.iter().filter(|i| **i == before).count()).sum();
    (readers == 1 && !graph.outputs().contains(&before) && convolution(graph, before).is_some()).then_some(before)
}

fn depthwise_3x3(c: &Conv2d) -> bool {
    c.groups == Groups::Depthwise && c.kernel == [3, 3] && !c.residual
}

fn separable(graph: &Graph, last: NodeId) -> Option<Candidate> {
    let pointwise = convolution(graph, last).filter(|c| c.is_pointwise() && !c.residual)?;
    let middle = inner(graph, last)?;
    let depthwise = convolution(graph, middle).filter(|c| depthwise_3x3(c))?;
    let op = Op::SeparableBlock(Box::new(SeparableBlock { depthwise: depthwise.clone(), pointwise: pointwise.clone() }));
    let fused = Node { op, inputs: graph.node(middle).inputs.clone(), ..graph.node(last).clone() };
    Some(Candidate { separate: vec![middle, last], fused })
}

fn inverted_residual(graph: &Graph, last: NodeId) -> Option<Candidate> {
    let project = convolution(graph, last).filter(|c| c.is_pointwise())?;
    let middle = inner(graph, last)?;
    let depthwise = convolution(graph, middle).filter(|c| depthwise_3x3(c))?;
    let first = inner(graph, middle)?;
    let expand = convolution(graph, first).filter(|c| c.is_pointwise() && !c.residual)?;
    let input = *graph.node(first).inputs.first()?;
    let own_residual = !project.residual || graph.node(last).inputs.get(1) == Some(&input);
    if !own_residual || expand.activation != depthwise.activation {
        return None;
    }
    let block = InvertedResidual { expand: expand.clone(), depthwise: depthwise.clone(), project: project.clone() };
    let fused = Node { op: Op::InvertedResidual(Box::new(block)), inputs: vec![input], ..graph.node(last).clone() };
    Some(Candidate { separate: vec![first, middle, last], fused })
}
