//! What tensors do not say: padding, epsilon, activation, preprocessing, strides, labels. Each may be set by the scheme,
//! the file's `__metadata__`, a `config.json` beside it, and the user, the later over the earlier.

use super::{MobileNetConfig, PaddingRule};
use crate::graph::Activation;
use crate::picture::{Interpolation, Preprocessing, Resize};
use std::collections::BTreeMap;

/// Optional settings; what is `None` is left as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Padding of the 3x3 convolutions.
    pub padding: Option<PaddingRule>,
    /// Epsilon of the batch norms.
    pub bn_eps: Option<f32>,
    /// Activation after every convolution but V2's projections.
    pub activation: Option<Activation>,
    /// Whether output 0 is a background class.
    pub background_class: Option<bool>,
    /// Mean, in 0..1, in the network's channel order.
    pub mean: Option<[f32; 3]>,
    /// Standard deviation, in 0..1, in the network's channel order.
    pub std: Option<[f32; 3]>,
    /// Filter of the resize.
    pub interpolation: Option<Interpolation>,
    /// Share of the short side that stays; sets a centre crop.
    pub crop_pct: Option<f32>,
    /// Which part of the picture; over `crop_pct`.
    pub resize: Option<Resize>,
    /// The stem's stride, then one a stage (V1: its 13 blocks; V2: its 7 stages).
    pub strides: Option<Vec<u32>>,
    /// Height and width of the input.
    pub input_size: Option<[u32; 2]>,
    /// Names of the classes, one an output.
    pub labels: Option<Vec<String>>,
}

impl Settings {
    /// These settings, and `under`'s where these have none.
    #[must_use]
    pub fn over(self, under: Settings) -> Settings {
        // A crop set above must not be undone by a resize rule below.
        let resize = self.resize.or(if self.crop_pct.is_some() { None } else { under.resize });
        Settings {
            padding: self.padding.or(under.padding),
            bn_eps: self.bn_eps.or(under.bn_eps),
            activation: self.activation.or(under.activation),
            background_class: self.background_class.or(under.background_class),
            mean: self.mean.or(under.mean),
            std: self.std.or(under.std),
            interpolation: self.interpolation.or(under.interpolation),
            crop_pct: self.crop_pct.or(under.crop_pct),
            resize,
            strides: self.strides.or(under.strides),
            input_size: self.input_size.or(under.input_size),
            labels: self.labels.or(under.labels),
        }
    }

    /// The preprocessing with these settings.
    pub(super) fn preprocessing(&self, scheme: Preprocessing) -> Preprocessing {
        let crop = self.crop_pct.map(|crop_pct| Resize::CentreCrop { crop_pct });
        Preprocessing {
            resize: self.resize.or(crop).unwrap_or(scheme.resize),
            interpolation: self.interpolation.unwrap_or(scheme.interpolation),
            mean: self.mean.unwrap_or(scheme.mean),
            std: self.std.unwrap_or(scheme.std),
            order: scheme.order,
        }
    }

    /// Names of the settings that are set, for reports.
    pub(super) fn named(&self) -> Vec<String> {
        let shown = |name: &str, value: Option<String>| value.map(|v| format!("{name} {v}"));
        [
            shown("padding", self.padding.map(|v| v.to_string())),
            shown("bn_eps", self.bn_eps.map(|v| v.to_string())),
            shown("activation", self.activation.map(|v| v.name().to_string())),
            shown("background_class", self.background_class.map(|v| v.to_string())),
            shown("mean", self.mean.map(|v| format!("{v:?}"))),
            shown("std", self.std.map(|v| format!("{v:?}"))),
            shown("interpolation", self.interpolation.map(|v| format!("{v:?}").to_lowercase())),
            shown("crop_pct", self.crop_pct.map(|v| v.to_string())),
            shown("resize", self.resize.map(|v| format!("{v:?}"))),
            shown("strides", self.strides.as_ref().map(|v| format!("{v:?}"))),
            shown("input_size", self.input_size.map(|[h, w]| format!("{h}x{w}"))),
            shown("labels", self.labels.as_ref().map(|v| v.len().to_string())),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Numbers in a text, however they are joined: `1,1,2`, `[1, 1, 2]`, `0.5 0.5 0.5`.
fn numbers(text: &str) -> Option<Vec<f64>> {
    let inner = text.trim().trim_start_matches(['[', '(']).trim_end_matches([']', ')']);
    inner.split([',', ' ']).filter(|s| !s.is_empty()).map(|s| s.parse().ok()).collect()
}

/// Three finite numbers in 0..1 (a deviation is not 0).
fn colour(values: &[f64], least: f64) -> Option<[f32; 3]> {
    let fits = values.iter().all(|v| (least..=1.0).contains(v));
    let [r, g, b] = *values else { return None };
    fits.then_some([r as f32, g as f32, b as f32])
}

pub(super) fn mean(values: &[f64]) -> Option<[f32; 3]> {
    colour(values, 0.0)
}

pub(super) fn std(values: &[f64]) -> Option<[f32; 3]> {
    colour(values, 1e-6)
}

pub(super) fn epsilon(value: f64) -> Option<f32> {
    (value > 0.0 && value < 1.0).then_some(value as f32)
}

pub(super) fn crop(value: f64) -> Option<f32> {
    (value > 0.0 && value <= 1.0).then_some(value as f32)
}

/// The epsilon, size and so on of a file's metadata, with a note for each key that we know but cannot read.
pub(super) fn from_metadata(metadata: &BTreeMap<String, String>, config: &MobileNetConfig, notes: &mut Vec<String>) -> Settings {
    let mut settings = Settings::default();
    for (key, text) in metadata {
        let text = text.trim();
        // What a converter writes where there is nothing to say.
        if matches!(text, "" | "None" | "none" | "null") {
            continue;
        }
        if !read_key(&mut settings, key, text, config, notes) {
            let shown: String = text.chars().take(60).collect();
            notes.push(format!("metadata `{key}` is not read: `{shown}`"));
        }
    }
    settings
}

/// Whether the value of a key could be read; keys that we do not know always can.
fn read_key(settings: &mut Settings, key: &str, text: &str, config: &MobileNetConfig, notes: &mut Vec<String>) -> bool {
    fn put<T>(place: &mut Option<T>, value: Option<T>) -> bool {
        *place = value;
        place.is_some()
    }
    let values = || numbers(text);
    match key {
        "padding" => put(&mut settings.padding, padding(text)),
        "bn_eps" => put(&mut settings.bn_eps, text.parse().ok().and_then(epsilon)),
        "activation" => put(&mut settings.activation, activation(text)),
        "background_class" => put(&mut settings.background_class, boolean(text)),
        "mean" => put(&mut settings.mean, values().and_then(|v| mean(&v))),
        "std" => put(&mut settings.std, values().and_then(|v| std(&v))),
        "interpolation" => put(&mut settings.interpolation, interpolation(text)),
        "crop_pct" => put(&mut settings.crop_pct, text.parse().ok().and_then(crop)),
        "resize" => put(&mut settings.resize, resize(text)),
        "input_size" => put(&mut settings.input_size, size(text)),
        "strides" => put(&mut settings.strides, strides(text).filter(|s| config.clone().with_strides(s).is_ok())),
        "labels" => put(&mut settings.labels, labels(text, config.classes)),
        "architecture" => {
            note_difference(notes, key, text, &format!("mobilenet_{}", if config.version == super::Version::V1 { "v1" } else { "v2" }));
            true
        }
        "width" => {
            let says = text.parse::<f32>();
            if says.as_ref().is_ok_and(|w| (w - config.width()).abs() > 0.026) {
                note_difference(notes, key, text, &config.width().to_string());
            }
            says.is_ok()
        }
        _ => true,
    }
}

fn note_difference(notes: &mut Vec<String>, key: &str, says: &str, found: &str) {
    if says != found {
        notes.push(format!("{key} is said to be {says}, the tensors say {found}: the tensors decide"));
    }
}

fn padding(text: &str) -> Option<PaddingRule> {
    let text = text.to_lowercase();
    let begins = |words: &[&str]| words.iter().any(|w| text.starts_with(w));
    if begins(&["symmetric"]) {
        Some(PaddingRule::Symmetric)
    } else if begins(&["same", "tf_same", "tf same"]) {
        Some(PaddingRule::Same)
    } else {
        None
    }
}

/// `relu6` or `relu`, as frameworks write them.
pub(super) fn activation(text: &str) -> Option<Activation> {
    match text.to_lowercase().as_str() {
        "relu6" | "nn.relu6" | "relu_6" => Some(Activation::Relu6),
        "relu" | "nn.relu" => Some(Activation::Relu),
        _ => None,
    }
}

/// `squash`, or `larger 0.8`: a crop of that share, but of pictures of the network's own size.
fn resize(text: &str) -> Option<Resize> {
    if text == "squash" {
        return Some(Resize::Squash);
    }
    let crop_pct = text.strip_prefix("larger ")?.trim().parse().ok().and_then(crop)?;
    Some(Resize::CentreCropLarger { crop_pct })
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "1" | "yes" => Some(true),
        "false" | "0" | "no" => Some(false),
        _ => None,
    }
}

pub(super) fn interpolation(text: &str) -> Option<Interpolation> {
    match text.to_lowercase().as_str() {
        "bilinear" => Some(Interpolation::Bilinear),
        "bicubic" => Some(Interpolation::Bicubic),
        _ => None,
    }
}

/// `224` or `160x224`, height first.
fn size(text: &str) -> Option<[u32; 2]> {
    let (height, width) = text.split_once(['x', 'X']).unwrap_or((text, text));
    let side = |s: &str| s.trim().parse().ok().filter(|n| (1..=1 << 14).contains(n));
    Some([side(height)?, side(width)?])
}

fn strides(text: &str) -> Option<Vec<u32>> {
    let values = numbers(text)?;
    let whole = values.iter().map(|v| (v.fract() == 0.0 && (1.0..=16.0).contains(v)).then_some(*v as u32));
    whole.collect()
}

/// A JSON array, or names between commas if there are as many as classes.
fn labels(text: &str, classes: Option<u32>) -> Option<Vec<String>> {
    let fits = |labels: &Vec<String>| Some(labels.len()) == classes.map(|n| n as usize);
    match serde_json::from_str::<Vec<String>>(text) {
        Ok(labels) => Some(labels),
        Err(_) => Some(text.split(',').map(|s| s.trim().to_string()).collect()).filter(fits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let metadata = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let mut notes = Vec::new();
        let config = MobileNetConfig::v2(0.5).with_classes(Some(2));
        let settings = from_metadata(&metadata, &config, &mut notes);
        (settings, notes)
    }

    #[test]
    fn metadata_is_read() {
        let (settings, notes) = read(&[
            ("padding", "TF SAME asymmetric (stride2: …)"),
            ("bn_eps", "1e-3"),
            ("activation", "relu"),
            ("input_size", "160x224"),
            ("mean", "0.5,0.5,0.5"),
            ("std", "[0.25, 0.5, 1]"),
            ("strides", "1,1,1,2,2,1,2,1"),
            ("labels", "[\"a, b\", \"c\"]"),
            ("background_class", "true"),
            ("crop_pct", "0.9"),
            ("interpolation", "bicubic"),
            ("architecture", "mobilenet_v2"),
            ("width", "0.5"),
            ("note", "prose"),
        ]);
        assert!(notes.is_empty(), "{notes:?}");
        assert_eq!(settings.padding, Some(PaddingRule::Same));
        assert_eq!(settings.bn_eps, Some(1e-3));
        assert_eq!(settings.input_size, Some([160, 224]));
        assert_eq!(settings.std, Some([0.25, 0.5, 1.0]));
        assert_eq!(settings.strides.as_deref(), Some(&[1, 1, 1, 2, 2, 1, 2, 1][..]));
        assert_eq!(settings.labels, Some(vec!["a, b".into(), "c".into()]));
    }

    #[test]
    fn what_cannot_be_read_is_a_note() {
        let pairs = [
            ("padding", "PyTorch's"),
            ("bn_eps", "folded (1e-5)"),
            ("activation", "swish"),
            ("input_size", "0"),
            ("mean", "127.5,127.5,127.5"),
            ("std", "0,0,0"),
            ("strides", "2,2"),
            ("labels", "a,b,c"),
            ("crop_pct", "7"),
            ("resize", "larger"),
            ("architecture", "mobilenet_v1"),
            ("width", "1.4"),
        ];
        let (settings, notes) = read(&pairs);
        assert_eq!(settings, Settings::default());
        assert_eq!(notes.len(), pairs.len(), "{notes:#?}");
        assert!(read(&[("bn_eps", "None")]).1.is_empty());
    }

    #[test]
    fn a_resize_rule_is_read() {
        assert_eq!(read(&[("resize", "squash")]).0.resize, Some(Resize::Squash));
        let larger = Settings { resize: Some(Resize::CentreCropLarger { crop_pct: 0.8 }), ..Settings::default() };
        assert_eq!(read(&[("resize", "larger 0.8")]).0, larger);
    }

    #[test]
    fn a_crop_above_undoes_a_squash_below() {
        let below = Settings { resize: Some(Resize::Squash), ..Settings::default() };
        let above = Settings { crop_pct: Some(0.9), ..Settings::default() };
        let rule = above.over(below.clone()).preprocessing(Preprocessing::TORCH).resize;
        assert_eq!(rule, Resize::CentreCrop { crop_pct: 0.9 });
        assert_eq!(Settings::default().over(below).preprocessing(Preprocessing::TORCH).resize, Resize::Squash);
    }
}
