//! What the results of a run depend on, as a value that a record keeps: only a run of the same identity is gone on with.
//!
//! What must hold: whatever changes results is in it (the weights themselves, not only their name), and nothing else is: neither
//! the batch nor the device, on which results agree but for rounding.

use crate::backend::Backend;
use crate::failure::Outcome;
use crate::fingerprint::Fingerprint;
use mobilenet_wgpu::picture::Preprocessing;
use mobilenet_wgpu::{Classifier, Model, measure};
use serde::Serialize;
use serde_json::{Value, json};

/// The identity of what `classifier` computes, as a JSON object. `name` is what the user called the model.
pub fn of(name: &str, model: &Model, classifier: &Classifier, backend: &Backend) -> Outcome<Value> {
    let known = model.recognition();
    Ok(json!({
        "model": name,
        "weights": weights(model)?,
        "network": {
            "padding": known.padding, "bn_eps": text(&known.bn_eps), "activation": known.activation, "strides": known.strides,
            "background_class": known.background_class,
        },
        "size": classifier.size(),
        "preprocessing": preprocessing(model),
        "precision": classifier.session().map_or("f32", |session| session.plan().precision.name()),
        "kernels": backend.own_kernels().iter().map(|kernel| {
            format!("{}/{} {}", kernel.op, kernel.name, measure::fingerprint(kernel))
        }).collect::<Vec<_>>(),
    }))
}

/// What pictures become for a model.
pub fn preprocessing(model: &Model) -> Value {
    let Preprocessing { resize, interpolation, mean, std, order } = model.preprocessing();
    json!({"resize": text(resize), "interpolation": interpolation, "mean": text(mean), "std": text(std), "order": order})
}

/// A value as text: numbers with a fraction would not come back from JSON to their last digit.
fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A fingerprint of the names that a model has for its classes.
pub fn labels(model: &Model) -> String {
    let mut fingerprint = Fingerprint::default();
    (0..model.labels().len()).for_each(|i| fingerprint.add(format!("{}\n", model.labels().get(i).0).as_bytes()));
    fingerprint.to_string()
}

/// A fingerprint of a model's weights, whatever file they came in.
pub fn weights(model: &Model) -> Outcome<String> {
    let mut fingerprint = Fingerprint::default();
    for name in model.weights().names() {
        fingerprint.add(name.as_bytes());
        fingerprint.add_values(&model.weights().get(name)?);
    }
    Ok(fingerprint.to_string())
}
