//! Walking a graph: parameters evaluated once, each node's value kept until its last reader has run.

use super::convolution::{Window, convolution};
use super::depthwise::depthwise;
use super::elementwise::{self, Epilogue};
use super::linear::linear;
use super::pointwise::pointwise;
use super::pool::pool;
use super::softmax::softmax;
use crate::graph::{BatchNorm, Conv2d, Graph, Groups, InvertedResidual, Linear, Node, NodeId, Op, Param, Shape};
use crate::{Error, Result, Tensor};
use std::borrow::Cow;
use std::collections::HashMap;

/// A graph with the values of its parameters, ready to be run on the CPU any number of times, by any thread.
#[derive(Debug, Clone)]
pub struct Session {
    graph: Graph,
    /// Parameter values by the parameter's text.
    params: HashMap<String, Vec<f32>>,
    /// For each node the last node that reads it.
    last_readers: Vec<usize>,
}

/// The vectors by which a batch norm is applied: `x * scale + shift`.
fn norm_params(batch_norm: &BatchNorm) -> [Param; 2] {
    let norm = Box::new(batch_norm.norm.clone());
    [Param::NormScale(norm.clone()), Param::Shifted(None, norm)]
}

/// The parameters that a node needs here, each with its number of values: a norm is needed joined.
fn needed(op: &Op, input: Shape) -> Vec<(Param, usize)> {
    match op {
        Op::BatchNorm(b) => norm_params(b).into_iter().map(|p| (p, input.channels as usize)).collect(),
        _ => op.param_shapes(input).into_iter().map(|(p, shape)| (p.clone(), shape.iter().product())).collect(),
    }
}

/// `batch * shape` zeros, or an error where there is no memory for them.
fn zeros(node: &str, batch: u32, shape: Shape) -> Result<Vec<f32>> {
    let mut values = Vec::new();
    let length = u64::from(batch).checked_mul(shape.elements()).and_then(|n| usize::try_from(n).ok());
    match length.filter(|n| values.try_reserve_exact(*n).is_ok()) {
        Some(length) => values.resize(length, 0.0),
        None => return Err(Error::Input(format!("no memory for {batch}x{shape} values of node `{node}`: use a smaller batch or size"))),
    }
    Ok(values)
}

impl Session {
    /// Evaluates every parameter of `graph` by `params` (see [`Param::evaluate`]).
    ///
    /// # Errors
    /// What `params` gives, and [`Error::Tensor`] for a parameter with another number of values than its node needs.
    pub fn new(graph: &Graph, params: &dyn Fn(&Param) -> Result<Vec<f32>>) -> Result<Self> {
        let mut values = HashMap::new();
        let mut last_readers = vec![0; graph.nodes().len()];
        for (i, node) in graph.nodes().iter().enumerate() {
            node.inputs.iter().for_each(|input| last_readers[input.0] = i);
            let Some(input) = graph.input_shape(node) else { continue };
            for (param, expected) in needed(&node.op, input) {
                let key = param.to_string();
                let found = match values.get(&key) {
                    Some(values) => Vec::len(values),
                    None => values.entry(key.clone()).or_insert(params(&param)?).len(),
                };
                if found != expected {
                    let message = format!("node `{}` needs {expected} values, found {found}", node.name);
                    return Err(Error::Tensor { name: key, message });
                }
            }
        }
        Ok(Self { graph: graph.clone(), params: values, last_readers })
    }

    /// The graph that it runs.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The graph's outputs for a batch, one tensor each.
    ///
    /// # Errors
    /// [`Error::Input`] for a batch of another shape than the graph's input, or one that memory does not hold.
    pub fn run(&self, input: &Tensor) -> Result<Vec<Tensor>> {
        let expected = self.graph.input().map(|(_, shape)| shape).unwrap_or(input.shape);
        let length = u64::from(input.batch) * input.shape.elements();
        if input.shape != expected || length != input.data.len() as u64 {
            let message =
                format!("the network takes {expected}, not {} ({} values in {} pictures)", input.shape, input.data.len(), input.batch);
            return Err(Error::Input(message));
        }
        let dropped = |node: &Node| Error::Graph { node: node.name.clone(), message: "a value that it reads is gone".into() };
        let mut values: Vec<Option<Cow<[f32]>>> = vec![None; self.graph.nodes().len()];
        for (i, node) in self.graph.nodes().iter().enumerate() {
            let inputs: Option<Vec<&[f32]>> = node.inputs.iter().map(|x| values[x.0].as_deref()).collect();
            values[i] = match self.node(node, &inputs.ok_or_else(|| dropped(node))?, input.batch)? {
                Some(value) => Some(Cow::Owned(value)),
                None => Some(Cow::Borrowed(&input.data)),
            };
            for x in node.inputs.iter().filter(|x| self.last_readers[x.0] == i && !self.graph.outputs().contains(x)) {
                values[x.0] = None;
            }
        }
        let output = |id: &NodeId| {
            let node = self.graph.node(*id);
            let data = values[id.0].as_deref().ok_or_else(|| dropped(node))?.to_vec();
            Tensor::from_nhwc(input.batch, node.shape, data)
        };
        self.graph.outputs().iter().map(output).collect()
    }

    /// One node's value; `None` for the input, whose value is the caller's.
    fn node(&self, node: &Node, inputs: &[&[f32]], batch: u32) -> Result<Option<Vec<f32>>> {
        let (Some(x), Some(shape)) = (inputs.first().copied(), self.graph.input_shape(node)) else { return Ok(None) };
        let second = inputs.get(1).copied();
        let value = match &node.op {
            Op::Input => return Ok(None),
            Op::Conv2d(conv) => self.conv(&node.name, conv, x, shape, second.filter(|_| conv.residual), batch)?,
            Op::BatchNorm(b) => {
                let [scale, shift] = norm_params(b);
                elementwise::batch_norm(x.to_vec(), self.param(&scale), self.param(&shift))
            }
            Op::Activation(activation) => elementwise::activation(x.to_vec(), *activation),
            Op::Add => elementwise::sum(x.to_vec(), second.unwrap_or_default()),
            Op::GlobalAveragePool => {
                let mut out = zeros(&node.name, batch, node.shape)?;
                pool(x, shape.pixels() as usize, shape.channels as usize, &mut out);
                out
            }
            Op::Linear(l) => self.linear(node, l, x, shape, batch)?,
            Op::Softmax => softmax(x.to_vec(), shape.channels as usize),
            Op::SeparableBlock(b) => {
                let (middle, middle_shape) = self.conv_shaped(&node.name, &b.depthwise, x, shape, batch)?;
                self.conv(&node.name, &b.pointwise, &middle, middle_shape, second.filter(|_| b.pointwise.residual), batch)?
            }
            Op::InvertedResidual(b) => self.inverted_residual(&node.name, b, x, shape, batch)?,
        };
        Ok(Some(value))
    }

    /// A block as its three convolutions; its residual is its own input.
    fn inverted_residual(&self, name: &str, block: &InvertedResidual, x: &[f32], shape: Shape, batch: u32) -> Result<Vec<f32>> {
        let (wide, wide_shape) = self.conv_shaped(name, &block.expand, x, shape, batch)?;
        let (narrow, narrow_shape) = self.conv_shaped(name, &block.depthwise, &wide, wide_shape, batch)?;
        self.conv(name, &block.project, &narrow, narrow_shape, Some(x).filter(|_| block.project.residual), batch)
    }

    fn linear(&self, node: &Node, linear_op: &Linear, x: &[f32], shape: Shape, batch: u32) -> Result<Vec<f32>> {
        let mut out = zeros(&node.name, batch, node.shape)?;
        let sizes = [shape.elements() as usize, linear_op.out_channels as usize];
        linear(x, sizes, self.param(&linear_op.weights), linear_op.bias.as_ref().map(|b| self.param(b)), &mut out);
        Ok(out)
    }

    fn conv(&self, name: &str, conv: &Conv2d, x: &[f32], shape: Shape, residual: Option<&[f32]>, batch: u32) -> Result<Vec<f32>> {
        let output = conv_shape(name, conv, shape)?;
        let mut out = zeros(name, batch, output)?;
        let filters = self.param(&conv.filters);
        let bias = conv.bias.as_ref().map(|b| self.param(b));
        let epilogue = Epilogue { bias, residual, activation: conv.activation };
        let window = Window::new(conv, shape);
        match conv.groups {
            Groups::Depthwise => depthwise(x, window, output, filters, epilogue, &mut out),
            Groups::Dense if conv.is_pointwise() => {
                pointwise(x, [shape.channels as usize, output.channels as usize], filters, epilogue, &mut out);
            }
            Groups::Dense => convolution(x, window, output, filters, epilogue, &mut out),
        }
        Ok(out)
    }

    /// A convolution inside a block, with its output's shape.
    fn conv_shaped(&self, name: &str, conv: &Conv2d, x: &[f32], shape: Shape, batch: u32) -> Result<(Vec<f32>, Shape)> {
        Ok((self.conv(name, conv, x, shape, None, batch)?, conv_shape(name, conv, shape)?))
    }

    /// A parameter's values; `new` has evaluated all.
    fn param(&self, param: &Param) -> &[f32] {
        self.params.get(&param.to_string()).map(Vec::as_slice).unwrap_or_default()
    }
}

fn conv_shape(name: &str, conv: &Conv2d, input: Shape) -> Result<Shape> {
    let Some((height, width)) = conv.output_size(input) else {
        let message = format!("a {}x{} filter does not fit into {input}", conv.kernel[0], conv.kernel[1]);
        return Err(Error::Graph { node: name.to_string(), message });
    };
    Ok(Shape::new(height, width, conv.out_channels))
}
