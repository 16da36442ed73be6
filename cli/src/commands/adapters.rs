//! `mobilenet adapters`: which GPUs there are.

use crate::failure::{Outcome, Status, tell};
use crate::output::{Output, bytes};
use mobilenet_wgpu::gpu::{AdapterOptions, AdapterSummary, adapters};
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  mobilenet adapters                   the best one first, which the other commands take by default
  mobilenet adapters --backend vulkan
  mobilenet adapters --json

The other commands take --adapter with a part of a name, or an index of this list.";

/// GPUs with their drivers, limits and features
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Backends to look at: vulkan, metal (Apple), dx12 (Windows); several with commas
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// One JSON array
    #[arg(long)]
    json: bool,
}

/// Lists the adapters.
pub fn run(arguments: &Arguments) -> Outcome {
    let options = AdapterOptions { adapter: None, backend: arguments.backend.clone() };
    let found = pollster::block_on(adapters(&options))?;
    let mut out = Output::new();
    if arguments.json {
        out.json_pretty(&json!(found))?;
    } else if found.is_empty() {
        tell("no adapter was found: the other commands compute on the CPU");
        tell("next: install a driver; on Debian or Ubuntu without a GPU: apt-get install mesa-vulkan-drivers");
    }
    if !arguments.json {
        found.iter().try_for_each(|adapter| show(&mut out, adapter))?;
    }
    out.flush()?;
    Ok(Status::Good)
}

fn show(out: &mut Output, adapter: &AdapterSummary) -> Outcome<()> {
    let yes = |has: bool| if has { "yes" } else { "no" };
    let subgroup = match adapter.subgroup {
        Some([least, most]) if least == most => format!("{least}"),
        Some([least, most]) => format!("{least} to {most}"),
        None => "no".into(),
    };
    out.line(format!("{}  {}", out.bold(adapter.index), out.bold(&adapter.name)))?;
    out.line(format!("   backend          {}, {}", adapter.backend, kind(adapter.device_type)))?;
    out.line(format!("   driver           {}", adapter.driver))?;
    out.line(format!(
        "   f16              {}    subgroups {subgroup}    timestamps {}    pipeline cache {}",
        yes(adapter.f16),
        yes(adapter.timestamps),
        yes(adapter.pipeline_cache)
    ))?;
    out.line(format!(
        "   buffers          {}, bound {} at a time",
        bytes(adapter.max_buffer_size),
        bytes(adapter.max_storage_buffer_binding_size)
    ))?;
    out.line(format!(
        "   workgroups       {} invocations, {} of memory",
        adapter.max_compute_invocations_per_workgroup,
        bytes(adapter.max_compute_workgroup_storage_size.into())
    ))
}

fn kind(device_type: &str) -> &'static str {
    match device_type {
        "discrete" => "discrete GPU",
        "integrated" => "integrated GPU",
        "virtual" => "virtual GPU",
        "cpu" => "software on the CPU",
        _ => "unknown kind",
    }
}
