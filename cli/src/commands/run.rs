//! `mobilenet run`: exact tensors in, exact tensors out.

use crate::backend::{self, Backend};
use crate::failure::{Failure, Outcome, Status, tell};
use crate::model;
use crate::options::{DeviceOptions, ModelOptions};
use crate::output::{Output, Table};
use crate::tensors::{self, Named, Written};
use clap::ValueEnum;
use mobilenet_wgpu::engine::SessionOptions;
use mobilenet_wgpu::graph::{Graph, NodeId, Op};
use mobilenet_wgpu::{Classifier, Model, Tensor};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  mobilenet run --model model.safetensors --input in.safetensors --output out.safetensors
  mobilenet run --model model.safetensors --input cat.npy --outputs logits,embedding,block3.expand --output out.safetensors
  mobilenet run --input in.safetensors                     prints what each output is like

Every f32 tensor of shape [3, H, W] or [N, 3, H, W] in the input is run as it is: normalise it before. An .npy file's
tensor is named by the file's stem. For each, OUTPUT:NAME is written, such as logits:input_1: vectors as [N, C] or [C],
maps as [N, C, H, W] or [C, H, W] (--layout nhwc: [N, H, W, C] or [H, W, C]); without N where the input has none.
Outputs are nodes by name (`mobilenet summary` lists them), embedding (= pool) and features (the last convolution).";

/// Exact tensors in, exact tensors out, for comparing frameworks
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelOptions,
    /// Tensors, already normalised: .safetensors or .npy
    #[arg(long, short, value_name = "FILE")]
    input: PathBuf,
    /// What is wanted, with commas: logits, probabilities, embedding, features, or any node
    /// [default: logits; embedding of a backbone]
    #[arg(long, value_name = "NODE,NODE…", value_delimiter = ',')]
    outputs: Vec<String>,
    /// Where to write it: .safetensors
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Order of the axes of written maps
    #[arg(long, value_enum, default_value_t)]
    layout: Layout,
    /// Pictures at a time [default: what is good for the device]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// Graph passes to leave out, with commas
    #[arg(long, value_name = "PASS,PASS…", value_delimiter = ',')]
    without: Vec<String>,
    /// One JSON object that says what was computed
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceOptions,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Layout {
    #[default]
    Nchw,
    Nhwc,
}

/// Runs the tensors.
pub fn run(arguments: &Arguments) -> Outcome {
    let contents = tensors::read(&arguments.input)?;
    if !contents.others.is_empty() {
        let others: Vec<_> = contents.others.iter().map(|(name, why)| format!("`{name}` ({why})")).collect();
        tell(&format!("note: not run, as no f32 of shape [3, H, W] or [N, 3, H, W]: {}", others.join(", ")));
    }
    if contents.pictures.is_empty() {
        let message = "there is no f32 tensor of shape [3, H, W] or [N, 3, H, W] in it";
        return Err(Failure::new(format!("{}: {message}", arguments.input.display())));
    }
    let (model, _) = model::load(&arguments.model)?;
    let backend = backend::open(&arguments.device)?;
    let mut work = Work { arguments, model, backend, sessions: BTreeMap::new() };
    let mut written = Vec::new();
    for picture in &contents.pictures {
        written.extend(work.run(picture)?);
    }
    if let Some(path) = &arguments.output {
        tensors::write(path, &written)?;
    }
    report(arguments, &work, &written)?;
    Ok(Status::Good)
}

struct Work<'a> {
    arguments: &'a Arguments,
    model: Model,
    backend: Backend,
    /// By height, width and batch.
    sessions: BTreeMap<([u32; 2], u32), (Classifier, BTreeSet<String>)>,
}

impl Work<'_> {
    fn outputs(&self) -> Vec<String> {
        let is_classifier = self.model.recognition().classes.is_some();
        match (self.arguments.outputs.is_empty(), is_classifier) {
            (false, _) => self.arguments.outputs.clone(),
            (true, true) => vec!["logits".into()],
            (true, false) => vec!["embedding".into()],
        }
    }

    fn run(&mut self, input: &Named) -> Outcome<Vec<Written>> {
        let size = [input.tensor.shape.height, input.tensor.shape.width];
        let batch = self.arguments.batch.unwrap_or_else(|| self.backend.batch_for(input.tensor.batch as usize, size));
        let key = (size, batch.min(input.tensor.batch));
        if !self.sessions.contains_key(&key) {
            let made = self.session(size, key.1)?;
            self.sessions.insert(key, made);
        }
        let Some((session, vectors)) = self.sessions.get_mut(&key) else { return Ok(Vec::new()) };
        let outputs = session.run(&input.tensor)?;
        let layout = self.arguments.layout;
        let written = |(name, tensor): &(String, Tensor)| {
            let shape = Shown { is_vector: vectors.contains(name), single: input.single, layout };
            Written { name: format!("{name}:{}", input.name), shape: shape.dimensions(tensor), values: shape.values(tensor) }
        };
        Ok(outputs.tensors.iter().map(written).collect())
    }

    /// A session for a size, and those of its outputs that are vectors.
    fn session(&self, size: [u32; 2], batch: u32) -> Outcome<(Classifier, BTreeSet<String>)> {
        let outputs = self.outputs();
        let graph = self.model.graph(Some(size))?;
        let vectors = outputs.iter().filter(|name| graph.find(name).is_some_and(|id| is_vector(&graph, id))).cloned().collect();
        let without_passes = self.arguments.without.clone();
        let options = SessionOptions { size: Some(size), batch, outputs, without_passes, ..SessionOptions::default() };
        Ok((self.backend.classifier(&self.model, &self.arguments.device, options)?, vectors))
    }
}

/// Whether a node gives one vector for a picture, and not a map that happens to have one pixel.
fn is_vector(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    match node.op {
        Op::GlobalAveragePool | Op::Linear(_) => true,
        Op::Softmax | Op::Activation(_) | Op::Add | Op::BatchNorm(_) => node.inputs.first().is_some_and(|input| is_vector(graph, *input)),
        _ => false,
    }
}

/// How a tensor is written.
struct Shown {
    is_vector: bool,
    single: bool,
    layout: Layout,
}

impl Shown {
    fn dimensions(&self, tensor: &Tensor) -> Vec<usize> {
        let [n, h, w, c] = [tensor.batch, tensor.shape.height, tensor.shape.width, tensor.shape.channels].map(|n| n as usize);
        let mut dimensions = match (self.is_vector, self.layout) {
            (true, _) => vec![n, c],
            (false, Layout::Nchw) => vec![n, c, h, w],
            (false, Layout::Nhwc) => vec![n, h, w, c],
        };
        if self.single {
            dimensions.remove(0);
        }
        dimensions
    }
    fn values(&self, tensor: &Tensor) -> Vec<f32> {
        if self.layout == Layout::Nchw { tensor.to_nchw() } else { tensor.data.clone() }
    }
}

/// Tells what was computed: with `--output` on standard error, else it is the result itself.
fn report(arguments: &Arguments, work: &Work<'_>, written: &[Written]) -> Outcome<()> {
    let mut out = Output::new();
    let computed_on = work.sessions.values().next().map(|(session, _)| session.backend()).unwrap_or_default();
    if arguments.json {
        let described = |t: &Written| {
            let [least, mean, most] = statistics(&t.values);
            json!({"name": t.name, "shape": t.shape, "min": least, "mean": mean, "max": most})
        };
        let tensors: Vec<_> = written.iter().map(described).collect();
        out.json_pretty(&json!({"adapter": computed_on, "output": arguments.output, "tensors": tensors}))?;
        return out.flush();
    }
    if let Some(path) = &arguments.output {
        tell(&format!("{} tensors in {}, computed on {computed_on}", written.len(), path.display()));
        return Ok(());
    }
    out.line(out.dim(format!("computed on {computed_on}; --output FILE.safetensors writes the values")))?;
    let mut table = Table::new(&["tensor", "shape", "min", "mean", "max"], &[2, 3, 4]);
    for tensor in written {
        let [least, mean, most] = statistics(&tensor.values).map(|v| format!("{v:.6}"));
        table.row([tensor.name.clone(), format!("{:?}", tensor.shape), least, mean, most]);
    }
    table.write(&mut out)?;
    out.flush()
}

/// Least, mean and greatest value.
fn statistics(values: &[f32]) -> [f64; 3] {
    let (mut least, mut most, mut sum) = (f64::INFINITY, f64::NEG_INFINITY, 0.0);
    for value in values.iter().map(|v| f64::from(*v)) {
        (least, most, sum) = (least.min(value), most.max(value), sum + value);
    }
    [least, sum / values.len().max(1) as f64, most]
}
