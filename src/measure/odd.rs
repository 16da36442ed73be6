//! Odd relatives of a case: what a kernel does at one shape says little of the shapes where its tiles do not come out even.

use crate::graph::Shape;
use crate::kernel::{Case, OpKind};

/// Channels that are no multiple of 4, in and out, and behind an expansion.
const CHANNELS: [u32; 3] = [19, 23, 38];

/// The case at odd sizes and a batch of 3, and with channels that are no multiples of 4; none that is the case itself.
pub(super) fn relatives(case: &Case) -> Vec<Case> {
    let spatial = |input: Shape, channels: u32| match case.op {
        OpKind::Pool | OpKind::Softmax => Shape::new(1, 1, channels),
        _ => Shape::new(input.height.div_ceil(case.stride), input.width.div_ceil(case.stride), channels),
    };
    let [height, width] = if case.op == OpKind::Softmax { [1, 1] } else { [7, 5] };
    let at = |cin: u32, cout: u32, hidden: u32, batch: u32| {
        let input = Shape::new(height, width, cin);
        Case { batch, input, output: spatial(input, cout), hidden, ..*case }
    };
    // A block adds its input, so it gives as many channels as it takes.
    let [cin, cout, wide] = CHANNELS;
    let cout = if case.op.mixes_channels() && !(case.op == OpKind::InvertedResidual && case.residual) { cout } else { cin };
    let hidden = match case.op {
        OpKind::Separable => cin,
        OpKind::InvertedResidual => wide,
        _ => 0,
    };
    let sizes = at(case.input.channels, case.output.channels, case.hidden, 3);
    [sizes, at(cin, cout, hidden, 1)].into_iter().filter(|relative| relative != case).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::problem::Problem;
    use super::*;

    #[test]
    fn relatives_of_every_op_can_be_computed() {
        for op in OpKind::ALL {
            for (stride, residual) in [(1, false), (2, false), (1, true)] {
                if (stride == 2 && !op.has_filters()) || (residual != (op == OpKind::Add) && op != OpKind::InvertedResidual) {
                    continue;
                }
                let input = if op == OpKind::Softmax { Shape::new(1, 1, 24) } else { Shape::new(8, 8, 24) };
                let output = match op {
                    OpKind::Pool | OpKind::Softmax => Shape::new(1, 1, 24),
                    _ => Shape::new(input.height.div_ceil(stride), input.width.div_ceil(stride), 24),
                };
                let side = if op.has_filters() { 3 } else { 1 };
                let hidden = if matches!(op, OpKind::InvertedResidual | OpKind::Separable) { 24 } else { 0 };
                let plain = Case::plain(op, 1, input, output);
                let case = Case { kernel: [side, side], stride, padding: [side / 2, side / 2], residual, hidden, ..plain };
                for relative in relatives(&case) {
                    Problem::new(relative).unwrap().data(1).unwrap();
                }
            }
        }
    }
}
