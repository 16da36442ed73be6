//! MobileNet V1 and V2 on any GPU that `wgpu` reaches.
//!
//! Data flows one way: `weights` (a checkpoint) and `model` (its configuration) give a [`graph::Graph`]; passes
//! rewrite it; [`plan`] chooses a kernel for each node; [`engine`] runs the plan on a device. See ARCHITECTURE.md.

// In a browser wgpu's objects stay on their thread; natively the same `Arc`s cross threads.
#![cfg_attr(target_arch = "wasm32", allow(clippy::arc_with_non_send_sync))]

pub mod engine;
pub mod error;
pub mod gpu;
pub mod graph;
pub mod kernel;
pub mod labels;
pub mod measure;
pub mod model;
pub mod picture;
pub mod plan;
pub mod reference;
mod tensor;
pub mod tune;
pub mod weights;

pub use error::{Error, Result};
pub use tensor::Tensor;
pub use wgpu;
