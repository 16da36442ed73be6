//! Adapter and device: finding one, and its description as a value.

mod adapter;
#[cfg(target_os = "linux")]
mod awake;
mod errors;
mod needs;
mod profile;
#[cfg(target_os = "linux")]
mod workers;

pub(crate) use adapter::open;
pub use adapter::{AdapterOptions, AdapterSummary, adapters, request_device};
#[cfg(target_os = "linux")]
pub(crate) use awake::Awake;
pub(crate) use errors::Scope;
pub(crate) use needs::lacking;
pub use needs::{required, wanted};
pub use profile::{DeviceClass, DeviceProfile};

/// There is none elsewhere than on Linux.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(crate) enum Awake {}

#[cfg(not(target_os = "linux"))]
impl Awake {
    pub fn submitted(&self) {
        match *self {}
    }
}
