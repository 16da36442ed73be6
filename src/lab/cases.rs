//! What is measured: a case by its shape, or those of a model's layers.

use crate::graph::{Activation, Graph, Shape, passes};
use crate::kernel::{Case, OpKind};
use crate::{Error, Result};

/// A case by its shape: 3x3 filters with a row of zeros around where the op has filters, ReLU6 where it has an activation.
pub fn case_of_shape(op: OpKind, [height, width, cin, cout]: [u32; 4], stride: u32, batch: u32, expansion: u32) -> Case {
    use OpKind::{Activation as Clamp, Convolution, Depthwise, InvertedResidual, Pointwise, Pool, Separable, Softmax};
    let stride = if op.has_filters() { stride } else { 1 };
    let input = if op == Softmax { Shape::new(1, 1, cin) } else { Shape::new(height, width, cin) };
    let channels = if op.mixes_channels() { cout } else { cin };
    let output = match op {
        Pool => Shape::new(1, 1, channels),
        _ => Shape::new(input.height.div_ceil(stride), input.width.div_ceil(stride), channels),
    };
    let mut case = Case { stride, ..Case::plain(op, batch, input, output) };
    if op.has_filters() {
        (case.kernel, case.padding) = ([3, 3], [1, 1]);
    }
    if matches!(op, Convolution | Depthwise | Pointwise | Separable | Clamp) {
        case.activation = Activation::Relu6;
    }
    if matches!(op, InvertedResidual | Separable) {
        case.hidden = if op == InvertedResidual { cin * expansion } else { cin };
        case.hidden_activation = Activation::Relu6;
    }
    case.residual = op == OpKind::Add || op == InvertedResidual && input == output;
    case
}

/// A case that is to be measured.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerCase {
    /// The first layer of a model that computes it, where it is a model's.
    pub layer: Option<String>,
    /// What is computed.
    pub case: Case,
    /// Layers that compute the same.
    pub times: u32,
}

impl LayerCase {
    /// A case of its own.
    pub fn alone(case: Case) -> Self {
        Self { layer: None, case, times: 1 }
    }
}

/// The cases of a model's layers: one layer's, or all that differ, of one op or of all.
///
/// # Errors
/// [`Error::Option`] with the layers that there are.
pub fn model_cases(graph: &Graph, layer: Option<&str>, op: Option<OpKind>, batch: u32) -> Result<Vec<LayerCase>> {
    let graph = passes::run(graph, &[] as &[&str]);
    let mut found: Vec<LayerCase> = Vec::new();
    for node in graph.nodes() {
        let Some(case) = Case::of(&graph, node, batch) else { continue };
        if layer.is_some_and(|name| name != node.name) || op.is_some_and(|op| op != case.op) {
            continue;
        }
        match found.iter_mut().find(|l| l.case == case) {
            Some(known) => known.times += 1,
            None => found.push(LayerCase { layer: Some(node.name.clone()), case, times: 1 }),
        }
    }
    if found.is_empty() {
        let names: Vec<&str> = graph.nodes().iter().map(|n| n.name.as_str()).collect();
        return Err(Error::Option { option: "layer", message: format!("no such layer; there are {}", names.join(", ")) });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_fit_their_op() {
        let block = case_of_shape(OpKind::InvertedResidual, [14, 14, 96, 96], 1, 1, 6);
        assert_eq!((block.hidden, block.residual, block.output.channels), (576, true, 96));
        let depthwise = case_of_shape(OpKind::Depthwise, [15, 14, 96, 96], 2, 1, 6);
        assert_eq!((depthwise.output, depthwise.hidden), (Shape::new(8, 7, 96), 0));
    }

    #[test]
    fn equal_layers_are_counted() {
        let graph = crate::model::MobileNetConfig::v1(1.0).graph().unwrap_or_default();
        let found = model_cases(&graph, None, Some(OpKind::Pointwise), 1).unwrap_or_default();
        assert_eq!(found.iter().map(|l| l.times).max(), Some(5), "{found:?}");
        assert!(model_cases(&graph, Some("nothing"), None, 1).is_err());
    }
}
