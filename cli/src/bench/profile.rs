//! `bench --profile`: time of each step.

use super::plot;
use crate::failure::{Failure, Outcome};
use crate::lab::roof;
use crate::output::{Output, Table, bar};
use mobilenet_wgpu::Tensor;
use mobilenet_wgpu::engine::{Input, Session};
use mobilenet_wgpu::kernel::Precision;
use mobilenet_wgpu::lab::Roof;
use mobilenet_wgpu::measure::{self, Profile, RunOptions};
use std::path::Path;

/// Measures each step, writes the table or JSON, and draws it if a file is named.
pub fn run(session: &mut Session, input: &Tensor, options: &RunOptions, json: bool, file: Option<&Path>) -> Outcome<()> {
    let profile = measure::profile(session, Input::Tensor(input), options)?;
    if let Some(file) = file {
        let title = format!("{}, batch {}", session.engine().profile().name, profile.batch);
        let drawn = plot::profile(&profile, &title);
        std::fs::write(file, drawn).map_err(|e| Failure::new(format!("--plot {}: cannot be written: {e}", file.display())))?;
    }
    let mut out = Output::new();
    if json {
        out.json_pretty(&profile)?;
    } else {
        let roof = roof::known(session.engine());
        table(&profile, roof.as_ref(), session.plan().precision).write(&mut out)?;
        out.line("")?;
        kinds(&profile).write(&mut out)?;
        out.line(format!("\nsteps {:.3} ms, whole runs {:.3} ms (median)", profile.sum / 1e6, profile.whole / 1e6))?;
        let more = if roof.is_none() { "; `mobilenet lab roof` adds the share of what the adapter can do" } else { "" };
        out.line(format!("measured by {}{more}", profile.method))?;
    }
    out.flush()
}

fn table(profile: &Profile, roof: Option<&Roof>, precision: Precision) -> Table {
    let headings = ["node", "kernel", "us", "share", "", "GFLOP/s", "GB/s", "of roof"];
    let mut table = Table::new(&headings[..if roof.is_some() { 8 } else { 7 }], &[2, 3, 5, 6, 7]);
    let longest = profile.steps.iter().map(|s| s.share).fold(0.0, f64::max);
    for step in &profile.steps {
        let of_roof = roof.map(|roof| {
            let standing = roof.standing(step.gflops * step.ns, step.gbytes * step.ns, step.ns, precision);
            format!("{:.0} %", standing.share * 100.0)
        });
        let row = [
            step.node.clone(),
            format!("{}/{}", step.op, step.variant),
            format!("{:.1}", step.ns / 1e3),
            format!("{:.1} %", step.share * 100.0),
            bar((step.share / longest.max(1e-9)) as f32, 16),
            if step.gflops > 0.0 { format!("{:.1}", step.gflops) } else { String::new() },
            if step.gbytes > 0.0 { format!("{:.1}", step.gbytes) } else { String::new() },
        ];
        table.row(row.into_iter().chain(of_roof));
    }
    table
}

/// Sums by kind of op, the largest first.
pub fn by_op(profile: &Profile) -> Vec<(String, usize, f64)> {
    let mut sums: Vec<(String, usize, f64)> = Vec::new();
    for step in &profile.steps {
        match sums.iter_mut().find(|(op, ..)| *op == step.op) {
            Some((_, count, ns)) => {
                *count += 1;
                *ns += step.ns;
            }
            None => sums.push((step.op.clone(), 1, step.ns)),
        }
    }
    sums.sort_by(|a, b| b.2.total_cmp(&a.2));
    sums
}

fn kinds(profile: &Profile) -> Table {
    let mut table = Table::new(&["op", "steps", "us", "share"], &[1, 2, 3]);
    for (op, count, ns) in by_op(profile) {
        let share = if profile.sum > 0.0 { ns / profile.sum * 100.0 } else { 0.0 };
        table.row([op, count.to_string(), format!("{:.1}", ns / 1e3), format!("{share:.1} %")]);
    }
    table
}
