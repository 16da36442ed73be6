//! `mobilenet lab list`: the variant table.

use super::op;
use crate::failure::{Outcome, Status};
use crate::output::{Output, Table};
use mobilenet_wgpu::kernel::{OpKind, Precision, Variant, variants};
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
                "where": place(v), "precisions": v.precisions, "int64": v.int64, "invocations": v.invocations, "workgroup_memory": v.workgroup_memory, "parameters": v.parameters,
            })
        };
        out.json_pretty(&rows.iter().map(value).collect::<Vec<_>>())?;
    } else {
        let mut lines = Table::new(&["op", "variant", "types", "threads", "memory", "parameters", "computes", "file"], &[3, 4]);
        for v in &rows {
            let parameters = v.parameters.iter().map(|(n, value)| format!("{n}={value}")).collect::<Vec<_>>().join(" ");
            let memory = if v.workgroup_memory > 0 { v.workgroup_memory.to_string() } else { String::new() };
            let types = if v.precisions.len() == Precision::ALL.len() { "all" } else { v.precisions.first().map_or("", |p| p.name()) };
            let cells = [v.op.name(), &v.name, types, &v.invocations.to_string(), &memory, &parameters, &v.summary, &v.file];
            lines.row(cells.map(str::to_string));
        }
        lines.write(&mut out)?;
        // For all ops it would be too much to read.
        if arguments.op.is_some() {
            out.line("")?;
            rows.iter().filter(|v| !place(v).is_empty()).try_for_each(|v| out.line(format!("{}: {}", v.name, place(v))))?;
        }
    }
    out.flush()?;
    Ok(Status::Good)
}

/// Where a kernel is the good one: what its file says behind `// Where`, and the lines that belong to it.
fn place(variant: &Variant) -> String {
    let mut words = Vec::new();
    let mut lines = variant.source.lines().skip_while(|line| !line.starts_with("// Where"));
    words.extend(lines.next().and_then(|line| line.strip_prefix("// Where")).map(str::trim));
    words.extend(lines.map_while(|line| line.strip_prefix("//   ")).map(str::trim));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_that_is_not_alone_says_where_it_is_good() {
        let table = variants();
        for variant in table.iter().filter(|v| table.iter().filter(|o| o.op == v.op).count() > 1) {
            assert!(place(variant).len() > 10, "{}: {}", variant.file, place(variant));
        }
    }
}
