//! Results for people, and as CSV for spreadsheets.

use crate::failure::Outcome;
use crate::output::{Output, Table, bytes};
use mobilenet_wgpu::lab::{Entry, FIGURES};
use mobilenet_wgpu::measure::{CandidateResult, Verdict};

/// One case: heading, table, and what has to be said of it.
pub fn case(out: &mut Output, entry: &Entry) -> Outcome<()> {
    let (result, layer) = (&entry.result, entry.layer.as_deref().map(|l| format!("{l}: ")).unwrap_or_default());
    let times = if entry.times > 1 { format!(", {} times in the model", entry.times) } else { String::new() };
    out.line(out.bold(format!("{layer}{} {}, {}, on {}{times}", result.case.op, result.case, result.precision, entry.device.adapter)))?;
    let work = format!("{:.2} MFLOP, moves at least {}", entry.operations / 1e6, bytes(entry.bytes as u64));
    let limit = entry.roof.as_ref().map(|roof| {
        let ns = (entry.operations / roof.peak(result.precision)).max(entry.bytes / roof.bandwidth());
        let by = if entry.bytes / roof.bandwidth() >= ns { "memory" } else { "arithmetic" };
        format!("; by {by} alone it would take {:.1} us here", ns / 1e3)
    });
    out.line(out.dim(format!("{work}{}", limit.unwrap_or_default())))?;
    table(entry).write(out)?;
    let next = if entry.roof.is_none() { "; `mobilenet lab roof` adds the share of what the adapter can do" } else { "" };
    out.line(format!("measured by {}{next}", result.clock))?;
    for candidate in result.candidates.iter().filter(|c| !c.verdict.is_right() && !matches!(c.verdict, Verdict::Skipped(_))) {
        out.line(format!("{}: {}", candidate.label(), verdict(&candidate.verdict)))?;
    }
    for name in entry.implausible() {
        let why = "its bytes came from nearer than the roof's, or the roof is out of date (`mobilenet lab roof --again`)";
        out.line(format!("{name}: above what the adapter can do: {why}"))?;
    }
    skipped(out, entry)?;
    out.line("")
}

/// How it is said of a kernel that it was not measured as it is not for the case.
pub const NOT_HERE: &str = "it does not apply here";

/// What does not apply; what did not fit the budget, and where the time went.
fn skipped(out: &mut Output, entry: &Entry) -> Outcome<()> {
    let no_time = |c: &&CandidateResult| !matches!(&c.verdict, Verdict::Skipped(why) if why.starts_with(NOT_HERE));
    for candidate in entry.skipped().filter(|c| !no_time(c)) {
        out.line(format!("{}: {}", candidate.label(), verdict(&candidate.verdict)))?;
    }
    let names: Vec<String> = entry.skipped().filter(no_time).map(CandidateResult::label).collect();
    let bare = |c: &&CandidateResult| c.verdict.is_right() && c.warm.is_none();
    let untimed: Vec<String> = entry.result.candidates.iter().filter(bare).map(CandidateResult::label).collect();
    if names.is_empty() && untimed.is_empty() {
        return Ok(());
    }
    let compile: f64 = entry.result.candidates.iter().filter_map(|c| c.compile).sum();
    let spent = if compile > 0.0 { format!("; compiling the others took {:.2} s of it", compile / 1e9) } else { String::new() };
    let names = [names, untimed].concat().join(", ");
    out.line(format!("no time was left for {names}{spent}\nnext: a larger --budget, or --variant"))
}

/// What became of a candidate, in words.
pub fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Right => "right".into(),
        Verdict::Differs(why) => format!("differs from the reference {why}"),
        Verdict::Unsteady(why) => format!("unsteady: {why}"),
        Verdict::OutOfBounds(why) => format!("out of bounds: {why}"),
        Verdict::Failed(why) => format!("failed: {why}"),
        Verdict::Skipped(why) => format!("skipped: {why}"),
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Right => "right",
        Verdict::Differs(_) => "DIFFERS",
        Verdict::Unsteady(_) => "UNSTEADY",
        Verdict::OutOfBounds(_) => "OUT OF BOUNDS",
        Verdict::Failed(_) => "FAILED",
        Verdict::Skipped(_) => "skipped",
    }
}

fn table(entry: &Entry) -> Table {
    let headings = [&["variant"], &FIGURES[..], &["verdict"]].concat();
    let mut table = Table::new(&headings, &[1, 2, 3, 4, 5, 6, 7, 8, 10, 11]);
    for c in entry.result.ranked() {
        table.row([vec![c.label()], entry.figures(c, 1).to_vec(), vec![word(&c.verdict).to_string()]].concat());
    }
    table
}

const CSV: &str = "layer,op,case,precision,variant,verdict,error,ns,p10_ns,median_ns,p90_ns,flushed_ns,compile_ns,\
operations,bytes,moved_bytes,gflops,gbytes,moved_gbytes,share_of_roof,workgroups_x,workgroups_y,workgroups_z,adapter,driver,clock";

/// A line of headings, and one for each candidate.
pub fn csv(out: &mut Output, entries: &[Entry]) -> Outcome<()> {
    out.line(CSV)?;
    entries.iter().try_for_each(|entry| lines(out, entry))
}

fn lines(out: &mut Output, entry: &Entry) -> Outcome<()> {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let number = |n: Option<f64>| n.map(|n| n.to_string()).unwrap_or_default();
    let result = &entry.result;
    for c in &result.candidates {
        let [x, y, z] = c.workgroups;
        let moved = c.moved_bytes().map(|bytes| bytes as f64);
        let cells = [
            quoted(entry.layer.as_deref().unwrap_or_default()),
            result.case.op.to_string(),
            quoted(&result.case.to_string()),
            result.precision.to_string(),
            quoted(&c.label()),
            quoted(&verdict(&c.verdict)),
            number(c.error),
            number(c.ns()),
            number(c.warm.map(|t| t.p10)),
            number(c.warm.map(|t| t.median)),
            number(c.warm.map(|t| t.p90)),
            number(c.cold.map(|t| t.median)),
            number(c.compile),
            number(Some(entry.operations)),
            number(Some(entry.bytes)),
            number(moved),
            number(c.ns().map(|ns| entry.operations / ns)),
            number(c.ns().map(|ns| entry.bytes / ns)),
            number(moved.zip(c.ns()).map(|(moved, ns)| moved / ns)),
            number(entry.standing.get(&c.label()).map(|s| s.share)),
            x.to_string(),
            y.to_string(),
            z.to_string(),
            quoted(&entry.device.adapter),
            quoted(&entry.device.driver),
            quoted(&result.clock.to_string()),
        ];
        out.line(cells.join(","))?;
    }
    Ok(())
}
