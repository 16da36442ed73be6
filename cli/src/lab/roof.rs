//! `mobilenet lab roof`: what the adapter can do at the most, measured once and kept.

use crate::config;
use crate::failure::{Failure, Outcome, Status};
use crate::options::DeviceOptions;
use crate::output::Output;
use crate::tuning;
use mobilenet_wgpu::engine::Engine;
use mobilenet_wgpu::lab::Roof;
use mobilenet_wgpu::measure::Stopwatch;
use mobilenet_wgpu::tune::DeviceKey;
use std::path::PathBuf;

/// What this adapter can do at the most: arithmetic, memory, dispatches
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Measure again what is on record
    #[arg(long)]
    again: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceOptions,
}

fn place(engine: &Engine) -> Option<PathBuf> {
    let name = format!("{}.json", DeviceKey::of(engine.profile()).file_stem());
    config::folder().map(|folder| folder.join("roof").join(name))
}

/// The roof as it is on record; one that is damaged or of another driver is none.
pub fn known(engine: &Engine) -> Option<Roof> {
    let text = std::fs::read_to_string(place(engine)?).ok()?;
    serde_json::from_str::<Roof>(&text).ok().filter(|roof| roof.device == DeviceKey::of(engine.profile()))
}

pub fn run(arguments: &Arguments) -> Outcome {
    if arguments.device.cpu {
        return Err(Failure::new("the roof is of a GPU, if only a software one\nnext: leave --cpu out"));
    }
    let engine = Engine::open(&arguments.device.adapter_options())?;
    let roof = match known(&engine).filter(|_| !arguments.again) {
        Some(roof) => roof,
        None => {
            let watch = Stopwatch::new(engine.device(), engine.queue())?;
            let roof = Roof::measure(&engine, &watch)?;
            if let Some(path) = place(&engine) {
                tuning::save(&path, &serde_json::to_string_pretty(&roof).unwrap_or_default())?;
            }
            roof
        }
    };
    let mut out = Output::new();
    if arguments.json {
        out.json_pretty(&roof)?;
    } else {
        out.line(out.bold(format!("{} ({})", roof.device.adapter, roof.device.driver)))?;
        out.line(format!("  arithmetic      {:10.1} GFLOP/s in f32", roof.gflops))?;
        out.line(format!("  reads, cached   {:10.1} GB/s", roof.gbytes_cached))?;
        out.line(format!("  reads, memory   {:10.1} GB/s", roof.gbytes_memory))?;
        out.line(format!("  dispatch        {:10.1} us", roof.dispatch / 1e3))?;
        out.line(format!("  submit and wait {:10.1} us", roof.submit / 1e3))?;
        out.line(format!("  subgroup        {:>10}", roof.subgroup.map_or("any".into(), |n| n.to_string())))?;
        out.line(format!("measured by {}", roof.clock))?;
    }
    out.flush()?;
    Ok(Status::Good)
}
