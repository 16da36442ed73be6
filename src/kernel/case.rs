//! One kernel's problem as a value: shapes, stride, padding, epilogue. It is also the key of tuning records.

use super::OpKind;
use crate::graph::{Activation, Conv2d, Graph, Node, Op, Shape};
use serde::{Deserialize, Serialize};

/// What a kernel has to compute, without its data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Kind of kernel.
    pub op: OpKind,
    /// Pictures.
    pub batch: u32,
    /// Shape of the input, one picture.
    pub input: Shape,
    /// Shape of the output, one picture.
    pub output: Shape,
    /// Height and width of the filters; of the depthwise one in a fused block.
    pub kernel: [u32; 2],
    /// Stride; of the depthwise one in a fused block.
    pub stride: u32,
    /// Rows and columns of zeros above and to the left.
    pub padding: [u32; 2],
    /// Clamp at the end.
    pub activation: Activation,
    /// Whether a second input is added.
    pub residual: bool,
    /// Channels between the convolutions of a fused block, else 0.
    pub hidden: u32,
    /// Clamp after each but the last convolution of a fused block.
    pub hidden_activation: Activation,
}

impl Case {
    /// A case of 1x1 at stride 1, without padding, activation, residual or anything inside.
    pub const fn plain(op: OpKind, batch: u32, input: Shape, output: Shape) -> Self {
        Self {
            op,
            batch,
            input,
            output,
            kernel: [1, 1],
            stride: 1,
            padding: [0, 0],
            activation: Activation::Identity,
            residual: false,
            hidden: 0,
            hidden_activation: Activation::Identity,
        }
    }

    /// The case of a node; `None` for the input.
    pub fn of(graph: &Graph, node: &Node, batch: u32) -> Option<Self> {
        let input = graph.input_shape(node)?;
        let plain = |op| Case::plain(op, batch, input, node.shape);
        let conv = |op, c: &Conv2d| Case {
            kernel: c.kernel,
            stride: c.stride,
            padding: [c.padding.top, c.padding.left],
            activation: c.activation,
            residual: c.residual,
            ..plain(op)
        };
        Some(match &node.op {
            Op::Input => return None,
            Op::Conv2d(c) if c.is_pointwise() => conv(OpKind::Pointwise, c),
            Op::Conv2d(c) if c.groups == crate::graph::Groups::Depthwise => conv(OpKind::Depthwise, c),
            Op::Conv2d(c) => conv(OpKind::Convolution, c),
            Op::BatchNorm(_) => plain(OpKind::BatchNorm),
            Op::Activation(activation) => Case { activation: *activation, ..plain(OpKind::Activation) },
            Op::Add => Case { residual: true, ..plain(OpKind::Add) },
            Op::GlobalAveragePool => plain(OpKind::Pool),
            Op::Linear(_) => plain(OpKind::Pointwise),
            Op::Softmax => plain(OpKind::Softmax),
            Op::SeparableBlock(b) => Case {
                activation: b.pointwise.activation,
                residual: b.pointwise.residual,
                hidden: input.channels,
                hidden_activation: b.depthwise.activation,
                ..conv(OpKind::Separable, &b.depthwise)
            },
            Op::InvertedResidual(b) => Case {
                activation: b.project.activation,
                residual: b.project.residual,
                hidden: b.expand.out_channels,
                hidden_activation: b.expand.activation,
                ..conv(OpKind::InvertedResidual, &b.depthwise)
            },
        })
    }

    /// Output pixels of the whole batch; the largest number where there are more, which fits no device.
    pub const fn pixels(&self) -> u32 {
        self.batch.saturating_mul(self.output.height).saturating_mul(self.output.width)
    }

    /// Multiply-accumulates of the whole batch.
    pub fn macs(&self) -> u64 {
        let taps = u64::from(self.kernel[0]) * u64::from(self.kernel[1]);
        let (cin, cout, hidden) = (u64::from(self.input.channels), u64::from(self.output.channels), u64::from(self.hidden));
        let (before, after) = (self.input.pixels(), self.output.pixels());
        let one = match self.op {
            OpKind::Convolution => taps * cin * cout * after,
            OpKind::Depthwise => taps * cout * after,
            OpKind::Pointwise => cin * cout * after,
            OpKind::Separable => (taps * cin + cin * cout) * after,
            OpKind::InvertedResidual => cin * hidden * before + (taps * hidden + hidden * cout) * after,
            _ => 0,
        };
        one * u64::from(self.batch)
    }

    /// The same case for another batch.
    pub fn with_batch(self, batch: u32) -> Self {
        Self { batch, ..self }
    }
}

impl std::fmt::Display for Case {
    /// For instance `8x 56x56x24-144-24 k3 s1 p1,1 relu6 +residual`; the text is the key of tuning records.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x {}x{}x{}-", self.batch, self.input.height, self.input.width, self.input.channels)?;
        if self.hidden != 0 {
            write!(f, "{}-", self.hidden)?;
        }
        write!(f, "{}", self.output.channels)?;
        if self.kernel != [1, 1] || self.stride != 1 {
            write!(f, " k{}x{} s{} p{},{}", self.kernel[0], self.kernel[1], self.stride, self.padding[0], self.padding[1])?;
        }
        write!(f, " {}", self.activation.name())?;
        if self.residual {
            write!(f, " +residual")?;
        }
        Ok(())
    }
}
