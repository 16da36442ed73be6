//! What the window shows, from plain values; what the user wants comes back as [`Wish`]es.

use egui::{Align2, Color32, ComboBox, FontId, Key, Pos2, Rect, RichText, Sense, Stroke, Ui, Vec2, pos2, vec2};
use mobilenet_wgpu::Prediction;
use mobilenet_wgpu::measure::Profile;
use std::collections::VecDeque;

pub const HELP: &str = "Space: pause    left, right: other picture    P: measure the layers again    F: full screen    Esc: quit    drop pictures, folders or models here";

const BAR: Color32 = Color32::from_rgb(60, 130, 200);
const LATENCY: Color32 = Color32::from_rgb(240, 160, 60);
const RATE: Color32 = Color32::from_rgb(110, 200, 120);

/// What the user wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    Adapter(usize),
    Model(usize),
    Step(isize),
    Pause,
    Measure,
    FullScreen,
    Quit,
}

/// What is shown.
pub struct Scene<'a> {
    /// The picture, and its width and height.
    pub picture: Option<(egui::TextureId, [u32; 2])>,
    pub caption: String,
    pub error: Option<String>,
    pub paused: bool,
    pub adapters: &'a [String],
    pub adapter: usize,
    pub models: &'a [String],
    pub model: usize,
    pub description: String,
    pub predictions: &'a [Prediction],
    /// Milliseconds of the latest inferences, and of the latest frames.
    pub latency: &'a VecDeque<f32>,
    pub frames: &'a VecDeque<f32>,
    pub profile: Option<&'a Profile>,
}

/// Draws the scene.
pub fn draw(ui: &mut Ui, scene: &Scene<'_>) -> Vec<Wish> {
    let mut wishes = keys(ui);
    egui::Panel::bottom("layers").exact_size(76.0).show(ui, |ui| layers(ui, scene.profile));
    egui::Panel::right("figures").exact_size(330.0).show(ui, |ui| figures(ui, scene, &mut wishes));
    egui::CentralPanel::default_margins().show(ui, |ui| picture(ui, scene));
    wishes
}

fn keys(ui: &Ui) -> Vec<Wish> {
    let known = [
        (Key::Space, Wish::Pause),
        (Key::ArrowRight, Wish::Step(1)),
        (Key::ArrowLeft, Wish::Step(-1)),
        (Key::P, Wish::Measure),
        (Key::F, Wish::FullScreen),
        (Key::Q, Wish::Quit),
        (Key::Escape, Wish::Quit),
    ];
    ui.ctx().input(|input| known.into_iter().filter(|(key, _)| input.key_pressed(*key)).map(|(_, wish)| wish).collect())
}

fn picture(ui: &mut Ui, scene: &Scene<'_>) {
    let paused = if scene.paused { "  paused" } else { "" };
    ui.label(RichText::new(format!("{}{paused}", scene.caption)).strong());
    if let Some(error) = &scene.error {
        ui.colored_label(Color32::from_rgb(255, 120, 100), error);
    }
    ui.label(RichText::new(HELP).small().weak());
    let (space, _) = ui.allocate_exact_size(ui.available_size(), Sense::hover());
    if let Some((texture, [width, height])) = scene.picture {
        let size = vec2(width as f32, height as f32);
        let scale = (space.width() / size.x).min(space.height() / size.y);
        let whole = Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0));
        ui.painter().image(texture, Rect::from_center_size(space.center(), size * scale), whole, Color32::WHITE);
    }
}

fn figures(ui: &mut Ui, scene: &Scene<'_>, wishes: &mut Vec<Wish>) {
    if let Some(chosen) = choice(ui, "adapter", scene.adapters, scene.adapter) {
        wishes.push(Wish::Adapter(chosen));
    }
    if let Some(chosen) = choice(ui, "model", scene.models, scene.model) {
        wishes.push(Wish::Model(chosen));
    }
    ui.label(RichText::new(&scene.description).small().weak());
    ui.separator();
    for prediction in scene.predictions {
        bar(ui, prediction);
    }
    ui.separator();
    plot(ui, "latency", scene.latency, LATENCY, |ms| format!("{ms:.1} ms"));
    let rates: VecDeque<f32> = scene.frames.iter().map(|ms| 1000.0 / ms.max(0.01)).collect();
    plot(ui, "frames", &rates, RATE, |rate| format!("{rate:.0} a second"));
}

/// A list to choose from; the other one that was chosen, if any.
fn choice(ui: &mut Ui, name: &str, names: &[String], current: usize) -> Option<usize> {
    let mut chosen = current;
    let shown = names.get(current).map_or("", String::as_str);
    ui.label(RichText::new(name).small().weak());
    ComboBox::from_id_salt(name).selected_text(shown).width(ui.available_width()).truncate().show_ui(ui, |ui| {
        for (i, name) in names.iter().enumerate() {
            ui.selectable_value(&mut chosen, i, name);
        }
    });
    (chosen != current).then_some(chosen)
}

fn bar(ui: &mut Ui, prediction: &Prediction) {
    let (space, response) = ui.allocate_exact_size(vec2(ui.available_width(), 24.0), Sense::hover());
    let painter = ui.painter_at(space);
    let filled = Rect::from_min_size(space.min, vec2(space.width() * prediction.probability.clamp(0.0, 1.0), space.height()));
    painter.rect_filled(space, 3.0, ui.visuals().extreme_bg_color);
    painter.rect_filled(filled, 3.0, BAR);
    let (font, colour) = (FontId::proportional(14.0), ui.visuals().strong_text_color());
    let percent = format!("{:.1} %", prediction.probability * 100.0);
    let right = painter.text(space.right_center() - vec2(6.0, 0.0), Align2::RIGHT_CENTER, percent, font.clone(), colour);
    let label = painter.with_clip_rect(Rect::from_min_max(space.min, pos2(right.left() - 4.0, space.bottom())));
    label.text(space.left_center() + vec2(6.0, 0.0), Align2::LEFT_CENTER, &prediction.label, font, colour);
    response.on_hover_text(format!("{} (output {})", prediction.label, prediction.index));
}

/// The latest values as a line, from 0 to the greatest, with their median.
fn plot(ui: &mut Ui, name: &str, values: &VecDeque<f32>, colour: Color32, shown: impl Fn(f32) -> String) {
    let mut sorted: Vec<f32> = values.iter().copied().collect();
    sorted.sort_by(f32::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied().map_or("\u{2026}".into(), &shown);
    ui.horizontal(|ui| {
        ui.colored_label(colour, name);
        ui.label(RichText::new(median).strong());
    });
    let (space, _) = ui.allocate_exact_size(vec2(ui.available_width(), 56.0), Sense::hover());
    let painter = ui.painter_at(space);
    painter.rect_filled(space, 3.0, ui.visuals().extreme_bg_color);
    let Some(most) = sorted.last().filter(|most| **most > 0.0) else { return };
    let step = space.width() / super::KEPT as f32;
    let point = |(i, value): (usize, &f32)| pos2(space.left() + i as f32 * step, space.bottom() - value / most * (space.height() - 4.0));
    painter.line(values.iter().enumerate().map(point).collect(), Stroke::new(1.5, colour));
    let corner = space.right_top() + vec2(-4.0, 2.0);
    painter.text(corner, Align2::RIGHT_TOP, shown(*most), FontId::proportional(10.0), ui.visuals().weak_text_color());
}

/// Time of each step as the width of a piece of a bar.
fn layers(ui: &mut Ui, profile: Option<&Profile>) {
    let Some(profile) = profile.filter(|profile| profile.sum > 0.0) else {
        ui.label(RichText::new("layers: being measured\u{2026}").weak());
        return;
    };
    let (sum, steps) = (profile.sum / 1e6, profile.steps.len());
    ui.label(format!("layers: {steps} steps, {sum:.2} ms, the first on the left"));
    let (space, response) = ui.allocate_exact_size(vec2(ui.available_width(), 40.0), Sense::hover());
    let painter = ui.painter_at(space);
    let mut left = space.left();
    let mut pointed = None;
    for step in &profile.steps {
        let width = space.width() * (step.ns / profile.sum) as f32;
        let piece = Rect::from_min_size(pos2(left, space.top()), Vec2::new(width, space.height()));
        painter.rect_filled(piece.shrink2(vec2(0.5_f32.min(width / 4.0), 0.0)), 1.0, colour_of(&step.op));
        if width > 46.0 {
            let text = painter.with_clip_rect(piece.shrink(2.0));
            text.text(piece.left_center() + vec2(4.0, 0.0), Align2::LEFT_CENTER, &step.node, FontId::proportional(11.0), Color32::BLACK);
        }
        if response.hover_pos().is_some_and(|at| piece.contains(at)) {
            pointed = Some(step);
        }
        left += width;
    }
    if let Some(step) = pointed {
        let share = step.ns / profile.sum * 100.0;
        response.on_hover_text(format!("{}: {}\n{}\n{:.3} ms, {share:.1} %", step.node, step.op, step.variant, step.ns / 1e6));
    }
}

/// A kind of layer by its colour.
fn colour_of(op: &str) -> Color32 {
    let kinds = [
        ("depthwise", Color32::from_rgb(240, 170, 80)),
        ("pointwise", Color32::from_rgb(100, 160, 220)),
        ("conv", Color32::from_rgb(120, 200, 190)),
        ("inverted", Color32::from_rgb(170, 140, 220)),
        ("block", Color32::from_rgb(170, 140, 220)),
        ("pool", Color32::from_rgb(220, 120, 130)),
    ];
    let found = kinds.iter().find(|(kind, _)| op.contains(kind));
    found.map_or(Color32::from_rgb(150, 190, 120), |(_, colour)| *colour)
}
