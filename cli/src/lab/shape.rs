//! What is measured: a case out of `--shape` and its companions, or those of a model's layers.

use crate::failure::{Failure, Outcome};
use mobilenet_wgpu::graph::{Activation, Graph, Shape, passes};
use mobilenet_wgpu::kernel::{Case, OpKind};

/// The input's `HxWxCIN` or `HxWxCINxCOUT`.
#[derive(Clone, Copy, Debug)]
pub struct Dimensions(pub [u32; 4]);

impl std::str::FromStr for Dimensions {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Vec<u32> = text.split(['x', 'X']).map_while(|n| n.trim().parse().ok().filter(|n| *n > 0)).collect();
        match (numbers.as_slice(), text.matches(['x', 'X']).count()) {
            ([h, w, c], 2) => Ok(Dimensions([*h, *w, *c, *c])),
            ([h, w, c, out], 3) => Ok(Dimensions([*h, *w, *c, *out])),
            _ => Err("expected HxWxCINxCOUT, such as 14x14x96x576".into()),
        }
    }
}

/// A case by its shape: 3x3 filters with a row of zeros around where the op has filters, ReLU6 where it has an activation.
pub fn case(op: OpKind, Dimensions([height, width, cin, cout]): Dimensions, stride: u32, batch: u32, expansion: u32) -> Case {
    use OpKind::{Activation as Clamp, Convolution, Depthwise, InvertedResidual, Pointwise, Pool, Separable, Softmax};
    let filters = matches!(op, Convolution | Depthwise | InvertedResidual | Separable);
    let stride = if filters { stride } else { 1 };
    let clamps = matches!(op, Convolution | Depthwise | Pointwise | Separable | Clamp);
    let input = if op == Softmax { Shape::new(1, 1, cin) } else { Shape::new(height, width, cin) };
    let channels = if matches!(op, Convolution | Pointwise | InvertedResidual | Separable) { cout } else { cin };
    let output = match op {
        Pool => Shape::new(1, 1, channels),
        _ => Shape::new(input.height.div_ceil(stride), input.width.div_ceil(stride), channels),
    };
    let block = matches!(op, InvertedResidual | Separable);
    Case {
        op,
        batch,
        input,
        output,
        kernel: if filters { [3, 3] } else { [1, 1] },
        stride,
        padding: if filters { [1, 1] } else { [0, 0] },
        activation: if clamps { Activation::Relu6 } else { Activation::Identity },
        residual: op == OpKind::Add || op == InvertedResidual && input == output,
        hidden: if op == InvertedResidual {
            cin * expansion
        } else if block {
            cin
        } else {
            0
        },
        hidden_activation: if block { Activation::Relu6 } else { Activation::Identity },
    }
}

/// The cases of a model's layers, named: one layer's, or all that differ.
pub fn of_model(graph: &Graph, layer: Option<&str>, op: Option<OpKind>, batch: u32) -> Outcome<Vec<(String, Case)>> {
    let graph = passes::run(graph, &[] as &[&str]);
    let mut found: Vec<(String, Case)> = Vec::new();
    for node in graph.nodes() {
        let Some(case) = Case::of(&graph, node, batch) else { continue };
        let wanted = layer.is_none_or(|name| name == node.name) && op.is_none_or(|op| op == case.op);
        if wanted && found.iter().all(|(_, c)| *c != case) {
            found.push((node.name.clone(), case));
        }
    }
    if found.is_empty() {
        let names: Vec<&str> = graph.nodes().iter().map(|n| n.name.as_str()).collect();
        return Err(Failure::new(format!("no such layer; there are {}", names.join(", "))));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read() {
        let read = |text: &str| text.parse::<Dimensions>().map(|d| d.0).ok();
        assert_eq!((read("14x14x96x576"), read("7x8x9")), (Some([14, 14, 96, 576]), Some([7, 8, 9, 9])));
        assert_eq!((read("14x14"), read("1x2x3x4x5"), read("0x1x2x3"), read("axbxc")), (None, None, None, None));
    }

    #[test]
    fn cases_fit_their_op() {
        let block = case(OpKind::InvertedResidual, Dimensions([14, 14, 96, 96]), 1, 1, 6);
        assert_eq!((block.hidden, block.residual, block.output.channels), (576, true, 96));
        let depthwise = case(OpKind::Depthwise, Dimensions([15, 14, 96, 96]), 2, 1, 6);
        assert_eq!((depthwise.output, depthwise.hidden), (Shape::new(8, 7, 96), 0));
    }
}
