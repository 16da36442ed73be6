//! A case with data: inputs and parameters by rule, and what the reference makes of them.
//!
//! All values are fractions of 256 of few bits, so that they are the same in f16 and the reference needs no rounding.

use super::candidate::padded_bytes;
use crate::engine::pipelines::filled_buffer;
use crate::gpu::DeviceProfile;
use crate::graph::{Activation, Conv2d, Graph, GraphBuilder, Node, Norm, Padding, Param, Shape, passes, quads};
use crate::kernel::{self, Case, OpKind, Packing, Precision, WeightShape};
use crate::plan::{self, Weight};
use crate::{Error, Result, Tensor, reference};

/// A case, its parameters and inputs.
#[derive(Debug)]
pub(super) struct Problem {
    pub case: Case,
    /// The op with its inputs but for a residual of its own.
    graph: Graph,
    /// The node that the kernels compute, for its parameters.
    node: Node,
}

/// Inputs and the values that are right for them.
#[derive(Debug)]
pub(super) struct Data {
    pub input: Vec<f32>,
    pub residual: Option<Vec<f32>>,
    pub expected: Vec<f32>,
}

impl Problem {
    /// # Errors
    /// [`Error::Graph`] for a case whose shapes do not fit each other.
    pub fn new(case: Case) -> Result<Self> {
        let graph = graph(&case)?;
        let passed = passes::run(&graph, &["fold_batch_norm"]);
        let fused = passes::fuse_blocks(&passed, |_, _| matches!(case.op, OpKind::Separable | OpKind::InvertedResidual));
        let node = fused.outputs().first().map(|id| fused.node(*id).clone());
        let node = node.filter(|n| n.shape == case.output).ok_or_else(|| Error::Graph {
            node: case.op.to_string(),
            message: format!("{case} gives {}, not {}", graph.node(graph.outputs()[0]).shape, case.output),
        })?;
        Ok(Self { case, graph, node })
    }

    /// Inputs by `seed`, and nothing that would be right for them.
    pub fn inputs(&self, seed: u64) -> Data {
        let case = &self.case;
        let values = |seed, shape: Shape| dyadic(seed, (u64::from(case.batch) * shape.elements()) as usize, 1.0);
        let residual = reads_residual(case).then(|| values(seed ^ 0x5EED, case.output));
        Data { input: values(seed, case.input), residual, expected: Vec::new() }
    }

    /// Inputs by `seed`, and what they give.
    ///
    /// # Errors
    /// Those of the reference.
    pub fn data(&self, seed: u64) -> Result<Data> {
        let case = &self.case;
        let Data { input, residual, .. } = self.inputs(seed);
        let mut expected = if case.op == OpKind::Add {
            input.clone()
        } else {
            let tensor = Tensor::from_nhwc(case.batch, case.input, input.clone())?;
            let params = |param: &Param| param.evaluate(&|name| Ok(self.tensor(name)));
            reference::run(&self.graph, &params, &tensor)?.swap_remove(0).data
        };
        if let Some(residual) = &residual {
            let (low, high) = case.activation.limits();
            expected.iter_mut().zip(residual).for_each(|(v, r)| *v = (*v + r).clamp(low, high));
        }
        Ok(Data { input, residual, expected })
    }

    /// Filters and biases of the case, each as its binding reads it.
    pub fn weights(&self, packing: Packing) -> (Vec<Weight>, Vec<Weight>) {
        plan::weights(&self.node, &self.case, packing)
    }

    /// A parameter on the device.
    ///
    /// # Errors
    /// [`Error::Tensor`] for an expression that cannot be evaluated, [`Error::Device`] where there is no memory.
    pub fn upload(&self, device: &wgpu::Device, weight: &Weight, precision: Precision) -> Result<wgpu::Buffer> {
        let values = weight.param.evaluate(&|name| Ok(self.tensor(name)))?;
        filled_buffer(device, "weights", &kernel::pack(&values, weight.shape, weight.packing, precision))
    }

    /// A tensor by its name, such as `op.filters`.
    fn tensor(&self, name: &str) -> Vec<f32> {
        let (unit, part) = name.split_once('.').unwrap_or((name, ""));
        let Some(node) = self.graph.nodes().iter().find(|n| n.name == unit) else { return Vec::new() };
        let seed = name.bytes().fold(0x0bad_cafe_u64, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b)));
        match (&node.op, part) {
            (crate::graph::Op::Conv2d(c), "filters") => {
                let channels = self.graph.input_shape(node).map_or(1, |s| s.channels);
                let n: usize = c.filter_shape(channels).iter().product();
                // So that a sum of products is of the size of its terms.
                let fan_in = n as f32 / c.out_channels as f32;
                dyadic(seed, n, 2f32.powi(-(fan_in.sqrt().log2().round() as i32)))
            }
            // Most sums inside the clamp, where a difference shows; some at either of its ends.
            (_, "bias") => {
                let offsets = [1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 5.75];
                let values = dyadic(seed, node.shape.channels as usize, 0.25).into_iter().zip(offsets.into_iter().cycle());
                values.map(|(v, offset)| v + offset).collect()
            }
            (_, "norm.variance") => dyadic(seed, node.shape.channels as usize, 0.5).into_iter().map(|v| v + 1.0).collect(),
            _ => dyadic(seed, node.shape.channels as usize, 0.5),
        }
    }
}

/// Whether the kernel reads a second input that is not its first.
pub(super) fn reads_residual(case: &Case) -> bool {
    case.residual && case.op != OpKind::InvertedResidual
}

/// Whether a device has room for each of a case's buffers.
///
/// # Errors
/// [`Error::Limit`] with what the largest needs and what the device allows.
pub fn fits(case: &Case, precision: Precision, profile: &DeviceProfile) -> Result<()> {
    let [cin, cout, hidden] = [case.input.channels, case.output.channels, case.hidden].map(|n| 4 * u128::from(quads(n)));
    let taps = case.kernel.iter().map(|n| u128::from(*n)).product::<u128>();
    let filters = match case.op {
        OpKind::Convolution => taps * cin * cout,
        OpKind::Depthwise => taps * cout,
        OpKind::Pointwise => cin * cout,
        OpKind::Separable => (taps * cin).max(cin * cout),
        OpKind::InvertedResidual => (taps.max(cin).max(cout)) * hidden,
        _ => 0,
    };
    let activations = [case.input, case.output].map(|shape| padded_bytes(case.batch, shape, precision));
    let needed = activations.into_iter().fold(filters * u128::from(precision.bytes()), u128::max);
    let available = profile.max_storage_binding.min(profile.max_buffer_size);
    // What is more than pixels can be counted is more than any buffer holds.
    if needed <= available.into() && case.pixels() < u32::MAX {
        return Ok(());
    }
    Err(Error::Limit {
        node: format!("{} {case}", case.op),
        limit: "max_storage_buffer_binding_size",
        needed: needed.try_into().unwrap_or(u64::MAX),
        available,
        hint: "use a smaller shape or batch".into(),
    })
}

/// Bytes that a case must move at the least: inputs, parameters and output, each once.
///
/// # Errors
/// [`Error::Graph`](crate::Error::Graph) for a case that no graph can hold.
pub fn traffic(case: &Case, precision: Precision) -> Result<u64> {
    let problem = Problem::new(*case)?;
    let (weights, biases) = problem.weights(Packing::Rows);
    let parameters: u64 = weights.iter().chain(&biases).map(|w: &Weight| WeightShape::packed(&w.shape, w.packing)).sum();
    let padded = |shape: Shape| u64::from(case.batch) * shape.padded_elements();
    let activations = padded(case.input) + padded(case.output) * if reads_residual(case) { 2 } else { 1 };
    Ok((activations + parameters) * precision.bytes())
}

/// The case as a graph: the separate ops of a block; without the residual that is a second input, and without the
/// activation behind it.
fn graph(case: &Case) -> Result<Graph> {
    let mut g = GraphBuilder::new();
    let x = g.input("input", case.input)?;
    let last_activation = if reads_residual(case) { Activation::Identity } else { case.activation };
    let spatial = |c: Conv2d| Conv2d { padding: padding(case), stride: case.stride, ..c.with_bias() };
    let pointwise = |channels| Conv2d::new([1, 1], channels).with_bias();
    let depthwise = |channels| spatial(Conv2d::depthwise(case.kernel, channels));
    let out = case.output.channels;
    let y = match case.op {
        OpKind::Convolution => g.conv2d("op", x, spatial(Conv2d::new(case.kernel, out)).with_activation(last_activation))?,
        OpKind::Depthwise => g.conv2d("op", x, depthwise(out).with_activation(last_activation))?,
        OpKind::Pointwise => g.conv2d("op", x, pointwise(out).with_activation(last_activation))?,
        OpKind::BatchNorm => g.batch_norm("op", x, Norm::named("op", 1e-3))?,
        OpKind::Activation => g.activation("op", x, case.activation)?,
        OpKind::Add => x,
        OpKind::Pool => g.global_average_pool("op", x)?,
        OpKind::Softmax => g.softmax("op", x)?,
        OpKind::Separable => {
            let middle = g.conv2d("depthwise", x, depthwise(case.input.channels).with_activation(case.hidden_activation))?;
            g.conv2d("pointwise", middle, pointwise(out).with_activation(last_activation))?
        }
        OpKind::InvertedResidual => {
            let wide = g.conv2d("expand", x, pointwise(case.hidden).with_activation(case.hidden_activation))?;
            let middle = g.conv2d("depthwise", wide, depthwise(case.hidden).with_activation(case.hidden_activation))?;
            let project = pointwise(out);
            if case.residual {
                let y = g.conv2d("project", middle, project)?;
                let sum = g.add("add", y, x)?;
                g.activation("activation", sum, case.activation)?
            } else {
                g.conv2d("project", middle, project.with_activation(case.activation))?
            }
        }
    };
    g.finish(&[y])
}

/// The padding that makes the case's output of its input; a case names its upper and left sides only.
fn padding(case: &Case) -> Padding {
    let after = |out: u32, input: u32, kernel: u32, before: u32| {
        (u64::from(out.max(1) - 1) * u64::from(case.stride) + u64::from(kernel)).saturating_sub(u64::from(input) + u64::from(before)) as u32
    };
    let [top, left] = case.padding;
    Padding {
        top,
        left,
        bottom: after(case.output.height, case.input.height, case.kernel[0], top),
        right: after(case.output.width, case.input.width, case.kernel[1], left),
    }
}

/// `n` values in -1..1 times `scale`, a power of two; each is a multiple of `scale / 256`.
fn dyadic(seed: u64, n: usize, scale: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 55) as f32 - 255.5).round_ties_even() / 256.0 * scale
    };
    (0..n).map(|_| next()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn block(residual: bool) -> Case {
        Case {
            op: OpKind::InvertedResidual,
            batch: 2,
            input: Shape::new(7, 6, 8),
            output: Shape::new(7, 6, 8),
            kernel: [3, 3],
            stride: 1,
            padding: [1, 1],
            activation: Activation::Identity,
            residual,
            hidden: 24,
            hidden_activation: Activation::Relu6,
        }
    }

    #[test]
    fn data_is_exact_in_f16_and_differs_by_seed() {
        let values = dyadic(3, 1000, 0.25);
        assert!(values.iter().all(|v| half::f16::from_f32(*v).to_f32() == *v && v.abs() <= 0.25));
        assert_ne!(values, dyadic(4, 1000, 0.25));
    }

    #[test]
    fn blocks_have_the_parameters_of_their_parts() {
        for residual in [false, true] {
            let problem = Problem::new(block(residual)).unwrap();
            let (weights, biases) = problem.weights(Packing::Rows);
            let elements: Vec<u64> = weights.iter().map(|w| w.shape.elements()).collect();
            assert_eq!((elements, biases.len()), (vec![8 * 24, 9 * 24, 24 * 8], 3));
            let data = problem.data(1).unwrap();
            assert_eq!((data.expected.len(), data.residual), (2 * 7 * 6 * 8, None));
        }
    }

    #[test]
    fn padding_is_found_from_the_shapes() {
        let same = Case { input: Shape::new(8, 8, 8), output: Shape::new(4, 4, 8), stride: 2, padding: [0, 0], ..block(false) };
        assert_eq!(padding(&same), Padding { top: 0, left: 0, bottom: 1, right: 1 });
        let wrong = Case { output: Shape::new(9, 9, 8), op: OpKind::Pointwise, ..same };
        assert!(Problem::new(wrong).is_err());
    }

    #[test]
    fn traffic_counts_everything_once() {
        let case = Case { op: OpKind::Pointwise, residual: true, hidden: 0, kernel: [1, 1], padding: [0, 0], ..block(true) };
        let values = 2 * 42 * 8 * 3 + 8 * 8 + 8;
        assert_eq!(traffic(&case, Precision::F32).unwrap(), values * 4);
        assert_eq!(traffic(&case, Precision::F16).unwrap(), values * 2);
    }
}
