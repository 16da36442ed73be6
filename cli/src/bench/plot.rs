//! Drawings as SVG: bars by step, and by kind of op.

use super::profile::by_op;
use mobilenet_wgpu::lab::plot::escape;
use mobilenet_wgpu::measure::Profile;
use std::fmt::Write;

const ROW: f64 = 16.0;
const LEFT: f64 = 330.0;
const BARS: f64 = 560.0;
const RIGHT: f64 = 190.0;

/// Colours that are told apart in grey and by most eyes (Okabe and Ito).
const COLOURS: [&str; 8] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#999999"];

struct Drawing {
    body: String,
    y: f64,
}

impl Drawing {
    fn text(&mut self, x: f64, anchor: &str, size: u32, text: &str) {
        let y = self.y;
        let _ = writeln!(self.body, r#"<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}">{}</text>"#, escape(text));
    }
    /// A row: a name, a bar of `share` of the width, and what stands behind it.
    fn bar(&mut self, name: &str, share: f64, colour: &str, behind: &str) {
        let (y, width) = (self.y - 11.0, (share * BARS).max(0.5));
        self.text(LEFT - 8.0, "end", 11, name);
        let _ = writeln!(self.body, r#"<rect x="{LEFT}" y="{y:.1}" width="{width:.1}" height="13" fill="{colour}"/>"#);
        self.text(LEFT + width + 6.0, "start", 11, behind);
        self.y += ROW;
    }
    fn heading(&mut self, text: &str) {
        self.y += 14.0;
        self.text(12.0, "start", 14, text);
        self.y += 20.0;
    }
    fn finish(self) -> String {
        let (width, height) = (LEFT + BARS + RIGHT, self.y + 10.0);
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="sans-serif">
<rect width="100%" height="100%" fill="white"/>
{}</svg>
"##,
            self.body
        )
    }
}

/// Time by kind of op, then by step in the order of the network.
pub fn profile(profile: &Profile, title: &str) -> String {
    let mut drawing = Drawing { body: String::new(), y: 20.0 };
    let sums = by_op(profile);
    let colour = |op: &str| COLOURS[sums.iter().position(|(name, ..)| name == op).unwrap_or(0) % COLOURS.len()];
    drawing.text(12.0, "start", 16, title);
    drawing.y += 18.0;
    let note = format!("{:.3} ms in {} steps; by {}", profile.sum / 1e6, profile.steps.len(), profile.method);
    drawing.text(12.0, "start", 11, &note);
    drawing.heading("By kind of op");
    let largest = sums.first().map_or(1.0, |s| s.2).max(1e-9);
    for (op, count, ns) in &sums {
        let share = ns / profile.sum.max(1e-9) * 100.0;
        drawing.bar(&format!("{op} ({count})"), ns / largest, colour(op), &format!("{:.3} ms, {share:.1} %", ns / 1e6));
    }
    drawing.heading("By step");
    let largest = profile.steps.iter().map(|s| s.ns).fold(1e-9, f64::max);
    for step in &profile.steps {
        let speed = if step.gflops > 0.0 { format!(", {:.1} GFLOP/s", step.gflops) } else { String::new() };
        let name = format!("{}  {}/{}", step.node, step.op, step.variant);
        drawing.bar(&name, step.ns / largest, colour(&step.op), &format!("{:.1} us{speed}", step.ns / 1e3));
    }
    drawing.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mobilenet_wgpu::measure::{Clock, StepTime};

    #[test]
    fn every_step_has_a_bar_and_names_are_escaped() {
        let step = |node: &str, ns: f64| StepTime {
            node: node.into(),
            op: "pointwise".into(),
            variant: "split_k".into(),
            ns,
            share: 0.5,
            gflops: 1.0,
            gbytes: 1.0,
        };
        let steps = vec![step("a<b", 1e3), step("c", 2e3)];
        let svg = profile(&Profile { clock: Clock::Wall, method: "hand".into(), batch: 1, steps, sum: 3e3, whole: 4e3 }, "t");
        assert_eq!(svg.matches("<rect").count(), 1 + 1 + 2);
        assert!(svg.contains("a&lt;b") && svg.ends_with("</svg>\n"));
    }
}
