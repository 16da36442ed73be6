//! What a network costs by arithmetic alone: multiply-accumulates (MACs), parameters, bytes of activations; and what
//! the same network would cost with standard convolutions, at other widths and other resolutions (arXiv 1704.04861,
//! equations 2 to 7). MACs are counted as the papers do: convolutions and linear layers, no biases, norms, activations.

use super::{MobileNetConfig, Version};
use crate::Result;
use crate::graph::{Conv2d, Graph, Groups, Node, Op, Shape};
use serde::Serialize;

/// The cost of a network for one picture, layer by layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// The layers in order; a convolution with its norm and activation is one, and bears the unit's name.
    pub layers: Vec<LayerCost>,
    /// The whole network.
    pub totals: Totals,
    /// What the width multiplier and the resolution do; of a [`MobileNetConfig`] only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multipliers: Option<Multipliers>,
}

/// The cost of one layer for one picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerCost {
    /// The unit's name, such as `block3.expand`.
    pub name: String,
    /// The op's name, such as `pointwise`.
    pub op: &'static str,
    /// Shape of its (first) input.
    pub input: Shape,
    /// Shape of its output.
    pub output: Shape,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Filters, weights and bias; with the norm's where [`Cost::with_norms`] counts them.
    pub params: u64,
    /// The trained vectors (gamma and beta) of its batch norm, which folding makes disappear.
    pub norm_params: u64,
    /// Bytes of its output in f32, without channel padding.
    pub activation_bytes: u64,
    /// For a pointwise layer after a depthwise one: both together, beside the standard convolution in their place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separable: Option<Separable>,
}

/// Sums over a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Multiply-accumulates.
    pub macs: u64,
    /// Parameters; see [`LayerCost::params`].
    pub params: u64,
    /// Trained vectors of batch norms.
    pub norm_params: u64,
    /// Bytes of all layers' outputs in f32.
    pub activation_bytes: u64,
    /// MACs, were every separable layer a standard convolution.
    pub standard_macs: u64,
    /// Parameters, were every separable layer a standard convolution.
    pub standard_params: u64,
}

/// A depthwise-separable layer in the paper's letters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Separable {
    /// Taps of the depthwise filter, `Dk * Dk`.
    pub taps: u64,
    /// Input channels, `M`.
    pub inputs: u64,
    /// Output channels, `N`.
    pub outputs: u64,
    /// Pixels of the output, `Df * Df`.
    pub pixels: u64,
    /// `Dk*Dk*M*Df*Df + M*N*Df*Df` (equation 5).
    pub macs: u64,
    /// `Dk*Dk*M*N*Df*Df` (equation 2).
    pub standard_macs: u64,
    /// `Dk*Dk*M*N`.
    pub standard_params: u64,
    /// `macs / standard_macs`, which is `1/N + 1/Dk^2`.
    pub ratio: f64,
}

impl Separable {
    /// For a filter of `taps` = `Dk * Dk`, `inputs` = `M`, `outputs` = `N` and `pixels` = `Df * Df`.
    pub fn new(taps: u64, inputs: u64, outputs: u64, pixels: u64) -> Self {
        let product = |factors: &[u64]| factors.iter().fold(1u64, |product, f| product.saturating_mul(*f));
        let macs = product(&[taps, inputs, pixels]).saturating_add(product(&[inputs, outputs, pixels]));
        let ratio = 1.0 / outputs as f64 + 1.0 / taps as f64;
        let (standard_macs, standard_params) = (product(&[taps, inputs, outputs, pixels]), product(&[taps, inputs, outputs]));
        Self { taps, inputs, outputs, pixels, macs, standard_macs, standard_params, ratio }
    }

    /// MACs at width multiplier `a` and resolution multiplier `r`:
    /// `Dk*Dk*aM*rDf*rDf + aM*aN*rDf*rDf` (equation 7; equation 6 with `r` = 1).
    pub fn scaled_macs(&self, a: f64, r: f64) -> f64 {
        let (inputs, outputs) = (a * self.inputs as f64, a * self.outputs as f64);
        let pixels = r * r * self.pixels as f64;
        self.taps as f64 * inputs * pixels + inputs * outputs * pixels
    }
}

/// What the two multipliers do to a network: it at width 1.0 and 224x224, at its own width, and at its own size as well.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Multipliers {
    /// Width multiplier, `a` of the paper (the nearest one, where a checkpoint's channels are odd).
    pub width: f32,
    /// Resolution multiplier, `r`: the input's side (of a square of the same area) / 224.
    pub resolution: f64,
    /// Width 1.0 at 224x224.
    pub baseline: Scaled,
    /// This width at 224x224 (equation 6).
    pub by_width: Scaled,
    /// This width at this size (equation 7): the network itself.
    pub by_both: Scaled,
}

/// A network's cost beside that of width 1.0 at 224x224.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Scaled {
    /// Multiply-accumulates.
    pub macs: u64,
    /// Parameters.
    pub params: u64,
    /// MACs / the baseline's.
    pub ratio: f64,
    /// The same for the separable layers by the equation, without rounding of channels and sizes.
    pub equation: f64,
}

/// Layers being collected.
struct Layers<'a> {
    graph: &'a Graph,
    rows: Vec<LayerCost>,
    /// The row that each node belongs to.
    row_of: Vec<Option<usize>>,
}

impl Layers<'_> {
    /// Whether a node only finishes the layer before it: a norm or activation on a value that nobody else reads.
    fn finishes(&self, node: &Node) -> Option<usize> {
        let input = *node.inputs.first().filter(|_| matches!(node.op, Op::BatchNorm(_) | Op::Activation(_)))?;
        self.row_of[input.0].filter(|_| self.graph.consumers(input).count() == 1)
    }

    fn add(&mut self, node: &Node) -> Option<usize> {
        let input = self.graph.input_shape(node)?;
        let values = |(_, shape): (_, Vec<usize>)| shape.iter().map(|n| *n as u64).product::<u64>();
        let params: u64 = node.op.param_shapes(input).into_iter().map(values).sum();
        // Mean and variance are statistics; gamma and beta are trained.
        let (params, norm_params) = match &node.op {
            Op::BatchNorm(b) => (0, u64::from(input.channels) * (b.norm.gamma.iter().count() + b.norm.beta.iter().count()) as u64),
            _ => (params, 0),
        };
        if let Some(row) = self.finishes(node) {
            self.rows[row].name.clone_from(&node.name);
            self.rows[row].norm_params += norm_params;
            return Some(row);
        }
        self.rows.push(LayerCost {
            name: node.name.clone(),
            op: node.op.name(),
            input,
            output: node.shape,
            macs: self.graph.node_macs(node),
            params,
            norm_params,
            activation_bytes: node.shape.elements().saturating_mul(4),
            separable: self.separable(node),
        });
        Some(self.rows.len() - 1)
    }

    /// A pointwise convolution whose input is a depthwise layer.
    fn separable(&self, node: &Node) -> Option<Separable> {
        let pointwise = convolution(node).filter(|c| c.is_pointwise())?;
        let row = &self.rows[self.row_of[node.inputs.first()?.0]?];
        let depthwise = self.graph.nodes().iter().zip(&self.row_of).filter(|(_, r)| **r == self.row_of[node.inputs[0].0]);
        let depthwise = depthwise.filter_map(|(n, _)| convolution(n)).find(|c| c.groups == Groups::Depthwise)?;
        let taps = u64::from(depthwise.kernel[0]) * u64::from(depthwise.kernel[1]);
        Some(Separable::new(taps, u64::from(row.output.channels), u64::from(pointwise.out_channels), node.shape.pixels()))
    }
}

fn convolution(node: &Node) -> Option<&Conv2d> {
    match &node.op {
        Op::Conv2d(conv) => Some(conv),
        _ => None,
    }
}

impl Cost {
    /// The cost of any graph, best before passes. Norms are counted apart; see [`Cost::with_norms`].
    pub fn of(graph: &Graph) -> Self {
        let mut layers = Layers { graph, rows: Vec::new(), row_of: Vec::new() };
        for node in graph.nodes() {
            let row = layers.add(node);
            layers.row_of.push(row);
        }
        Self::sum(layers.rows)
    }

    /// With the norms' gamma and beta counted as parameters, as V1's tables do and V2's do not.
    #[must_use]
    pub fn with_norms(self) -> Self {
        let counted = |layer: LayerCost| LayerCost { params: layer.params + layer.norm_params, ..layer };
        Self::sum(self.layers.into_iter().map(counted).collect())
    }

    fn sum(layers: Vec<LayerCost>) -> Self {
        let sum = |value: fn(&LayerCost) -> u64| layers.iter().map(value).fold(0u64, u64::saturating_add);
        let mut totals = Totals {
            macs: sum(|l| l.macs),
            params: sum(|l| l.params),
            norm_params: sum(|l| l.norm_params),
            activation_bytes: sum(|l| l.activation_bytes),
            standard_macs: 0,
            standard_params: 0,
        };
        let separable = || layers.iter().filter_map(|l| l.separable);
        let saved = |value: fn(&Separable) -> u64| separable().map(|s| value(&s)).fold(0u64, u64::saturating_add);
        totals.standard_macs = totals.macs.saturating_sub(saved(|s| s.macs)).saturating_add(saved(|s| s.standard_macs));
        let weights = saved(|s| s.taps * s.inputs + s.inputs * s.outputs);
        totals.standard_params = totals.params.saturating_sub(weights).saturating_add(saved(|s| s.standard_params));
        Self { layers, totals, multipliers: None }
    }

    /// The layer called `name`.
    pub fn layer(&self, name: &str) -> Option<&LayerCost> {
        self.layers.iter().find(|l| l.name == name)
    }
}

impl MobileNetConfig {
    /// The network's cost, parameters counted as its version's tables count them, with the effect of the multipliers.
    ///
    /// # Errors
    /// As [`MobileNetConfig::graph`].
    pub fn cost(&self) -> Result<Cost> {
        let mut cost = self.plain_cost()?;
        let width = self.width();
        let ideal = if self.version == Version::V1 { Self::v1(1.0) } else { Self::v2(1.0) };
        let ideal = Self { classifier_bias: self.classifier_bias, batch_norm: self.batch_norm, conv_bias: self.conv_bias, ..ideal };
        let ideal = ideal.with_classes(self.classes);
        // A checkpoint with other stages has no strides of the ideal network; it is compared with the papers' then.
        let ideal = ideal.clone().with_strides(&self.strides()).unwrap_or(ideal);
        let (baseline, by_width) = (ideal.plain_cost()?, self.clone().with_input([224, 224]).plain_cost()?);
        let resolution = (f64::from(self.input[0]) * f64::from(self.input[1])).sqrt() / 224.0;
        let equation = |a: f64, r: f64| {
            let layers = || baseline.layers.iter().filter_map(|l| l.separable);
            layers().map(|s| s.scaled_macs(a, r)).sum::<f64>() / layers().map(|s| s.macs as f64).sum::<f64>()
        };
        let scaled = |totals: Totals, a: f64, r: f64| Scaled {
            macs: totals.macs,
            params: totals.params,
            ratio: totals.macs as f64 / baseline.totals.macs as f64,
            equation: equation(a, r),
        };
        cost.multipliers = Some(Multipliers {
            width,
            resolution,
            baseline: scaled(baseline.totals, 1.0, 1.0),
            by_width: scaled(by_width.totals, f64::from(width), 1.0),
            by_both: scaled(cost.totals, f64::from(width), resolution),
        });
        Ok(cost)
    }

    fn plain_cost(&self) -> Result<Cost> {
        let cost = Cost::of(&self.graph()?);
        Ok(if self.version == Version::V1 { cost.with_norms() } else { cost })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_layer_is_a_unit() -> Result<()> {
        let unfolded = MobileNetConfig::v2(1.0).cost()?;
        let names: Vec<&str> = unfolded.layers.iter().map(|l| l.name.as_str()).collect();
        assert_eq!(names[..5], ["stem", "block1.depthwise", "block1.project", "block2.expand", "block2.depthwise"]);
        assert_eq!(names[names.len() - 4..], ["last", "pool", "logits", "probabilities"]);
        let folded = MobileNetConfig::v2(1.0).folded().cost()?;
        assert_eq!(names, folded.layers.iter().map(|l| l.name.as_str()).collect::<Vec<_>>());
        assert_eq!(unfolded.totals.macs, folded.totals.macs);
        assert_eq!(unfolded.totals.params + unfolded.totals.norm_params / 2, folded.totals.params, "a bias is half a norm");
        Ok(())
    }

    #[test]
    fn a_separable_layer_stands_beside_its_standard_convolution() -> Result<()> {
        let cost = MobileNetConfig::v1(1.0).cost()?;
        let separable: Vec<&Separable> = cost.layers.iter().filter_map(|l| l.separable.as_ref()).collect();
        assert_eq!(separable.len(), 13);
        for s in separable {
            assert!((s.ratio - s.macs as f64 / s.standard_macs as f64).abs() < 1e-12);
        }
        let layer = cost.layer("block6.pointwise").unwrap();
        let separable = layer.separable.unwrap();
        assert_eq!((layer.macs, separable.macs), (256 * 512 * 14 * 14, (9 * 256 + 256 * 512) * 14 * 14));
        assert_eq!(separable.standard_macs, 9 * 256 * 512 * 14 * 14);
        Ok(())
    }

    #[test]
    fn layers_of_a_graph_after_passes_are_the_same() -> Result<()> {
        let graph = MobileNetConfig::v1(0.25).graph()?;
        let fused = crate::graph::passes::run(&graph, &[] as &[&str]);
        let (before, after) = (Cost::of(&graph), Cost::of(&fused));
        assert_eq!(before.totals.macs, after.totals.macs);
        assert_eq!(before.totals.standard_macs, after.totals.standard_macs);
        assert_eq!(before.layer("block3.pointwise").map(|l| l.macs), after.layer("block3.pointwise").map(|l| l.macs));
        Ok(())
    }

    #[test]
    fn multipliers_act_as_equations_6_and_7_say() -> Result<()> {
        let cost = MobileNetConfig::v1(0.5).with_input([160, 160]).cost()?;
        let m = cost.multipliers.unwrap();
        assert_eq!((m.width, m.baseline.ratio, m.baseline.equation), (0.5, 1.0, 1.0));
        // Roughly the square of the width, exactly the square of the resolution.
        assert!((m.by_width.equation - 0.25).abs() < 0.02 && (m.by_width.ratio - m.by_width.equation).abs() < 0.02);
        assert!((m.by_both.equation / m.by_width.equation - (160.0f64 / 224.0).powi(2)).abs() < 1e-9);
        assert_eq!(m.by_both.macs, cost.totals.macs);
        assert_eq!(m.by_both.params, m.by_width.params, "resolution changes no parameters");
        Ok(())
    }

    #[test]
    fn json_has_the_totals() -> Result<()> {
        let json = serde_json::to_value(MobileNetConfig::v1(1.0).cost()?).unwrap();
        assert_eq!(json["totals"]["macs"], 568_740_352);
        assert_eq!(json["layers"][0]["name"], "stem");
        assert!(json["layers"][0].get("separable").is_none());
        Ok(())
    }
}
