//! What a page may ask for, as JSON.

use crate::errors::{to_js, with_code};
use mobilenet_wgpu::engine::SessionOptions;
use mobilenet_wgpu::kernel::{OpKind, Precision};
use mobilenet_wgpu::model::LoadOptions;
use mobilenet_wgpu::plan::Preference;
use mobilenet_wgpu::tune::{Tuning, TuningRecord};
use wasm_bindgen::JsValue;

/// Where to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// On the GPU; where there is none, on the CPU.
    #[default]
    Auto,
    /// On the GPU, or not at all.
    Gpu,
    /// In WebAssembly.
    Cpu,
}

/// Options of `Network.load`.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Options {
    pub backend: Backend,
    /// What the checkpoint is called.
    pub name: String,
    /// Height and width.
    pub size: Option<[u32; 2]>,
    pub precision: Precision,
    pub outputs: Vec<String>,
    pub in_flight: Option<usize>,
    /// Op and variant.
    pub prefer: Vec<(OpKind, String)>,
    /// A record of `mobilenet tune`, or of the demo's bench.
    pub tuning: Option<String>,
    pub config_json: Option<String>,
    pub preprocessor_json: Option<String>,
}

impl Options {
    pub fn parse(json: &str) -> Result<Self, JsValue> {
        serde_json::from_str(json).map_err(|e| with_code(&format!("options: {e}"), "option"))
    }

    pub fn load(&self) -> LoadOptions {
        LoadOptions { config_json: self.config_json.clone(), preprocessor_json: self.preprocessor_json.clone(), ..Default::default() }
    }

    pub fn session(&self) -> Result<SessionOptions, JsValue> {
        let tuning = match &self.tuning {
            Some(text) => Tuning::default().with(TuningRecord::parse(text).map_err(|e| to_js(&e))?),
            None => Tuning::default(),
        };
        let prefer = self.prefer.iter().map(|(op, variant)| Preference { op: *op, variant: variant.clone() }).collect();
        Ok(SessionOptions {
            size: self.size,
            precision: self.precision,
            outputs: self.outputs.clone(),
            prefer,
            tuning,
            in_flight: self.in_flight.unwrap_or(3),
            ..Default::default()
        })
    }
}
