//! `mobilenet lab list`: the variant table.

use super::op;
use crate::failure::{Outcome, Status};
use crate::output::{Output, Table};
use mobilenet_wgpu::kernel::{OpKind, Variant, variants};
use serde_json::json;

/// Every op with its kernels
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Only this op's
    #[arg(value_parser = op)]
    op: Option<OpKind>,
    /// One JSON array
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let table = variants();
    let rows: Vec<&Variant> = table.iter().filter(|v| arguments.op.is_none_or(|op| op == v.op)).collect();
    let mut out = Output::new();
    if arguments.json {
        let value = |v: &&Variant| {
            json!({
                "op": v.op, "variant": v.name, "file": v.file, "computes": v.summary, "packing": v.packing,
                "invocations": v.invocations, "workgroup_memory": v.workgroup_memory, "parameters": v.parameters,
            })
        };
        out.json_pretty(&rows.iter().map(value).collect::<Vec<_>>())?;
    } else {
        let mut lines = Table::new(&["op", "variant", "threads", "memory", "parameters", "computes", "file"], &[2, 3]);
        for v in rows {
            let parameters = v.parameters.iter().map(|(n, value)| format!("{n}={value}")).collect::<Vec<_>>().join(" ");
            let memory = if v.workgroup_memory > 0 { v.workgroup_memory.to_string() } else { String::new() };
            let cells = [v.op.name(), &v.name, &v.invocations.to_string(), &memory, &parameters, &v.summary, &v.file];
            lines.row(cells.map(str::to_string));
        }
        lines.write(&mut out)?;
    }
    out.flush()?;
    Ok(Status::Good)
}
