//! Drawings of results as SVG, without fonts, scripts or anything else from outside.

mod axis;
mod bars;
mod roofline;
mod separable;

pub use bars::layers;
pub use roofline::roofline;
pub use separable::{multipliers, separable};

use axis::Axis;
use std::fmt::Write;

/// Colours that are told apart in grey and by most eyes (Okabe and Ito).
const COLOURS: [&str; 8] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b8a800", "#666666"];
const INK: &str = "#222222";
const FAINT: &str = "#dddddd";

/// Text as it stands in SVG and HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Where text stands relative to its point.
#[derive(Clone, Copy)]
enum Anchor {
    Start,
    Middle,
    End,
}

/// A drawing under way.
struct Drawing {
    body: String,
    width: f64,
}

impl Drawing {
    fn new(width: f64) -> Self {
        Self { body: String::new(), width }
    }

    fn text(&mut self, [x, y]: [f64; 2], anchor: Anchor, size: u32, text: &str) {
        self.coloured([x, y], anchor, size, INK, text);
    }

    fn coloured(&mut self, [x, y]: [f64; 2], anchor: Anchor, size: u32, colour: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escape(text);
        let _ =
            writeln!(self.body, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{text}</text>"#);
    }

    /// Text that reads upwards, for the left of a plot.
    fn upwards(&mut self, [x, y]: [f64; 2], text: &str) {
        let text = escape(text);
        let _ = writeln!(
            self.body,
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="middle" font-size="12" fill="{INK}" transform="rotate(-90 {x:.1} {y:.1})">{text}</text>"#
        );
    }

    fn line(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], colour: &str, width: f64) {
        let _ =
            writeln!(self.body, r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}" stroke-width="{width}"/>"#);
    }

    fn path(&mut self, points: &[[f64; 2]], colour: &str, dashed: bool) {
        let points: Vec<String> = points.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
        let dash = if dashed { r#" stroke-dasharray="6 4""# } else { "" };
        let points = points.join(" ");
        let _ = writeln!(self.body, r#"<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>"#);
    }

    /// A bar with what a pointer over it tells.
    fn bar(&mut self, [x, y, width, height]: [f64; 4], colour: &str, tip: &str) {
        let (width, tip) = (width.max(0.5), escape(tip));
        let _ = writeln!(
            self.body,
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{colour}"><title>{tip}</title></rect>"#
        );
    }

    fn dot(&mut self, [x, y]: [f64; 2], radius: f64, colour: &str, hollow: bool, tip: &str) {
        let fill = if hollow { "white" } else { colour };
        let tip = escape(tip);
        let _ = writeln!(
            self.body,
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius}" fill="{fill}" stroke="{colour}" stroke-width="1.2"><title>{tip}</title></circle>"#
        );
    }

    /// Squares with names, one below the other.
    fn legend(&mut self, [x, mut y]: [f64; 2], names: &[(String, &str)]) {
        for (name, colour) in names {
            self.bar([x, y - 9.0, 10.0, 10.0], colour, name);
            self.text([x + 16.0, y], Anchor::Start, 12, name);
            y += 18.0;
        }
    }

    /// Both axes with their ticks and grid; `x` at the bottom, `y` at the left.
    fn frame(&mut self, x: &Axis, y: &Axis, names: [&str; 2]) {
        for (value, label) in x.ticks() {
            let at = x.at(value);
            self.line([at, y.low_end()], [at, y.high_end()], FAINT, 1.0);
            self.text([at, y.low_end() + 16.0], Anchor::Middle, 11, &label);
        }
        for (value, label) in y.ticks() {
            let at = y.at(value);
            self.line([x.low_end(), at], [x.high_end(), at], FAINT, 1.0);
            self.text([x.low_end() - 6.0, at + 4.0], Anchor::End, 11, &label);
        }
        self.line([x.low_end(), y.low_end()], [x.high_end(), y.low_end()], INK, 1.0);
        self.line([x.low_end(), y.low_end()], [x.low_end(), y.high_end()], INK, 1.0);
        self.text([(x.low_end() + x.high_end()) / 2.0, y.low_end() + 36.0], Anchor::Middle, 12, names[0]);
        self.upwards([x.low_end() - 48.0, (y.low_end() + y.high_end()) / 2.0], names[1]);
    }

    fn finish(self, height: f64) -> String {
        let Self { body, width } = self;
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0} {height:.0}" width="{width:.0}" height="{height:.0}" font-family="sans-serif" role="img">
<rect width="100%" height="100%" fill="white"/>
{body}</svg>
"#
        )
    }
}

/// A time as people read it.
fn time(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{:.1} us", ns / 1e3),
        ns => format!("{:.2} ms", ns / 1e6),
    }
}

/// A colour for each name, in the order of their first.
fn colours<'a>(names: impl Iterator<Item = &'a str>) -> Vec<(String, &'static str)> {
    let mut found: Vec<(String, &'static str)> = Vec::new();
    for name in names {
        if found.iter().all(|(n, _)| n != name) {
            found.push((name.to_string(), COLOURS[found.len() % COLOURS.len()]));
        }
    }
    found
}

fn colour_of(colours: &[(String, &'static str)], name: &str) -> &'static str {
    colours.iter().find(|(n, _)| n == name).map_or(INK, |(_, colour)| colour)
}
