//! The roofline: arithmetic a second against arithmetic a byte, under what the adapter can do.

use super::{Anchor, Axis, COLOURS, Drawing, INK, colour_of, colours, time};
use crate::kernel::Precision;
use crate::lab::{Entry, Roof};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 460.0;

/// The kernels of `entries` under the roof of the first that has one. Filled: the fastest of a case; hollow: the others.
pub fn roofline(entries: &[Entry]) -> String {
    let mut drawing = Drawing::new(WIDTH);
    let roof = entries.iter().find_map(|e| e.roof.as_ref());
    let points: Vec<Point<'_>> = entries.iter().flat_map(points).collect();
    let span = |values: &[f64]| values.iter().fold((f64::INFINITY, 0f64), |(a, b), v| (a.min(*v), b.max(*v)));
    let (mut rates, intensities): (Vec<f64>, Vec<f64>) = points.iter().map(|p| (p.gflops, p.intensity)).unzip();
    rates.extend(roof.map(|r| r.gflops.max(r.gflops_f16.unwrap_or(0.0))));
    let ((slow, fast), (thin, dense)) = (span(&rates), span(&intensities));
    if points.is_empty() {
        drawing.text([20.0, 30.0], Anchor::Start, 13, "no kernel that does arithmetic was measured");
        return drawing.finish(50.0);
    }
    let x = Axis::log(thin / 1.5, dense * 1.5, 80.0, WIDTH - 190.0);
    let y = Axis::log(slow / 1.5, fast * 1.2, HEIGHT - 60.0, 20.0);
    drawing.frame(&x, &y, ["FLOP per byte that must be moved", "GFLOP/s"]);
    if let Some(roof) = roof {
        lines(&mut drawing, roof, entries, &x, &y);
    }
    let names = colours(points.iter().map(|p| p.op));
    // The fastest on top of the others.
    for best in [false, true] {
        for p in points.iter().filter(|p| p.best == best) {
            let at = [x.at(p.intensity), y.at(p.gflops)];
            drawing.dot(at, if best { 5.0 } else { 3.0 }, colour_of(&names, p.op), !best, &p.tip);
        }
    }
    drawing.legend([WIDTH - 170.0, 40.0], &names);
    drawing.text([WIDTH - 170.0, 40.0 + 18.0 * names.len() as f64 + 8.0], Anchor::Start, 11, "filled: fastest of its case");
    drawing.finish(HEIGHT)
}

struct Point<'a> {
    intensity: f64,
    gflops: f64,
    best: bool,
    op: &'a str,
    tip: String,
}

fn points(entry: &Entry) -> Vec<Point<'_>> {
    let best = entry.result.best().map(|c| c.label());
    let point = |c: &crate::measure::CandidateResult| {
        let ns = c.ns()?;
        let (label, gflops) = (c.label(), entry.operations / ns);
        let share = entry.standing.get(&label).map(|s| format!(", {:.0} % of the roof", s.share * 100.0)).unwrap_or_default();
        Some(Point {
            intensity: entry.operations / entry.bytes,
            gflops,
            best: best.as_ref() == Some(&label),
            op: entry.result.case.op.name(),
            tip: format!("{}: {label}, {}, {gflops:.1} GFLOP/s{share}", entry.name(), time(ns)),
        })
    };
    if entry.operations > 0.0 && entry.bytes > 0.0 { entry.result.candidates.iter().filter_map(point).collect() } else { Vec::new() }
}

fn lines(drawing: &mut Drawing, roof: &Roof, entries: &[Entry], x: &Axis, y: &Axis) {
    let f16 = entries.iter().any(|e| e.result.precision == Precision::F16);
    let peaks = [(roof.gflops, "f32"), (roof.gflops_f16.filter(|_| f16).unwrap_or(0.0), "f16")];
    let [low, high] = x.range();
    for (peak, name) in peaks.into_iter().filter(|(peak, _)| *peak > 0.0) {
        let knee = (peak / roof.bandwidth()).clamp(low, high);
        let begin = (y.range()[0] / roof.bandwidth()).max(low);
        let place = |intensity: f64| [x.at(intensity), y.at((roof.bandwidth() * intensity).min(peak))];
        drawing.path(&[place(begin), place(knee), place(high)], INK, false);
        drawing.text([x.at(high) - 4.0, y.at(peak) - 6.0], Anchor::End, 11, &format!("{name}: {peak:.0} GFLOP/s"));
    }
    let slower = roof.gbytes_memory.min(roof.gbytes_cached);
    for (rate, name) in [(roof.bandwidth(), "caches"), (slower, "memory")] {
        let begin = (y.range()[0] / rate).max(low);
        let end = (roof.gflops / rate).min(high);
        if end <= begin {
            continue;
        }
        if name == "memory" {
            drawing.path(&[[x.at(begin), y.at(rate * begin)], [x.at(end), y.at(rate * end)]], COLOURS[7], true);
        }
        // Near the lower end, where few kernels are: the caches' name over its line, the memory's under it.
        let ([dx, dy], anchor, share) =
            if name == "memory" { ([10.0, 14.0], Anchor::Start, 0.12) } else { ([-6.0, -6.0], Anchor::End, 0.4) };
        let at = begin * (end / begin).powf(share);
        drawing.text([x.at(at) + dx, y.at(rate * at) + dy], anchor, 11, &format!("{name}: {rate:.1} GB/s"));
    }
}
