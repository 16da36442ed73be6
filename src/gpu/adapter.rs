//! Finding an adapter and opening a device on it.

use super::Awake;
use super::needs::wanted;
use super::profile::backend;
use crate::{Error, Result};

/// Which adapter to take. Without a wish: the best real GPU, else a software one; the environment variables that
/// wgpu's users know (`WGPU_BACKEND`, `WGPU_ADAPTER_NAME`) count where a wish is missing.
#[derive(Clone, Debug, Default)]
pub struct AdapterOptions {
    /// Part of the adapter's name (case does not matter), or its index in [`adapters`].
    pub adapter: Option<String>,
    /// Backends to look at, such as `vulkan` or `metal,dx12`.
    pub backend: Option<String>,
}

/// An adapter as it is listed.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AdapterSummary {
    /// Place in the list.
    pub index: usize,
    /// Name.
    pub name: String,
    /// `vulkan`, `metal`, `dx12` …
    pub backend: String,
    /// `discrete`, `integrated`, `virtual`, `cpu` or `other`.
    pub device_type: &'static str,
    /// Driver and version.
    pub driver: String,
    /// Whether shaders may use f16.
    pub f16: bool,
    /// Smallest and largest subgroup; `None` without subgroup operations.
    pub subgroup: Option<[u32; 2]>,
    /// Whether passes can write timestamps.
    pub timestamps: bool,
    /// Whether compiled pipelines can be kept.
    pub pipeline_cache: bool,
    /// Bytes of one storage binding.
    pub max_storage_buffer_binding_size: u64,
    /// Bytes of one buffer.
    pub max_buffer_size: u64,
    /// Bytes of workgroup memory.
    pub max_compute_workgroup_storage_size: u32,
    /// Invocations of a workgroup.
    pub max_compute_invocations_per_workgroup: u32,
}

fn instance(options: &AdapterOptions) -> Result<(wgpu::Instance, wgpu::Backends)> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle().with_env();
    if let Some(names) = &options.backend {
        descriptor.backends = wgpu::Backends::from_comma_list(names) & wgpu::Instance::enabled_backend_features();
        if descriptor.backends.is_empty() {
            let message = format!("`{names}` is no backend here; known: vulkan, metal (Apple), dx12 (Windows), webgpu");
            return Err(Error::Option { option: "backend", message });
        }
    }
    let backends = descriptor.backends;
    Ok((wgpu::Instance::new(descriptor), backends))
}

async fn list(options: &AdapterOptions) -> Result<Vec<wgpu::Adapter>> {
    let (instance, backends) = instance(options)?;
    let mut found = instance.enumerate_adapters(backends).await;
    found.sort_by_key(|a| rank(&a.get_info()));
    Ok(found)
}

/// Real GPUs first, software last; OpenGL after the others.
fn rank(info: &wgpu::AdapterInfo) -> (u8, u8) {
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    };
    (kind, u8::from(info.backend == wgpu::Backend::Gl))
}

/// All adapters, the best first.
///
/// # Errors
/// [`Error::Option`] for a backend that does not exist.
pub async fn adapters(options: &AdapterOptions) -> Result<Vec<AdapterSummary>> {
    Ok(list(options).await?.iter().enumerate().map(|(i, a)| summary(i, a)).collect())
}

fn summary(index: usize, adapter: &wgpu::Adapter) -> AdapterSummary {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
    AdapterSummary {
        index,
        backend: backend(&info),
        device_type: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => "discrete",
            wgpu::DeviceType::IntegratedGpu => "integrated",
            wgpu::DeviceType::VirtualGpu => "virtual",
            wgpu::DeviceType::Cpu => "cpu",
            wgpu::DeviceType::Other => "other",
        },
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
        f16: features.contains(wgpu::Features::SHADER_F16),
        subgroup: features.contains(wgpu::Features::SUBGROUP).then_some([info.subgroup_min_size, info.subgroup_max_size]),
        timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
        pipeline_cache: features.contains(wgpu::Features::PIPELINE_CACHE),
        max_storage_buffer_binding_size: limits.max_storage_buffer_binding_size,
        max_buffer_size: limits.max_buffer_size,
        max_compute_workgroup_storage_size: limits.max_compute_workgroup_storage_size,
        max_compute_invocations_per_workgroup: limits.max_compute_invocations_per_workgroup,
        name: info.name,
    }
}

/// Opens a device of our own on the adapter that `options` asks for. On Linux, a software driver's worker threads are bound to a core
/// each, if they are as many as the cores.
///
/// # Errors
/// [`Error::NoAdapter`] if none fits, with those that are there; [`Error::Device`] if it cannot be opened.
pub async fn request_device(options: &AdapterOptions) -> Result<(wgpu::Device, wgpu::Queue)> {
    open(options).await.map(|(device, queue, _)| (device, queue))
}

/// [`request_device`], and what keeps the cores awake that have a worker of the device each.
pub(crate) async fn open(options: &AdapterOptions) -> Result<(wgpu::Device, wgpu::Queue, Option<Awake>)> {
    let adapter = choose(options).await?;
    let (required_features, required_limits) = wanted(&adapter);
    let descriptor = wgpu::DeviceDescriptor { label: Some("mobilenet"), required_features, required_limits, ..Default::default() };
    #[cfg(target_os = "linux")]
    let before = (adapter.get_info().device_type == wgpu::DeviceType::Cpu).then(super::workers::threads);
    let opened = adapter.request_device(&descriptor).await;
    #[cfg(target_os = "linux")]
    let awake = before.and_then(|before| super::workers::spread(&before)).and_then(|cores| Awake::on(&cores));
    #[cfg(not(target_os = "linux"))]
    let awake = None;
    let (device, queue) = opened.map_err(|e| Error::Device(format!("{} could not be opened: {e}", adapter.get_info().name)))?;
    // The default handler panics; errors of ours are caught by scopes, what is left goes to the log.
    device.on_uncaptured_error(std::sync::Arc::new(|e: wgpu::Error| tracing::error!("uncaptured device error: {e}")));
    Ok((device, queue, awake))
}

#[cfg(target_arch = "wasm32")]
async fn choose(options: &AdapterOptions) -> Result<wgpu::Adapter> {
    let (instance, _) = instance(options)?;
    let wish = wgpu::RequestAdapterOptions { power_preference: wgpu::PowerPreference::HighPerformance, ..Default::default() };
    let found = instance.request_adapter(&wish).await;
    found.map_err(|e| Error::NoAdapter(format!("the browser offers no WebGPU adapter ({e}); use a current browser, or the CPU")))
}

#[cfg(not(target_arch = "wasm32"))]
async fn choose(options: &AdapterOptions) -> Result<wgpu::Adapter> {
    let mut found = list(options).await?;
    if found.is_empty() {
        let hint = "install one (on Debian or Ubuntu without a GPU: apt-get install mesa-vulkan-drivers), or use the CPU";
        return Err(Error::NoAdapter(format!("no GPU driver was found; {hint}")));
    }
    let env = std::env::var("WGPU_ADAPTER_NAME").ok().filter(|n| !n.is_empty());
    let Some(wish) = options.adapter.clone().or(env) else { return Ok(found.swap_remove(0)) };
    let index = match wish.parse::<usize>() {
        Ok(index) => (index < found.len()).then_some(index),
        Err(_) => found.iter().position(|a| a.get_info().name.to_lowercase().contains(&wish.to_lowercase())),
    };
    match index {
        Some(index) => Ok(found.swap_remove(index)),
        None => {
            let names: Vec<_> = found.iter().enumerate().map(|(i, a)| format!("{i}: {}", a.get_info().name)).collect();
            Err(Error::NoAdapter(format!("`{wish}` is none of the adapters here: {}", names.join("; "))))
        }
    }
}
