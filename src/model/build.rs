//! From a configuration to a graph, with the papers' names whatever the checkpoint's scheme.
//!
//! A *unit* is a convolution with its norm and activation: `stem`, `block3.expand`, `last`. Its last node bears the
//! unit's name, so that `block3.expand` means the value after all three; the nodes before it are `UNIT.conv` and
//! `UNIT.norm`. Parameters are named after the unit: `UNIT.filters`, `UNIT.bias`, `UNIT.norm.gamma` and so on,
//! `logits.weights`, `logits.bias`.

use super::{BlockConfig, MobileNetConfig, PaddingRule, Version};
use crate::Result;
use crate::graph::{Activation, Conv2d, Graph, GraphBuilder, NodeId, Norm, Padding, Param, Shape};

impl MobileNetConfig {
    /// The network as a graph. Its output is `logits`, a backbone's `pool`; `probabilities` and every other node can
    /// be asked for by [`Graph::with_outputs`].
    ///
    /// # Errors
    /// [`crate::Error::Option`] for sizes or channels that no network has, [`crate::Error::Graph`] with the node's
    /// name where a layer cannot be.
    pub fn graph(&self) -> Result<Graph> {
        self.check()?;
        let mut net = Net { config: self, graph: GraphBuilder::new() };
        let [height, width] = self.input;
        let x = net.graph.input("input", Shape::new(height, width, 3))?;
        let mut x = net.convolution("stem", x, self.stem_channels, self.stem_stride)?;
        for (i, block) in self.blocks.iter().enumerate() {
            let name = format!("block{}", i + 1);
            x = match self.version {
                Version::V1 => net.separable(&name, x, block)?,
                Version::V2 => net.inverted_residual(&name, x, block)?,
            };
        }
        if let Some(channels) = self.last {
            x = net.pointwise("last", x, channels, self.activation)?;
        }
        let mut output = net.graph.global_average_pool("pool", x)?;
        if let Some(classes) = self.classes {
            output = net.graph.linear("logits", output, classes, self.classifier_bias)?;
            net.graph.softmax("probabilities", output)?;
        }
        net.graph.finish(&[output])
    }
}

struct Net<'a> {
    config: &'a MobileNetConfig,
    graph: GraphBuilder,
}

impl Net<'_> {
    /// V1's block (arXiv 1704.04861, figure 3): depthwise 3x3, pointwise.
    fn separable(&mut self, name: &str, x: NodeId, block: &BlockConfig) -> Result<NodeId> {
        let x = self.depthwise(&format!("{name}.depthwise"), x, block.stride)?;
        self.pointwise(&format!("{name}.pointwise"), x, block.channels, self.config.activation)
    }

    /// V2's block (arXiv 1801.04381, table 1): expand, depthwise 3x3, linear projection, and the block's input added
    /// where the configuration says so.
    fn inverted_residual(&mut self, name: &str, input: NodeId, block: &BlockConfig) -> Result<NodeId> {
        let mut x = input;
        if let Some(channels) = block.expansion {
            x = self.pointwise(&format!("{name}.expand"), x, channels, self.config.activation)?;
        }
        let x = self.depthwise(&format!("{name}.depthwise"), x, block.stride)?;
        let x = self.pointwise(&format!("{name}.project"), x, block.channels, Activation::Identity)?;
        if block.residual { self.graph.add(&format!("{name}.add"), x, input) } else { Ok(x) }
    }

    fn convolution(&mut self, unit: &str, x: NodeId, channels: u32, stride: u32) -> Result<NodeId> {
        let conv = Conv2d::new([3, 3], channels).stride(stride).padding(self.padding(x, stride, false));
        self.unit(unit, x, conv, self.config.activation)
    }

    fn depthwise(&mut self, unit: &str, x: NodeId, stride: u32) -> Result<NodeId> {
        let channels = self.graph.shape(x).channels;
        let conv = Conv2d::depthwise([3, 3], channels).stride(stride).padding(self.padding(x, stride, true));
        self.unit(unit, x, conv, self.config.activation)
    }

    fn pointwise(&mut self, unit: &str, x: NodeId, channels: u32, activation: Activation) -> Result<NodeId> {
        self.unit(unit, x, Conv2d::new([1, 1], channels), activation)
    }

    /// SAME depends on the size of this very input, so padding is settled layer by layer.
    fn padding(&self, x: NodeId, stride: u32, depthwise: bool) -> Padding {
        let Shape { height, width, .. } = self.graph.shape(x);
        match self.config.padding {
            PaddingRule::Symmetric => Padding::symmetric(1),
            PaddingRule::SameKeras if depthwise && stride != 1 => Padding { bottom: 1, right: 1, ..Padding::default() },
            PaddingRule::Same | PaddingRule::SameKeras => Padding::same(height, width, [3, 3], stride),
        }
    }

    /// A convolution, its norm and its activation; the last of them is called `unit`.
    fn unit(&mut self, unit: &str, x: NodeId, mut conv: Conv2d, activation: Activation) -> Result<NodeId> {
        let (norm, activated) = (self.config.batch_norm, activation != Activation::Identity);
        let named = |last: bool, part: &str| if last { unit.to_string() } else { format!("{unit}.{part}") };
        conv.filters = Param::tensor(format!("{unit}.filters"));
        conv.bias = self.config.conv_bias.then(|| Param::tensor(format!("{unit}.bias")));
        let mut x = self.graph.conv2d(&named(norm.is_none() && !activated, "conv"), x, conv)?;
        if let Some(epsilon) = norm {
            x = self.graph.batch_norm(&named(!activated, "norm"), x, Norm::named(unit, epsilon))?;
        }
        if activated {
            x = self.graph.activation(unit, x, activation)?;
        }
        Ok(x)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn shape(graph: &Graph, name: &str) -> Shape {
        graph.node(graph.find(name).unwrap()).shape
    }

    #[test]
    fn v2_has_the_papers_shapes() -> Result<()> {
        let graph = MobileNetConfig::v2(1.0).graph()?;
        assert_eq!(shape(&graph, "stem"), Shape::new(112, 112, 32));
        assert_eq!(shape(&graph, "block2.expand"), Shape::new(112, 112, 96));
        assert_eq!(shape(&graph, "block3.add"), Shape::new(56, 56, 24));
        assert_eq!(shape(&graph, "features"), Shape::new(7, 7, 1280));
        assert_eq!(shape(&graph, "logits"), Shape::new(1, 1, 1000));
        assert!(graph.find("block1.expand").is_none() && graph.find("block1.add").is_none());
        Ok(())
    }

    #[test]
    fn a_unit_is_called_by_its_last_node() -> Result<()> {
        let graph = MobileNetConfig::v2(1.0).graph()?;
        let op = |name: &str| graph.find(name).map(|id| graph.node(id).op.name());
        assert_eq!(op("block3.expand"), Some("activation"));
        assert_eq!(op("block3.expand.norm"), Some("batch_norm"));
        assert_eq!(op("block3.project"), Some("batch_norm"));
        let graph = MobileNetConfig::v2(1.0).folded().graph()?;
        let op = |name: &str| graph.find(name).map(|id| graph.node(id).op.name());
        assert_eq!(op("block3.expand.conv"), Some("pointwise"));
        assert_eq!(op("block3.project"), Some("pointwise"));
        Ok(())
    }

    #[test]
    fn parameters_are_named_after_the_unit() -> Result<()> {
        for (config, parts) in [(MobileNetConfig::v1(0.5), 5), (MobileNetConfig::v1(0.5).folded(), 2)] {
            let graph = config.graph()?;
            let names: Vec<&str> = graph.nodes().iter().flat_map(|n| n.op.params()).flat_map(Param::tensors).collect();
            assert_eq!(names.len(), 27 * parts + 2);
            assert!(names.contains(&"block13.pointwise.filters") && names.contains(&"logits.weights"));
            assert_eq!(names.contains(&"stem.bias"), config.conv_bias);
            assert_eq!(names.contains(&"stem.norm.variance"), config.batch_norm.is_some());
        }
        Ok(())
    }

    #[test]
    fn same_padding_follows_the_parity() -> Result<()> {
        let config = MobileNetConfig { padding: PaddingRule::Same, ..MobileNetConfig::v1(1.0) };
        let paddings = |input: [u32; 2]| -> Result<Padding> {
            let graph = config.clone().with_input(input).graph()?;
            let stem = graph.nodes().iter().find(|n| n.name == "stem.conv");
            let Some(crate::graph::Op::Conv2d(conv)) = stem.map(|n| &n.op) else { panic!("{graph}") };
            Ok(conv.padding)
        };
        assert_eq!(paddings([96, 97])?, Padding { top: 0, left: 1, bottom: 1, right: 1 });
        assert_eq!(paddings([97, 96])?, Padding { top: 1, left: 0, bottom: 1, right: 1 });
        Ok(())
    }

    #[test]
    fn backbones_end_with_the_pool() -> Result<()> {
        let graph = MobileNetConfig::v2(0.5).with_classes(None).graph()?;
        assert_eq!(graph.node(graph.outputs()[0]).name, "pool");
        assert!(graph.find("logits").is_none());
        Ok(())
    }

    #[test]
    fn any_size_makes_a_network() -> Result<()> {
        for padding in [PaddingRule::Symmetric, PaddingRule::Same] {
            for input in [[1, 1], [1, 7], [31, 33], [97, 131], [160, 224]] {
                let config = MobileNetConfig { padding, ..MobileNetConfig::v2(0.35) };
                let graph = config.with_input(input).graph()?;
                let side = |n: u32| n.div_ceil(32);
                assert_eq!(shape(&graph, "features"), Shape::new(side(input[0]), side(input[1]), 1280));
            }
        }
        Ok(())
    }
}
