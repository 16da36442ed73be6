//! The operations and what they cost.

use super::{Param, Shape};
use std::fmt;

/// What follows a convolution, as limits of a clamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// Nothing: V2's linear bottleneck.
    #[default]
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

impl Activation {
    /// The clamp's limits; none are the largest finite values, so that a clamp changes nothing.
    pub const fn limits(self) -> (f32, f32) {
        match self {
            Activation::Identity => (f32::MIN, f32::MAX),
            Activation::Relu => (0.0, f32::MAX),
            Activation::Relu6 => (0.0, 6.0),
        }
    }
    /// `identity`, `relu` or `relu6`.
    pub const fn name(self) -> &'static str {
        match self {
            Activation::Identity => "identity",
            Activation::Relu => "relu",
            Activation::Relu6 => "relu6",
        }
    }
}

/// Zero rows and columns around the input, per side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, serde::Serialize)]
pub struct Padding {
    /// Rows above.
    pub top: u32,
    /// Columns to the left.
    pub left: u32,
    /// Rows below.
    pub bottom: u32,
    /// Columns to the right.
    pub right: u32,
}

impl Padding {
    /// `n` on every side.
    pub const fn symmetric(n: u32) -> Self {
        Self { top: n, left: n, bottom: n, right: n }
    }
    /// TensorFlow's SAME: the output is `ceil(input / stride)`, and an odd remainder goes to the bottom and right.
    pub const fn same(height: u32, width: u32, kernel: [u32; 2], stride: u32) -> Self {
        const fn total(n: u32, k: u32, s: u32) -> u32 {
            let s = if s == 0 { 1 } else { s };
            let last = n.div_ceil(s).saturating_sub(1).saturating_mul(s);
            last.saturating_add(k).saturating_sub(n)
        }
        let (v, h) = (total(height, kernel[0], stride), total(width, kernel[1], stride));
        Self { top: v / 2, left: h / 2, bottom: v - v / 2, right: h - h / 2 }
    }
}

/// How a convolution's input channels are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Groups {
    /// Every output channel reads every input channel.
    #[default]
    Dense,
    /// Output channel `c` reads input channel `c` alone.
    Depthwise,
}

/// A convolution with the epilogue that passes fuse into it: `clamp(conv(x) + bias (+ residual), activation)`.
///
/// Filters are `[Ky, Kx, Cin, Cout]` (dense) or `[Ky, Kx, C]` (depthwise).
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    /// Height and width of the filters.
    pub kernel: [u32; 2],
    /// Step in both directions.
    pub stride: u32,
    /// Zeros around the input.
    pub padding: Padding,
    /// Dense or depthwise.
    pub groups: Groups,
    /// Output channels.
    pub out_channels: u32,
    /// Filters; empty names are filled in by the builder as `NODE.filters`.
    pub filters: Param,
    /// Bias, `[Cout]`.
    pub bias: Option<Param>,
    /// Clamp at the end.
    pub activation: Activation,
    /// Whether the second input is added before the activation.
    pub residual: bool,
}

impl Conv2d {
    /// A dense convolution at stride 1 without padding or bias; its filters are called `NODE.filters`.
    pub fn new(kernel: [u32; 2], out_channels: u32) -> Self {
        Self {
            kernel,
            stride: 1,
            padding: Padding::default(),
            groups: Groups::Dense,
            out_channels,
            filters: Param::tensor(""),
            bias: None,
            activation: Activation::Identity,
            residual: false,
        }
    }
    /// A depthwise convolution over `channels` channels.
    pub fn depthwise(kernel: [u32; 2], channels: u32) -> Self {
        Self { groups: Groups::Depthwise, ..Self::new(kernel, channels) }
    }
    /// With another stride.
    pub fn stride(mut self, stride: u32) -> Self {
        self.stride = stride;
        self
    }
    /// With zeros around the input.
    pub fn padding(mut self, padding: Padding) -> Self {
        self.padding = padding;
        self
    }
    /// With a bias called `NODE.bias`.
    pub fn with_bias(mut self) -> Self {
        self.bias = Some(Param::tensor(""));
        self
    }
    /// With an activation of its own.
    pub fn with_activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }
    /// 1x1, stride 1, dense, no padding: a matrix product over pixels.
    pub fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == 1 && self.groups == Groups::Dense && self.padding == Padding::default()
    }
    /// The output's height and width; `None` if the filter does not fit.
    pub fn output_size(&self, input: Shape) -> Option<(u32, u32)> {
        let p = self.padding;
        let side = |n: u32, before: u32, after: u32, kernel: u32| {
            let padded = n.checked_add(before)?.checked_add(after)?;
            Some(padded.checked_sub(kernel)? / self.stride.max(1) + 1)
        };
        Some((side(input.height, p.top, p.bottom, self.kernel[0])?, side(input.width, p.left, p.right, self.kernel[1])?))
    }
    /// Shape of the filters for an input of `in_channels`.
    pub fn filter_shape(&self, in_channels: u32) -> Vec<usize> {
        let [ky, kx] = self.kernel.map(|k| k as usize);
        match self.groups {
            Groups::Dense => vec![ky, kx, in_channels as usize, self.out_channels as usize],
            Groups::Depthwise => vec![ky, kx, self.out_channels as usize],
        }
    }
}

/// Batch normalisation at inference: `(x - mean) * gamma / sqrt(variance + epsilon) + beta`, a channel at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNorm {
    /// Its four vectors and epsilon.
    pub norm: super::Norm,
}

/// A fully connected layer; weights `[Cin, Cout]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// Outputs.
    pub out_channels: u32,
    /// Weights, `[Cin, Cout]`.
    pub weights: Param,
    /// Bias, `[Cout]`.
    pub bias: Option<Param>,
}

/// Depthwise then pointwise in one step (V1's block).
#[derive(Clone, Debug, PartialEq)]
pub struct SeparableBlock {
    /// The 3x3 depthwise convolution.
    pub depthwise: Conv2d,
    /// The 1x1 convolution.
    pub pointwise: Conv2d,
}

/// Expand, depthwise, project and the residual in one step (V2's block).
#[derive(Clone, Debug, PartialEq)]
pub struct InvertedResidual {
    /// The 1x1 expansion.
    pub expand: Conv2d,
    /// The 3x3 depthwise convolution.
    pub depthwise: Conv2d,
    /// The 1x1 projection; `residual` means the block's own input.
    pub project: Conv2d,
}

/// What a node computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// The network's input.
    Input,
    /// Any convolution; with `residual` the second input is added.
    Conv2d(Conv2d),
    /// Batch normalisation (until it is folded).
    BatchNorm(BatchNorm),
    /// An activation (until it is fused).
    Activation(Activation),
    /// Sum of two inputs of the same shape (until it is fused).
    Add,
    /// Mean over all pixels.
    GlobalAveragePool,
    /// Fully connected layer on `[1, 1, C]`.
    Linear(Linear),
    /// Softmax over the channels.
    Softmax,
    /// A depthwise-separable block as one step.
    SeparableBlock(Box<SeparableBlock>),
    /// An inverted residual as one step.
    InvertedResidual(Box<InvertedResidual>),
}

impl Op {
    /// The op's name, as the tool prints it.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Input => "input",
            Op::Conv2d(c) if c.groups == Groups::Depthwise => "depthwise",
            Op::Conv2d(c) if c.is_pointwise() => "pointwise",
            Op::Conv2d(_) => "convolution",
            Op::BatchNorm(_) => "batch_norm",
            Op::Activation(_) => "activation",
            Op::Add => "add",
            Op::GlobalAveragePool => "pool",
            Op::Linear(_) => "linear",
            Op::Softmax => "softmax",
            Op::SeparableBlock(_) => "separable",
            Op::InvertedResidual(_) => "inverted_residual",
        }
    }
    /// Multiply-accumulates for one picture: `Dk*Dk*M*N*Df*Df` dense, `Dk*Dk*M*Df*Df` depthwise (arXiv 1704.04861,
    /// equations 2 and 3); biases, norms and activations are not counted, as in the papers.
    pub fn macs(&self, input: Shape, output: Shape) -> u64 {
        match self {
            Op::Conv2d(c) => {
                let taps = u64::from(c.kernel[0]) * u64::from(c.kernel[1]);
                let inputs = if c.groups == Groups::Dense { u64::from(input.channels) } else { 1 };
                taps.saturating_mul(inputs).saturating_mul(output.elements())
            }
            Op::Linear(_) => input.elements().saturating_mul(u64::from(output.channels)),
            Op::SeparableBlock(b) => {
                let middle = Shape::new(output.height, output.width, input.channels);
                Op::Conv2d(b.depthwise.clone()).macs(input, middle) + Op::Conv2d(b.pointwise.clone()).macs(middle, output)
            }
            Op::InvertedResidual(b) => {
                let wide = Shape::new(input.height, input.width, b.expand.out_channels);
                let narrow = Shape::new(output.height, output.width, b.expand.out_channels);
                Op::Conv2d(b.expand.clone()).macs(input, wide)
                    + Op::Conv2d(b.depthwise.clone()).macs(wide, narrow)
                    + Op::Conv2d(b.project.clone()).macs(narrow, output)
            }
            _ => 0,
        }
    }
    /// The parameters it reads, each with the shape that it needs for an input.
    pub fn param_shapes(&self, input: Shape) -> Vec<(&Param, Vec<usize>)> {
        fn layer<'a>(weights: &'a Param, shape: Vec<usize>, bias: &'a Option<Param>) -> Vec<(&'a Param, Vec<usize>)> {
            let outputs = shape.last().copied().unwrap_or_default();
            std::iter::once((weights, shape)).chain(bias.iter().map(|b| (b, vec![outputs]))).collect()
        }
        fn conv(c: &Conv2d, inputs: u32) -> Vec<(&Param, Vec<usize>)> {
            layer(&c.filters, c.filter_shape(inputs), &c.bias)
        }
        let channels = input.channels;
        match self {
            Op::Conv2d(c) => conv(c, channels),
            Op::BatchNorm(b) => b.norm.params().into_iter().map(|p| (p, vec![channels as usize])).collect(),
            Op::Linear(l) => layer(&l.weights, vec![input.elements() as usize, l.out_channels as usize], &l.bias),
            Op::SeparableBlock(b) => [conv(&b.depthwise, channels), conv(&b.pointwise, channels)].concat(),
            Op::InvertedResidual(b) => {
                let wide = b.expand.out_channels;
                [conv(&b.expand, channels), conv(&b.depthwise, wide), conv(&b.project, wide)].concat()
            }
            Op::Input | Op::Activation(_) | Op::Add | Op::GlobalAveragePool | Op::Softmax => Vec::new(),
        }
    }
    /// The parameters it reads.
    pub fn params(&self) -> Vec<&Param> {
        self.param_shapes(Shape::new(1, 1, 1)).into_iter().map(|(param, _)| param).collect()
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        if let Op::Conv2d(c) = self {
            write!(f, " {}x{}", c.kernel[0], c.kernel[1])?;
            if c.stride != 1 {
                write!(f, " s{}", c.stride)?;
            }
            for (on, what) in [(c.bias.is_some(), "bias"), (c.residual, "residual")] {
                if on {
                    write!(f, " +{what}")?;
                }
            }
            if c.activation != Activation::Identity {
                write!(f, " {}", c.activation.name())?;
            }
        }
        Ok(())
    }
}
