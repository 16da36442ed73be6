//! MobileNet V1 and V2: their configuration, the graph that it gives, and what that costs.

mod build;
mod config;
mod config_json;
mod cost;
#[cfg(not(target_arch = "wasm32"))]
mod load;
#[allow(clippy::module_inception)]
mod model;
mod recognition;
mod settings;

pub use config::{BlockConfig, MobileNetConfig, PaddingRule, Version};
pub use cost::{Cost, LayerCost, Multipliers, Scaled, Separable, Totals};
pub use model::{LoadOptions, Model};
pub use recognition::Recognition;
pub use settings::Settings;
