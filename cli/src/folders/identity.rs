//! What the results of a run depend on, as a value that a record keeps: only a run of the same identity is gone on with.
//!
//! What must hold: whatever changes results is in it (the weights themselves, not only their name), and nothing else is: neither
//! the batch nor the device, on which results agree but for rounding.

use crate::backend::Backend;
use crate::failure::Outcome;
use mobilenet_wgpu::picture::Preprocessing;
use mobilenet_wgpu::{Classifier, Model};
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
            format!("{}/{} {}", kernel.op, kernel.name, Fingerprint::of(kernel.source.as_bytes()))
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

/// FNV-1a of 64 bits: the same in every version of this program, and against mistakes, not against people.
pub struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fingerprint {
    /// Of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut fingerprint = Self::default();
        fingerprint.add(bytes);
        fingerprint
    }
    /// Takes in bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.step(u64::from(*byte)));
    }
    /// Takes in numbers, by their bits.
    fn add_values(&mut self, values: &[f32]) {
        values.iter().for_each(|value| self.step(u64::from(value.to_bits())));
    }
    fn step(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x0100_0000_01b3);
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_tell_apart_what_differs() {
        // The published value of FNV-1a.
        assert_eq!(Fingerprint::of(b"foobar").to_string(), "85944171f73967e8");
        let of = |values: &[f32]| {
            let mut fingerprint = Fingerprint::default();
            fingerprint.add_values(values);
            fingerprint.to_string()
        };
        assert_ne!(of(&[1.0, 2.0]), of(&[2.0, 1.0]));
        assert_ne!(of(&[0.0]), of(&[-0.0]));
    }
}
