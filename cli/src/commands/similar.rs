//! `mobilenet similar`: the pictures of an index that are most like one.

use super::embed::channels;
use crate::backend;
use crate::failure::{Failure, Outcome, Status, tell};
use crate::folders::identity;
use crate::folders::index::{Index, text};
use crate::model;
use crate::options::{DeviceOptions, ModelOptions};
use crate::output::{Output, Table, bar};
use crate::pictures::Place;
use mobilenet_wgpu::classifier::normalized;
use mobilenet_wgpu::engine::SessionOptions;
use mobilenet_wgpu::picture::DecodeLimits;
use serde::Serialize;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  mobilenet embed photos/ -o photos.safetensors
  mobilenet similar photo.jpg --index photos.safetensors
  mobilenet similar photo.jpg --index photos.safetensors --top 3 --json | jq -r '.[].path'

Similarity is the cosine of the embeddings. The model has to be the one that made the index.";

/// The most similar pictures of an index that `mobilenet embed` made
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The picture, or - for standard input
    query: PathBuf,
    /// File of embeddings, .safetensors or .npy
    #[arg(long, short, value_name = "FILE")]
    index: PathBuf,
    /// How many pictures
    #[arg(long, short = 'k', default_value_t = 10, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    #[command(flatten)]
    model: ModelOptions,
    /// One JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceOptions,
}

/// A picture of the index.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Neighbour {
    path: String,
    cosine: f32,
}

/// Finds the nearest pictures.
pub fn run(arguments: &Arguments) -> Outcome {
    let mut index = Index::open(&arguments.index)?;
    let (model, source) = model::load(&arguments.model)?;
    if let Some(why) = other_maker(&index, &model, &source.to_string())? {
        tell(&format!("note: {why}: the distances mean something only if both are made alike"));
    }
    let width = channels(&model)?;
    if width != index.channels {
        let index = format!("{}: its rows have {} values", arguments.index.display(), index.channels);
        return Err(Failure::new(format!("{index}, the model's embedding has {width}\nnext: --model with the model that made the index")));
    }
    let query = normalized(&query(arguments, &model)?);
    let found = nearest(&mut index, &query, arguments.top as usize)?;
    let mut out = Output::new();
    if arguments.json {
        out.json_pretty(&found)?;
    } else {
        let mut table = Table::new(&["cosine", "", "path"], &[0]);
        found.iter().for_each(|n| table.row([format!("{:.4}", n.cosine), bar(n.cosine, 20), n.path.clone()]));
        table.write(&mut out)?;
    }
    out.flush()?;
    Ok(Status::Good)
}

/// In what the index was made otherwise than the query will be; an older index does not tell all.
fn other_maker(index: &Index, model: &mobilenet_wgpu::Model, name: &str) -> Outcome<Option<String>> {
    let then = |field: &str| index.about.get(field).map(String::as_str);
    let (other, weights, preprocessing) = (then("model").unwrap_or("?"), identity::weights(model)?, text(&identity::preprocessing(model)));
    let (then, now) = match (then("weights"), then("preprocessing")) {
        (Some(then), _) if then != weights => (format!("{other} (weights {then})"), format!("{name} (weights {weights})")),
        (None, _) if other != "?" && other != name => (other.to_string(), name.to_string()),
        (_, Some(then)) if then != preprocessing => (format!("the preprocessing {then}"), preprocessing),
        _ => return Ok(None),
    };
    Ok(Some(format!("the index was made with {then}, this is {now}")))
}

fn query(arguments: &Arguments, model: &mobilenet_wgpu::Model) -> Outcome<Vec<f32>> {
    let place = if arguments.query == Path::new("-") { Place::Stdin } else { Place::File(arguments.query.clone()) };
    let picture = place.decode(&DecodeLimits::default()).map_err(|why| Failure::new(format!("{place}: {why}")))?;
    let options = SessionOptions { outputs: vec!["embedding".into()], ..SessionOptions::default() };
    let mut classifier = backend::open(&arguments.device)?.classifier(model, &arguments.device, options)?;
    let outputs = classifier.run_pictures(&[picture])?;
    Ok(outputs.get("embedding").map(|t| t.picture(0).to_vec()).unwrap_or_default())
}

/// The rows nearest to `query` (of length 1), the nearest first; of equal ones that which comes first.
fn nearest(index: &mut Index, query: &[f32], most: usize) -> Outcome<Vec<Neighbour>> {
    let mut best: Vec<(f32, usize)> = Vec::new();
    let mut row = vec![0.0; index.channels];
    for i in 0..index.paths.len() {
        index.next(&mut row)?;
        let dot: f64 = row.iter().zip(query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        let length = row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
        best.push(((dot / length.max(1e-12)) as f32, i));
        if best.len() >= 4 * most + 64 {
            keep(&mut best, most);
        }
    }
    keep(&mut best, most);
    Ok(best.into_iter().map(|(cosine, i)| Neighbour { path: index.paths[i].clone(), cosine }).collect())
}

fn keep(best: &mut Vec<(f32, usize)>, most: usize) {
    best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    best.truncate(most);
}
