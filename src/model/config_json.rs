//! `config.json` as timm and transformers lay it beside a checkpoint, and transformers' `preprocessor_config.json`.

use super::settings::{self, Settings};
use super::{MobileNetConfig, PaddingRule, Version};
use crate::picture::{Interpolation, Resize};
use crate::{Error, Result};
use serde_json::Value;

/// The settings of a `config.json`, timm's or transformers' as its keys tell; notes where it and the tensors differ.
///
/// # Errors
/// [`Error::Checkpoint`] if it is not a JSON object, or asks for what would silently be computed otherwise: another
/// activation, dilated convolutions.
pub(super) fn from_config(text: &str, config: &MobileNetConfig, notes: &mut Vec<String>) -> Result<Settings> {
    let value = object(text, "config.json")?;
    let kind = value.get("architecture").or_else(|| value.get("model_type")).and_then(Value::as_str);
    if let Some(kind) = kind.filter(|kind| !kind.contains("mobilenet")) {
        notes.push(format!("config.json is another model's ({kind}): not read"));
        return Ok(Settings::default());
    }
    if value.get("pretrained_cfg").is_some() || value.get("architecture").is_some() {
        timm(&value, config, notes)
    } else {
        transformers(&value, config, notes)
    }
}

fn object(text: &str, file: &str) -> Result<Value> {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(Error::Checkpoint(format!("{file} is not a JSON object; repair or remove it"))),
        Err(e) => Err(Error::Checkpoint(format!("{file} is not JSON ({e}); repair or remove it"))),
    }
}

fn timm(value: &Value, config: &MobileNetConfig, notes: &mut Vec<String>) -> Result<Settings> {
    let arguments = value.get("model_args").unwrap_or(&Value::Null);
    // Old files keep everything at the top.
    let find = |key: &str| value.get("pretrained_cfg").and_then(|c| c.get(key)).or_else(|| value.get(key)).filter(|v| !v.is_null());
    if let Some(name) = value.get("architecture").and_then(Value::as_str) {
        let version = if config.version == Version::V1 { "mobilenetv1" } else { "mobilenetv2" };
        if !name.contains(version) {
            notes.push(format!("config.json says {name}, the tensors say {version}: the tensors decide"));
        }
    }
    note_classes(value.get("num_classes"), config, notes);
    let sides = find("input_size").and_then(Value::as_array).and_then(|v| square(v.get(1)?, v.get(2)?));
    let squash = find("crop_mode").and_then(Value::as_str) == Some("squash");
    Ok(Settings {
        activation: activation(arguments.get("act_layer"), "act_layer")?,
        bn_eps: arguments.get("bn_eps").and_then(Value::as_f64).and_then(settings::epsilon),
        padding: arguments.get("pad_type").and_then(Value::as_str).and_then(pad_type),
        mean: find("mean").and_then(floats).and_then(|v| settings::mean(&v)),
        std: find("std").and_then(floats).and_then(|v| settings::std(&v)),
        interpolation: find("interpolation").and_then(Value::as_str).and_then(settings::interpolation),
        crop_pct: find("crop_pct").and_then(Value::as_f64).and_then(settings::crop),
        resize: squash.then_some(Resize::Squash),
        input_size: sides,
        labels: timm_labels(&find),
        ..Settings::default()
    })
}

/// `label_names` in class order, described by `label_descriptions` where that is there.
fn timm_labels<'a>(find: &impl Fn(&str) -> Option<&'a Value>) -> Option<Vec<String>> {
    let names: Vec<&str> = find("label_names")?.as_array()?.iter().map(Value::as_str).collect::<Option<_>>()?;
    let described = |name: &str| find("label_descriptions")?.get(name)?.as_str();
    Some(names.into_iter().map(|name| described(name).unwrap_or(name).to_string()).collect())
}

fn transformers(value: &Value, config: &MobileNetConfig, notes: &mut Vec<String>) -> Result<Settings> {
    if let Some(stride) = value.get("output_stride").and_then(Value::as_u64)
        && stride < 32
    {
        let message =
            format!("config.json: output_stride {stride} means dilated convolutions, which are not supported; use a checkpoint with 32");
        return Err(Error::Checkpoint(message));
    }
    if let Some(kind) = value.get("model_type").and_then(Value::as_str) {
        let version = if config.version == Version::V1 { "mobilenet_v1" } else { "mobilenet_v2" };
        if kind != version {
            notes.push(format!("config.json says {kind}, the tensors say {version}: the tensors decide"));
        }
    }
    if let Some(width) = value.get("depth_multiplier").and_then(Value::as_f64)
        && (width - f64::from(config.width())).abs() > 0.026
    {
        notes.push(format!("config.json says depth_multiplier {width}, the tensors say {}: the tensors decide", config.width()));
    }
    let labels = value.get("id2label").and_then(|v| id2label(v, config.classes, notes));
    if labels.is_none() {
        note_classes(value.get("num_labels"), config, notes);
    }
    let padding = |same: bool| if same { PaddingRule::Same } else { PaddingRule::Symmetric };
    Ok(Settings {
        padding: value.get("tf_padding").and_then(Value::as_bool).map(padding),
        bn_eps: value.get("layer_norm_eps").and_then(Value::as_f64).and_then(settings::epsilon),
        activation: activation(value.get("hidden_act"), "hidden_act")?,
        input_size: value.get("image_size").and_then(image_size),
        labels,
        ..Settings::default()
    })
}

/// Names by index; placeholders such as `LABEL_3` are none. Indices beyond the classes are noted.
fn id2label(value: &Value, classes: Option<u32>, notes: &mut Vec<String>) -> Option<Vec<String>> {
    let classes = classes? as usize;
    let map = value.as_object()?;
    let mut labels: Vec<String> = (0..classes).map(|i| format!("class {i}")).collect();
    let mut named = 0;
    for (index, label) in map {
        let (Ok(index), Some(label)) = (index.parse::<usize>(), label.as_str()) else { continue };
        if label == format!("LABEL_{index}") {
            continue;
        }
        match labels.get_mut(index) {
            Some(place) => {
                *place = label.to_string();
                named += 1;
            }
            None => notes.push(format!("config.json names output {index} `{label}`, but there are {classes}")),
        }
    }
    notes.truncate(100);
    (named > 0).then_some(labels)
}

/// The settings of a `preprocessor_config.json`.
///
/// # Errors
/// [`Error::Checkpoint`] if it is not a JSON object.
pub(super) fn from_preprocessor(text: &str) -> Result<Settings> {
    let value = object(text, "preprocessor_config.json")?;
    let flag = |key: &str| value.get(key).and_then(Value::as_bool).unwrap_or(true);
    let sides = |key: &str| {
        let size = value.get(key)?;
        image_size(size).or_else(|| square(size.get("height")?, size.get("width")?))
    };
    let shortest = value.get("size").and_then(|s| s.get("shortest_edge")).and_then(Value::as_f64);
    let crop = if flag("do_center_crop") { sides("crop_size") } else { None };
    let crop_pct = shortest.zip(crop).and_then(|(edge, [h, w])| settings::crop(f64::from(h.min(w)) / edge));
    let squash = shortest.is_none() && crop.is_none();
    Ok(Settings {
        mean: if flag("do_normalize") { value.get("image_mean").and_then(floats).and_then(|v| settings::mean(&v)) } else { Some([0.0; 3]) },
        std: if flag("do_normalize") { value.get("image_std").and_then(floats).and_then(|v| settings::std(&v)) } else { Some([1.0; 3]) },
        interpolation: match value.get("resample").and_then(Value::as_u64) {
            Some(2) => Some(Interpolation::Bilinear),
            Some(3) => Some(Interpolation::Bicubic),
            _ => None,
        },
        crop_pct,
        resize: if squash { sides("size").map(|_| Resize::Squash) } else { None },
        input_size: crop.or_else(|| sides("size")),
        ..Settings::default()
    })
}

/// An activation that we have, or the error that we do not have it: anything else would be computed wrongly.
fn activation(value: Option<&Value>, key: &str) -> Result<Option<crate::graph::Activation>> {
    let Some(name) = value.and_then(Value::as_str) else { return Ok(None) };
    settings::activation(name)
        .map(Some)
        .ok_or_else(|| Error::Checkpoint(format!("config.json: {key} `{name}` is not supported; MobileNets here have relu6 or relu")))
}

fn pad_type(text: &str) -> Option<PaddingRule> {
    match text {
        "same" => Some(PaddingRule::Same),
        "" => Some(PaddingRule::Symmetric),
        _ => None,
    }
}

fn note_classes(value: Option<&Value>, config: &MobileNetConfig, notes: &mut Vec<String>) {
    if let (Some(says), Some(classes)) = (value.and_then(Value::as_u64), config.classes)
        && says != u64::from(classes)
    {
        notes.push(format!("config.json says {says} classes, the classifier has {classes}: the tensors decide"));
    }
}

fn floats(value: &Value) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(Value::as_f64).collect()
}

fn side(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| (1..=1 << 14).contains(n))
}

fn square(height: &Value, width: &Value) -> Option<[u32; 2]> {
    Some([side(height)?, side(width)?])
}

/// One number, or `[height, width]`.
fn image_size(value: &Value) -> Option<[u32; 2]> {
    match value.as_array() {
        Some(sides) => square(sides.first()?, sides.get(1)?),
        None => square(value, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Activation;

    fn read(text: &str) -> Result<(Settings, Vec<String>)> {
        let mut notes = Vec::new();
        let settings = from_config(text, &MobileNetConfig::v2(1.0).with_classes(Some(3)), &mut notes)?;
        Ok((settings, notes))
    }

    #[test]
    fn timm_is_read() -> Result<()> {
        let (settings, notes) = read(
            r#"{"architecture": "mobilenetv2_100", "num_classes": 3, "model_args": {"act_layer": "relu"}, "pretrained_cfg": {
                "input_size": [3, 160, 224], "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "crop_pct": 0.95, "interpolation": "bicubic",
                "label_names": ["a", "b", "c"], "label_descriptions": {"a": "first"}}}"#,
        )?;
        assert!(notes.is_empty(), "{notes:?}");
        assert_eq!((settings.input_size, settings.crop_pct), (Some([160, 224]), Some(0.95)));
        assert_eq!((settings.interpolation, settings.activation), (Some(Interpolation::Bicubic), Some(Activation::Relu)));
        assert_eq!(settings.labels, Some(vec!["first".into(), "b".into(), "c".into()]));
        Ok(())
    }

    #[test]
    fn transformers_is_read() -> Result<()> {
        let (settings, notes) = read(
            r#"{"model_type": "mobilenet_v2", "depth_multiplier": 1.0, "image_size": 192, "tf_padding": false, "layer_norm_eps": 1e-5,
                "hidden_act": "relu", "id2label": {"0": "cat", "2": "dog", "9": "cow"}}"#,
        )?;
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert_eq!((settings.padding, settings.bn_eps), (Some(PaddingRule::Symmetric), Some(1e-5)));
        assert_eq!(settings.labels, Some(vec!["cat".into(), "class 1".into(), "dog".into()]));
        assert_eq!(settings.input_size, Some([192, 192]));
        assert_eq!(read(r#"{"id2label": {"0": "LABEL_0"}}"#)?.0.labels, None);
        Ok(())
    }

    #[test]
    fn what_would_be_wrong_is_refused() {
        for text in ["[]", "nonsense", r#"{"hidden_act": "hard_swish"}"#, r#"{"output_stride": 8}"#] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn preprocessor_is_read() -> Result<()> {
        let settings = from_preprocessor(
            r#"{"crop_size": {"height": 192, "width": 192}, "do_center_crop": true, "size": {"shortest_edge": 256}, "resample": 2,
                "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}"#,
        )?;
        assert_eq!((settings.crop_pct, settings.input_size), (Some(0.75), Some([192, 192])));
        let settings = from_preprocessor(r#"{"size": {"height": 96, "width": 128}, "do_center_crop": false, "do_normalize": false}"#)?;
        assert_eq!((settings.resize, settings.input_size), (Some(Resize::Squash), Some([96, 128])));
        assert_eq!((settings.mean, settings.std), (Some([0.0; 3]), Some([1.0; 3])));
        Ok(())
    }
}
