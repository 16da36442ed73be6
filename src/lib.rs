//! MobileNet V1 and V2 on any GPU that `wgpu` reaches. A photo and a checkpoint in, the five likeliest classes out:
//!
//! ```no_run
//! use mobilenet_wgpu::{Classifier, ClassifierOptions, Model, Picture};
//! let model = Model::open("mobilenet_v2.safetensors")?;
//! let mut classifier = Classifier::new(model, &ClassifierOptions::default())?;
//! for prediction in &classifier.classify(&[Picture::open("photo.jpg")?], 5)?[0] {
//!     println!("{:5.1} %  {}", prediction.probability * 100.0, prediction.label);
//! }
//! # Ok::<(), mobilenet_wgpu::Error>(())
//! ```
//!
//! Data flows one way: `weights` (a checkpoint) and `model` (its configuration) give a [`graph::Graph`]; passes
//! rewrite it; [`plan`] chooses a kernel for each node; [`engine`] runs the plan on a device. See ARCHITECTURE.md.

// In a browser wgpu's objects stay on their thread; natively the same `Arc`s cross threads.
#![cfg_attr(target_arch = "wasm32", allow(clippy::arc_with_non_send_sync))]

pub mod classifier;
pub mod engine;
pub mod error;
pub mod gpu;
pub mod graph;
pub mod kernel;
#[cfg(all(feature = "lab", not(target_arch = "wasm32")))]
pub mod lab;
pub mod labels;
pub mod measure;
pub mod model;
pub mod picture;
pub mod plan;
pub mod reference;
mod tensor;
pub mod tune;
pub mod weights;

pub use classifier::{Classifier, ClassifierOptions, Prediction};
pub use error::{Error, Result};
pub use model::Model;
pub use picture::Picture;
pub use tensor::Tensor;
pub use wgpu;
