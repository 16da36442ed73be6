//! MobileNet V1 and V2: their configuration, the graph that it gives, and what that costs.

mod build;
mod config;

pub use config::{BlockConfig, MobileNetConfig, PaddingRule, Version};
