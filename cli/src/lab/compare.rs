//! `mobilenet lab compare`: what got faster or slower, for people and for CI.

use super::record;
use crate::failure::{Outcome, Status};
use crate::output::{Output, Table, us};
use mobilenet_wgpu::lab::{self, Became, Change};
use mobilenet_wgpu::measure::Ratio;
use serde_json::json;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Exit codes: 0 nothing is slower; 1 something is slower by more than noise, no kernel of it is right any more, or NEW does not
have it; 2 wrong usage or files. A case is slower if the 95 % interval of the ratio, widened by --noise on either side, is above 1.";

/// Which layers got faster or slower by more than noise
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Results before, or a tuning record
    base: PathBuf,
    /// Results after
    new: PathBuf,
    /// What two measurements may differ by for reasons of their own
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, value_parser = share)]
    noise: f64,
    /// Every kernel with itself, not the fastest of each case alone
    #[arg(long)]
    each: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..1.0).contains(share));
    share.ok_or_else(|| "expected a share from 0 up to 1, such as 0.05 for 5 %".into())
}

pub fn run(arguments: &Arguments) -> Outcome {
    let (base, new) = (record::load(&arguments.base)?, record::load(&arguments.new)?);
    let changes = lab::compare(&base, &new, arguments.noise, arguments.each);
    let [before, after] = lab::totals(&changes);
    let mut out = Output::new();
    if arguments.json {
        out.json_pretty(&json!({"changes": changes, "base_ns": before, "new_ns": after, "slower": count(&changes, Became::Slower),
            "faster": count(&changes, Became::Faster), "same": count(&changes, Became::Same), "broken": count(&changes, Became::Broken),
            "missing": count(&changes, Became::Missing), "unmatched": count(&changes, Became::Unmatched)}))?;
    } else {
        table(&changes).write(&mut out)?;
        let tally = [Became::Slower, Became::Faster, Became::Same, Became::Broken, Became::Missing, Became::Unmatched];
        let tally: Vec<String> = tally.into_iter().map(|b| format!("{} {}", count(&changes, b), word(b))).collect();
        out.line(format!("\n{}", tally.join(", ")))?;
        if !arguments.each && before > 0.0 {
            out.line(format!(
                "all of both: {:.3} ms before, {:.3} ms after ({:.3} times as long)",
                before / 1e6,
                after / 1e6,
                after / before
            ))?;
        }
    }
    out.flush()?;
    let worse = changes.iter().any(|c| matches!(c.became, Became::Slower | Became::Broken | Became::Missing));
    Ok(if worse { Status::SomeFailed } else { Status::Good })
}

fn count(changes: &[Change], became: Became) -> usize {
    changes.iter().filter(|c| c.became == became).count()
}

fn word(became: Became) -> &'static str {
    match became {
        Became::Faster => "faster",
        Became::Slower => "SLOWER",
        Became::Same => "the same",
        Became::Broken => "BROKEN",
        Became::Missing => "MISSING",
        Became::Unmatched => "only in one",
    }
}

fn table(changes: &[Change]) -> Table {
    let mut table = Table::new(&["case", "before", "us", "after", "us", "ratio", "95 %", ""], &[2, 4, 5]);
    for c in changes {
        let interval = |r: Ratio| format!("{:.3} to {:.3}", r.low, r.high);
        table.row([
            c.name.clone(),
            c.base.clone().unwrap_or_default(),
            us(c.base_ns),
            c.new.clone().unwrap_or_default(),
            us(c.new_ns),
            c.ratio.map(|r| format!("{:.3}", r.ratio)).unwrap_or_default(),
            c.ratio.map(interval).unwrap_or_default(),
            word(c.became).to_string(),
        ]);
    }
    table
}
