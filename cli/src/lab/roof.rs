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

fn place(device: &DeviceKey) -> Option<PathBuf> {
    config::folder().map(|folder| folder.join("roof").join(format!("{}.json", device.file_stem())))
}

/// The roof as it is on record; one that is damaged or of another driver is none.
pub fn known(engine: &Engine) -> Option<Roof> {
    of(&DeviceKey::of(engine.profile()))
}

/// [`known`] of a device that need not be here.
pub fn of(device: &DeviceKey) -> Option<Roof> {
    Roof::load(&std::fs::read_to_string(place(device)?).ok()?, device)
}

/// Measures the roof and keeps it.
pub fn measured(engine: &Engine, watch: &Stopwatch) -> Outcome<Roof> {
    let roof = Roof::measure(engine, watch)?;
    if let Some(path) = place(&roof.device) {
        tuning::save(&path, &serde_json::to_string_pretty(&roof).unwrap_or_default())?;
    }
    Ok(roof)
}

pub fn run(arguments: &Arguments) -> Outcome {
    if arguments.device.cpu {
        return Err(Failure::new("the roof is of a GPU, if only a software one\nnext: leave --cpu out"));
    }
    let engine = Engine::open(&arguments.device.adapter_options())?;
    let roof = match known(&engine).filter(|_| !arguments.again) {
        Some(roof) => roof,
        None => measured(&engine, &Stopwatch::new(engine.device(), engine.queue())?)?,
    };
    let mut out = Output::new();
    if arguments.json {
        out.json_pretty(&roof)?;
    } else {
        out.line(out.bold(format!("{} ({})", roof.device.adapter, roof.device.driver)))?;
        let mut line = |name: &str, value: f64, unit: &str| out.line(format!("  {name:<22} {value:>10.1} {unit}"));
        line("arithmetic, f32", roof.gflops, "GFLOP/s")?;
        if let Some(gflops) = roof.gflops_f16 {
            line("arithmetic, f16", gflops, "GFLOP/s")?;
        }
        line("storage, cached", roof.gbytes_cached, "GB/s")?;
        line("storage, memory", roof.gbytes_memory, "GB/s")?;
        line("workgroup memory", roof.gbytes_workgroup, "GB/s")?;
        line("barrier", roof.barrier, "ns")?;
        line("dispatch", roof.dispatch / 1e3, "us")?;
        line("submit and wait", roof.submit / 1e3, "us")?;
        line("submit and read back", roof.read_back / 1e3, "us")?;
        out.line(format!("  {:<22} {:>10} lanes", "subgroup", roof.subgroup.map_or("any".into(), |n| n.to_string())))?;
        for doubt in roof.doubts() {
            out.line(format!("doubt: {doubt}; measure again with --again"))?;
        }
        out.line(format!("measured by {}", roof.clock))?;
    }
    out.flush()?;
    Ok(Status::Good)
}
