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
        case.hidden = if op == InvertedResidual { cin.saturating_mul(expansion) } else { cin };
        case.hidden_activation = Activation::Relu6;
    }
    case.residual = op == OpKind::Add || op == InvertedResidual && input == output;
    case
}

/// About the bytes that the host needs to measure a case: values in f32 for two sets of data, what the reference makes on its way,
/// and copies of the output as it is read back.
pub fn host_bytes(case: &Case) -> u64 {
    let shape = |channels: u32, like: Shape| Shape { channels, ..like }.elements();
    let inside = shape(case.hidden, case.input).saturating_add(shape(case.hidden, case.output));
    let values = case.input.elements().saturating_add(case.output.elements()).saturating_mul(6).saturating_add(inside);
    values.saturating_mul(u64::from(case.batch)).saturating_mul(size_of::<f32>() as u64)
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
        return Err(nothing_found(&graph, layer, op, batch));
    }
    Ok(found)
}

/// Why there is no such case, with those that there are.
fn nothing_found(graph: &Graph, layer: Option<&str>, op: Option<OpKind>, batch: u32) -> Error {
    let cases: Vec<(&str, OpKind)> = graph.nodes().iter().filter_map(|n| Some((n.name.as_str(), Case::of(graph, n, batch)?.op))).collect();
    let others: Vec<&str> = cases.iter().filter(|(_, found)| op.is_none_or(|op| op == *found)).map(|(name, _)| *name).collect();
    let there = if others.is_empty() { String::new() } else { format!("; there are {}", others.join(", ")) };
    let found = layer.and_then(|layer| cases.iter().find(|(name, _)| *name == layer));
    let message = match (found, layer, op) {
        (Some((name, is)), _, Some(op)) => format!("`{name}` is a layer of {is}, not of {op}{there}"),
        (None, Some(layer), Some(op)) => format!("the model has no layer `{layer}` of {op}{there}"),
        (None, Some(layer), None) => format!("the model has no layer `{layer}`{there}"),
        (_, _, op) => format!("the model has no layer{}", op.map(|op| format!(" of {op}")).unwrap_or_default()),
    };
    Error::Option { option: "layer", message }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
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
        let refused = |layer, op| model_cases(&graph, layer, op, 1).unwrap_err().to_string();
        assert!(refused(Some("nothing"), None).contains("no layer `nothing`; there are stem, block1.depthwise, "));
        let wrong = refused(Some("stem"), Some(OpKind::Depthwise));
        assert!(wrong.contains("`stem` is a layer of convolution, not of depthwise; there are block1.depthwise, "), "{wrong}");
        assert!(refused(None, Some(OpKind::Add)).contains("the model has no layer of add"));
    }
}
