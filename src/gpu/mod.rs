//! Adapter and device: finding one, and its description as a value.

mod adapter;
mod errors;
mod needs;
mod profile;
#[cfg(target_os = "linux")]
mod workers;

pub use adapter::{AdapterOptions, AdapterSummary, adapters, request_device};
pub(crate) use errors::Scope;
pub(crate) use needs::lacking;
pub use needs::{required, wanted};
pub use profile::{DeviceClass, DeviceProfile};
