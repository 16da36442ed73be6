//! Activations in few buffers, by lifetime.
//!
//! wgpu tracks buffers whole, so a step may not read and write one buffer; each value gets a slot of its own while it
//! is alive, from the step that makes it to the last that reads it, both included. Slots are assigned greedily, the
//! largest value first (Pisarchyk and Lee 2020, arXiv 2001.03288, "Greedy by Size for Shared Objects").

use crate::graph::{Graph, NodeId, Op, Shape};

/// Which slot each node's value stands in.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// Slot of each node, by its index; unused for the input.
    pub slot: Vec<usize>,
    /// Bytes of each slot.
    pub slots: Vec<u64>,
    /// Bytes of the largest set of values that are alive at one time: no assignment can be smaller.
    pub live_bytes: u64,
}

/// Assigns the graph's values to slots; `bytes` is the size of a value.
pub(super) fn assign(graph: &Graph, bytes: impl Fn(Shape) -> u64) -> Assignment {
    let nodes = graph.nodes();
    let mut last_use: Vec<usize> = (0..nodes.len()).collect();
    for (i, node) in nodes.iter().enumerate() {
        node.inputs.iter().for_each(|input| last_use[input.0] = i);
    }
    graph.outputs().iter().for_each(|NodeId(i)| last_use[*i] = nodes.len());
    let size = |i: usize| if matches!(nodes[i].op, Op::Input) { 0 } else { bytes(nodes[i].shape) };
    let live_at = |step: usize| (0..nodes.len()).filter(|i| *i <= step && step <= last_use[*i]).map(size).sum();
    let live_bytes = (0..nodes.len()).map(live_at).max().unwrap_or(0);

    let mut order: Vec<usize> = (0..nodes.len()).filter(|i| size(*i) > 0).collect();
    order.sort_by_key(|i| (std::cmp::Reverse(size(*i)), *i));
    let mut slot = vec![0; nodes.len()];
    let mut slots: Vec<u64> = Vec::new();
    let mut tenants: Vec<Vec<usize>> = Vec::new();
    for i in order {
        let free = |place: &&usize| tenants[**place].iter().all(|t| last_use[*t] < i || last_use[i] < *t);
        let places: Vec<usize> = (0..slots.len()).collect();
        // Values come largest first, so every slot is large enough; the smallest fits best.
        let best = places.iter().filter(free).min_by_key(|place| slots[**place]).copied();
        let place = best.unwrap_or_else(|| {
            slots.push(size(i));
            tenants.push(Vec::new());
            slots.len() - 1
        });
        slot[i] = place;
        tenants[place].push(i);
    }
    Assignment { slot, slots, live_bytes }
}
