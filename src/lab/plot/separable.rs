//! The papers' claim as plots: ratios layer by layer, and time against the two multipliers.

use super::{Anchor, Axis, COLOURS, Drawing, INK, time};
use crate::lab::separable::equation;
use crate::lab::{MultiplierPoint, SeparableTimes, separable_totals};

const WIDTH: f64 = 860.0;

/// For each layer the ratio of multiply-accumulates beside the ratio of times.
pub fn separable(layers: &[SeparableTimes], title: &str) -> String {
    let mut drawing = Drawing::new(WIDTH);
    let height = 380.0;
    drawing.text([20.0, 26.0], Anchor::Start, 15, title);
    let measured: Vec<&SeparableTimes> = layers.iter().filter(|l| l.time_ratio().is_some()).collect();
    let totals = separable_totals(layers);
    let most = measured.iter().filter_map(|l| l.time_ratio()).fold(0.12, f64::max).min(2.0);
    let y = Axis::linear(most * 100.0, height - 70.0, 60.0);
    let count = measured.len() + 1;
    let step = (WIDTH - 100.0) / count as f64;
    let x = Axis::linear(1.0, 80.0, WIDTH - 20.0);
    for (value, label) in y.ticks() {
        drawing.line([x.low_end(), y.at(value)], [x.high_end(), y.at(value)], super::FAINT, 1.0);
        drawing.text([x.low_end() - 6.0, y.at(value) + 4.0], Anchor::End, 11, &label);
    }
    drawing.upwards([30.0, (y.low_end() + y.high_end()) / 2.0], "% of the standard convolution");
    let mut group = |i: usize, name: &str, macs: f64, ratio: f64, tip: String| {
        let left = 84.0 + step * i as f64;
        for (at, share, colour) in [(0.0, macs, COLOURS[4]), (0.42, ratio, COLOURS[0])] {
            let top = y.at(share * 100.0);
            drawing.bar([left + at * step, top, 0.38 * step, y.low_end() - top], colour, &tip);
        }
        drawing.text([left + 0.4 * step, y.low_end() + 15.0], Anchor::Middle, 10, name);
        drawing.text([left + 0.61 * step, y.at(ratio * 100.0) - 4.0], Anchor::Middle, 10, &format!("{:.0}", ratio * 100.0));
    };
    for (i, l) in measured.iter().enumerate() {
        let (pair, standard) = (l.pair_ns().unwrap_or(0.0), l.standard.as_ref().map_or(0.0, |s| s.ns));
        let tip = format!("{} {}: {} against {}", l.layer.name, l.layer.standard, time(pair), time(standard));
        group(i, &l.layer.name, l.mac_ratio, l.time_ratio().unwrap_or(0.0), tip);
    }
    if let Some([macs, ratio, pair, standard]) = totals {
        group(measured.len(), "sum", macs, ratio, format!("{} against {}", time(pair), time(standard)));
    }
    drawing.line([x.low_end(), y.low_end()], [x.high_end(), y.low_end()], INK, 1.0);
    let names = [("multiply-accumulates, by the formula 1/N + 1/9".to_string(), COLOURS[4]), ("time, measured".to_string(), COLOURS[0])];
    drawing.legend([84.0, height - 30.0], &names);
    drawing.finish(height + 6.0)
}

/// Time against width and against resolution: the points that were measured over the curve of the equation.
pub fn multipliers(points: &[MultiplierPoint], title: &str) -> String {
    let mut drawing = Drawing::new(WIDTH);
    let height = 380.0;
    drawing.text([20.0, 26.0], Anchor::Start, 15, title);
    let Some(whole) = points.iter().max_by(|a, b| a.equation.total_cmp(&b.equation)) else { return drawing.finish(50.0) };
    let most = points.iter().map(|p| p.ns / 1e6).fold(0.0, f64::max);
    let curve = |width: f64, resolution: f64| {
        whole.ns / 1e6 * equation(width, resolution) / equation(f64::from(whole.width), f64::from(whole.resolution))
    };
    let y = Axis::linear(most * 1.05, height - 80.0, 50.0);
    let (width, resolution) = (f64::from(whole.width), f64::from(whole.resolution));
    let mut plot = |left: f64, name: String, largest: f64, curve: &dyn Fn(f64) -> f64, points: Vec<(f64, &MultiplierPoint)>| {
        let x = Axis::linear(largest, left, left + 330.0);
        drawing.frame(&x, &y, [&name, "ms"]);
        let at = |value: f64| [x.at(value), y.at(curve(value))];
        let line: Vec<[f64; 2]> = (2..=40).map(|i| at(f64::from(i) / 40.0 * largest)).collect();
        drawing.path(&line, COLOURS[1], true);
        for (value, p) in points {
            let tip = format!("width {}, {}: {:.2} ms", p.width, p.resolution, p.ns / 1e6);
            drawing.dot([x.at(value), y.at(p.ns / 1e6)], 5.0, COLOURS[0], false, &tip);
        }
    };
    let widths = points.iter().filter(|p| p.resolution == whole.resolution).map(|p| (f64::from(p.width), p)).collect();
    plot(80.0, format!("width multiplier, at {}", whole.resolution), width, &|w| curve(w, resolution), widths);
    let sizes = points.iter().filter(|p| p.width == whole.width).map(|p| (f64::from(p.resolution), p)).collect();
    plot(500.0, format!("resolution, at width {}", whole.width), resolution, &|r| curve(width, r), sizes);
    let promise = "what equation 7 makes of the largest network's time".to_string();
    drawing.legend([84.0, height - 18.0], &[("measured, separable layers added up".into(), COLOURS[0])]);
    drawing.legend([420.0, height - 18.0], &[(promise, COLOURS[1])]);
    drawing.finish(height)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::lab::{Fastest, multiplied, separable_layers};

    #[test]
    fn every_layer_and_point_is_drawn() {
        let fastest = |ns| Some(Fastest { variant: "x<y".into(), ns });
        let times = |layer| SeparableTimes {
            standard: fastest(1e6),
            depthwise: fastest(1e5),
            pointwise: fastest(1e5),
            ..SeparableTimes::new(layer)
        };
        let layers: Vec<SeparableTimes> = separable_layers(1.0, 224, 1).unwrap().into_iter().map(times).collect();
        let drawn = separable(&layers, "a & b");
        assert_eq!(drawn.matches("<title>").count(), 2 * 14 + 2);
        assert!(drawn.contains("a &amp; b") && drawn.ends_with("</svg>\n"));
        let point = |width: f32, resolution: u32| {
            let [equation, macs] = multiplied(width, resolution).unwrap();
            MultiplierPoint { width, resolution, equation, macs, ns: equation * 1e7 }
        };
        let points = [point(1.0, 224), point(0.5, 224), point(1.0, 128)];
        let drawn = multipliers(&points, "title");
        assert_eq!(drawn.matches("<circle").count(), 4);
        // Points that follow the equation lie on its curve.
        assert!(drawn.contains("<polyline"));
    }
}
