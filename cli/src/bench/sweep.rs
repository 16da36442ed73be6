//! `bench --sweep`: throughput over batches.

use super::values;
use crate::backend::Backend;
use crate::failure::{Outcome, tell};
use crate::options::DeviceOptions;
use crate::output::{Output, Table};
use mobilenet_wgpu::engine::{Input, SessionOptions};
use mobilenet_wgpu::measure::{self, Latency, RunOptions};
use mobilenet_wgpu::{Error, Model};

/// Measures batches 1, 2, 4 … `most`; a batch that does not fit the device ends the sweep.
pub fn run(
    backend: &Backend,
    model: &Model,
    device: &DeviceOptions,
    base: &SessionOptions,
    most: u32,
    options: &RunOptions,
    json: bool,
) -> Outcome<()> {
    let mut all: Vec<Latency> = Vec::new();
    for batch in (0..).map(|i| 1u32 << i).take_while(|batch| *batch <= most) {
        let mut session = backend.session(model, device, SessionOptions { batch, ..base.clone() })?;
        if session.max_batch() < batch {
            tell(&format!("note: batch {batch} does not fit this device in one go; {} does", session.max_batch()));
            break;
        }
        let input = session.plan().input;
        let input = values(batch, [input.height, input.width])?;
        match measure::latency(&mut session, Input::Tensor(&input), options) {
            Ok(latency) => all.push(latency),
            Err(Error::OutOfMemory(why)) => {
                tell(&format!("note: no memory for batch {batch}: {why}"));
                break;
            }
            Err(error) => return Err(error.into()),
        }
    }
    let mut out = Output::new();
    if json {
        out.json_pretty(&all)?;
        return out.flush();
    }
    let mut table = Table::new(&["batch", "median ms", "ms a picture", "pictures/s", "p95 ms", "host ms", "runs"], &[0, 1, 2, 3, 4, 5, 6]);
    for l in &all {
        let ms = |ns: f64| format!("{:.3}", ns / 1e6);
        let pictures = f64::from(l.batch);
        table.row([
            l.batch.to_string(),
            ms(l.median),
            ms(l.median / pictures),
            format!("{:.1}", pictures * 1e9 / l.median),
            ms(l.p95),
            ms(l.host),
            l.runs.to_string(),
        ]);
    }
    table.write(&mut out)?;
    out.flush()
}
