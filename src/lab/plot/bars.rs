//! Bars by layer and variant, with their spread; one record, or two side by side.

use super::{Anchor, COLOURS, Drawing, FAINT, INK, time};
use crate::lab::Entry;
use crate::measure::CandidateResult;

const LEFT: f64 = 250.0;
const BARS: f64 = 430.0;
const RIGHT: f64 = 180.0;
const ROW: f64 = 15.0;
/// Kernels slower than this many times the fastest are cut: the others could not be told apart.
const CUT: f64 = 5.0;

/// The right kernels of each case, the fastest first; those of a second record beside them. Bars of one case share a scale.
pub fn layers(records: &[(&str, &[Entry])]) -> String {
    let mut drawing = Drawing::new(LEFT + BARS + RIGHT);
    let names: Vec<(String, &str)> = records.iter().enumerate().map(|(i, (name, _))| (name.to_string(), COLOURS[i % 8])).collect();
    let mut y = 24.0;
    if records.len() > 1 {
        drawing.legend([LEFT, y], &names);
        y += 18.0 * names.len() as f64 + 6.0;
    }
    let mut done: Vec<(String, Option<String>)> = Vec::new();
    for entry in records.iter().flat_map(|(_, entries)| entries.iter()) {
        let key = (entry.key(), entry.layer.clone());
        if !done.contains(&key) {
            y = case(&mut drawing, records, entry, y);
            done.push(key);
        }
    }
    drawing.text([LEFT, y + 4.0], Anchor::Start, 11, "bar: the time that counts; line: p10 to p90; each case on a scale of its own");
    drawing.finish(y + 20.0)
}

/// A row: which record, which kernel.
type Row<'a> = (usize, &'a CandidateResult, f64);

fn case(drawing: &mut Drawing, records: &[(&str, &[Entry])], entry: &Entry, mut y: f64) -> f64 {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for (i, (_, entries)) in records.iter().enumerate() {
        let same = entries.iter().find(|e| e.key() == entry.key() && e.layer == entry.layer);
        rows.extend(same.into_iter().flat_map(|e| &e.result.candidates).filter_map(|c| Some((i, c, c.ns()?))));
    }
    let best = |name: &str| rows.iter().filter(|r| r.1.label() == name).map(|r| r.2).fold(f64::INFINITY, f64::min);
    let mut order: Vec<(f64, Row<'_>)> = rows.iter().map(|r| (best(&r.1.label()), *r)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.0.cmp(&b.1.0)));
    let least = order.iter().map(|(_, r)| r.2).fold(f64::INFINITY, f64::min);
    let most = order.iter().map(|(_, r)| r.2).fold(0f64, f64::max).min(CUT * least);
    let times = if entry.times > 1 { format!(", {} times", entry.times) } else { String::new() };
    let shape = if entry.layer.is_some() { format!("  {} {}", entry.result.case.op, entry.result.case) } else { String::new() };
    drawing.text([12.0, y + 12.0], Anchor::Start, 12, &format!("{}{shape}{times}", entry.name()));
    y += 18.0;
    for (_, (record, c, ns)) in order {
        let scale = |ns: f64| LEFT + ns.min(most) / most.max(1e-9) * BARS;
        let cut = if ns > most { " (cut)" } else { "" };
        let colour = COLOURS[record % 8];
        let spread =
            c.warm.and_then(|t| t.spread()).map_or(String::new(), |[low, high]| format!(", p10 {}, p90 {}", time(low), time(high)));
        drawing.text([LEFT - 8.0, y + 10.0], Anchor::End, 11, &c.label());
        drawing.bar([LEFT, y + 1.0, scale(ns) - LEFT, ROW - 4.0], colour, &format!("{}: {}{spread}", c.label(), time(ns)));
        if let Some(t) = c.warm.filter(|t| t.samples > 1) {
            let middle = y + ROW / 2.0 - 1.0;
            drawing.line([scale(t.p10), middle], [scale(t.p90), middle], INK, 1.5);
            for end in [t.p10, t.p90] {
                drawing.line([scale(end), middle - 3.0], [scale(end), middle + 3.0], INK, 1.5);
            }
        }
        let edge = scale(ns).max(c.warm.map_or(0.0, |t| scale(t.p90)));
        drawing.text([edge + 6.0, y + 10.0], Anchor::Start, 11, &format!("{}{cut}", time(ns)));
        y += ROW;
    }
    drawing.line([12.0, y + 4.0], [LEFT + BARS + RIGHT - 12.0, y + 4.0], FAINT, 1.0);
    y + 12.0
}
