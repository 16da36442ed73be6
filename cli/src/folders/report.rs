//! An evaluation as one HTML file: nothing in it comes from a network.

use super::tally::{Mistake, Tally};
use crate::failure::{Failure, Outcome};
use crate::pictures::Place;
use base64::Engine as _;
use image::codecs::{jpeg::JpegEncoder, png::PngEncoder};
use image::{DynamicImage, ExtendedColorType, ImageEncoder, RgbImage, RgbaImage};
use mobilenet_wgpu::lab::plot::escape;
use mobilenet_wgpu::labels::Labels;
use mobilenet_wgpu::picture::DecodeLimits;
use std::fmt::Write as _;

/// Longer side of a thumbnail, in pixels.
const THUMBNAIL: u32 = 128;
/// With more classes the matrix is a picture of one pixel a cell instead of a table of numbers.
const LARGEST_TABLE: usize = 30;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#222}\
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse}td,th{padding:.15rem .6rem;text-align:right}\
td:first-child,th:first-child{text-align:left}tr:nth-child(even){background:#f6f6f6}.mistakes{display:flex;flex-wrap:wrap;gap:1rem}\
figure{margin:0;width:9rem}figure img{width:100%;image-rendering:auto}figcaption{font-size:12px}\
.matrix{image-rendering:pixelated;width:min(100%,60rem);border:1px solid #ccc}svg text{font:11px system-ui,sans-serif}";

/// What the report is about, beside the sums.
pub struct Subject<'a> {
    pub model: String,
    pub device: String,
    pub data: String,
    pub images_per_s: f64,
    pub labels: &'a Labels,
    pub places: &'a [Place],
}

/// The page.
pub fn html(subject: &Subject<'_>, tally: &mut Tally) -> Outcome<String> {
    let mut page = String::new();
    let title = format!("mobilenet eval: {}", escape(&subject.data));
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"
    );
    let _ = write!(
        page,
        "<p><b>top-1 {:.2} %</b>, top-5 {:.2} % of {} pictures ({} could not be read), {:.1} pictures/s<br>{}, on {}</p>",
        tally.top1() * 100.0,
        tally.top5() * 100.0,
        tally.pictures,
        tally.errors,
        subject.images_per_s,
        escape(&subject.model),
        escape(&subject.device)
    );
    page += "<h2>Confusion matrix</h2><p>Rows are the right classes, columns what they were taken for.</p>";
    page += &matrix(subject.labels, tally)?;
    page += "<h2>Most frequent mix-ups</h2><table><tr><th>class</th><th>taken for</th><th>pictures</th></tr>";
    for (right, taken_for, count) in tally.confusions(20) {
        let _ = write!(page, "<tr><td>{}<td>{}<td>{count}</tr>", name(subject.labels, right), name(subject.labels, taken_for));
    }
    page += "</table><h2>Mistakes the model was most sure of</h2><div class=\"mistakes\">";
    for mistake in tally.mistakes() {
        page += &figure(subject, mistake)?;
    }
    page += "</div><h2>Classes</h2><table><tr><th>class</th><th>pictures</th><th>top-1</th><th>top-5</th></tr>";
    for (class, sums) in tally.classes() {
        let percent = |n: u64| if sums.pictures > 0 { format!("{:.1} %", n as f64 * 100.0 / sums.pictures as f64) } else { String::new() };
        let label = name(subject.labels, *class);
        let _ = write!(page, "<tr><td>{label}<td>{}<td>{}<td>{}</tr>", sums.pictures, percent(sums.top1), percent(sums.top5));
    }
    page += "</table></html>\n";
    Ok(page)
}

fn name(labels: &Labels, class: usize) -> String {
    escape(&labels.get(class).0)
}

fn matrix(labels: &Labels, tally: &Tally) -> Outcome<String> {
    let outputs = tally.outputs();
    if outputs.len() <= LARGEST_TABLE { Ok(numbers(labels, tally, &outputs)) } else { pixels(tally, &outputs) }
}

/// Share of its row, as a colour from white to dark blue.
fn shade(share: f64) -> [u8; 3] {
    let mix = |white: f64, dark: f64| (white + (dark - white) * share.clamp(0.0, 1.0).sqrt()).round() as u8;
    [mix(255.0, 8.0), mix(255.0, 48.0), mix(255.0, 107.0)]
}

fn share(tally: &Tally, right: usize, taken_for: usize) -> f64 {
    let pictures = tally.classes().get(&right).map_or(0, |class| class.pictures);
    tally.count(right, taken_for) as f64 / pictures.max(1) as f64
}

fn numbers(labels: &Labels, tally: &Tally, outputs: &[usize]) -> String {
    const CELL: usize = 44;
    const NAMES: usize = 170;
    let side = outputs.len() * CELL;
    let mut svg = format!("<svg width=\"{}\" height=\"{}\" role=\"img\" aria-label=\"confusion matrix\">", NAMES + side + 90, side + 110);
    for (y, right) in outputs.iter().enumerate() {
        let label: String = labels.get(*right).0.chars().take(26).collect();
        let (label, middle) = (escape(&label), y * CELL + CELL / 2 + 4);
        let _ = write!(svg, "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{label}</text>", NAMES - 6);
        let at = NAMES + y * CELL + CELL / 2;
        let _ = write!(svg, "<text transform=\"translate({at},{}) rotate(40)\">{label}</text>", side + 14);
        for (x, taken_for) in outputs.iter().enumerate() {
            let (share, count) = (share(tally, *right, *taken_for), tally.count(*right, *taken_for));
            let [r, g, b] = shade(share);
            let (left, top) = (NAMES + x * CELL, y * CELL);
            let _ = write!(
                svg,
                "<rect x=\"{left}\" y=\"{top}\" width=\"{CELL}\" height=\"{CELL}\" fill=\"rgb({r},{g},{b})\" stroke=\"#ddd\"/>"
            );
            if count > 0 {
                let ink = if share > 0.25 { "#fff" } else { "#222" };
                let _ = write!(svg, "<text x=\"{}\" y=\"{middle}\" text-anchor=\"middle\" fill=\"{ink}\">{count}</text>", left + CELL / 2);
            }
        }
    }
    svg + "</svg>"
}

fn pixels(tally: &Tally, outputs: &[usize]) -> Outcome<String> {
    let side = outputs.len() as u32;
    let picture = RgbImage::from_fn(side, side, |x, y| image::Rgb(shade(share(tally, outputs[y as usize], outputs[x as usize]))));
    let mut png = Vec::new();
    PngEncoder::new(&mut png).write_image(picture.as_raw(), side, side, ExtendedColorType::Rgb8).map_err(|error| failed(&error))?;
    Ok(format!("<img class=\"matrix\" alt=\"confusion matrix of {side} classes\" src=\"data:image/png;base64,{}\">", encode(&png)))
}

fn failed(error: &image::ImageError) -> Failure {
    Failure::new(format!("the report's pictures could not be made: {error}"))
}

fn encode(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn figure(subject: &Subject<'_>, mistake: &Mistake) -> Outcome<String> {
    let Some(place) = subject.places.get(mistake.picture) else { return Ok(String::new()) };
    // It could be read a moment ago; if it is gone now, its path is still told.
    let picture = match thumbnail(place) {
        Some(picture) => {
            let mut jpeg = Vec::new();
            JpegEncoder::new_with_quality(&mut jpeg, 85)
                .write_image(picture.as_raw(), picture.width(), picture.height(), ExtendedColorType::Rgb8)
                .map_err(|error| failed(&error))?;
            format!("<img alt=\"\" src=\"data:image/jpeg;base64,{}\">", encode(&jpeg))
        }
        None => String::new(),
    };
    let (right, taken_for) = (name(subject.labels, mistake.right), name(subject.labels, mistake.taken_for));
    let path = escape(&place.to_string());
    Ok(format!(
        "<figure>{picture}<figcaption title=\"{path}\"><b>{right}</b><br>taken for {taken_for}, {:.0} %</figcaption></figure>",
        mistake.probability * 100.0
    ))
}

fn thumbnail(place: &Place) -> Option<RgbImage> {
    let picture = place.decode(&DecodeLimits::default()).ok()?;
    let (width, height) = (picture.width(), picture.height());
    let whole = DynamicImage::ImageRgba8(RgbaImage::from_raw(width, height, picture.into_rgba())?);
    let small = if width.max(height) > THUMBNAIL { whole.thumbnail(THUMBNAIL, THUMBNAIL) } else { whole };
    Some(small.into_rgb8())
}
