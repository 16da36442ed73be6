//! Adapter and device: finding one, and its description as a value.

mod adapter;
mod errors;
mod profile;

pub use adapter::{AdapterOptions, AdapterSummary, adapters, request_device, wanted};
pub(crate) use errors::Scope;
pub use profile::{DeviceClass, DeviceProfile};
