//! What a plan has to know about a device, as a value: a phone's or a browser's can be made up in a test.

use serde::{Deserialize, Serialize};

/// What kind of device a cost model has to think of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceClass {
    /// A driver that computes on the CPU (Mesa's llvmpipe, SwiftShader, WARP).
    Software,
    /// A GPU that shares the CPU's memory.
    Integrated,
    /// A GPU with memory of its own.
    Discrete,
    /// A phone's or tablet's GPU.
    Mobile,
}

/// Limits, features and identity of a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceProfile {
    /// The adapter's name.
    pub name: String,
    /// The driver's name and version.
    pub driver: String,
    /// `vulkan`, `metal`, `dx12`, `webgpu` …
    pub backend: String,
    /// Kind of device.
    pub class: DeviceClass,
    /// Whether it is a browser's device.
    pub web: bool,
    /// Lanes of a subgroup where the device guarantees one number and subgroup operations may be used.
    pub subgroup_size: Option<u32>,
    /// Whether shaders may use f16.
    pub f16: bool,
    /// Whether shaders may use 64-bit integers.
    #[serde(default)]
    pub int64: bool,
    /// Whether passes can write timestamps.
    pub timestamps: bool,
    /// Whether compiled pipelines can be kept.
    pub pipeline_cache: bool,
    /// Whether pipelines are compiled at their first dispatch, in turn, on the queue (llvmpipe).
    pub compiles_at_dispatch: bool,
    /// Bytes of one buffer.
    pub max_buffer_size: u64,
    /// Bytes of one storage binding.
    pub max_storage_binding: u64,
    /// Storage buffers of one pipeline.
    pub max_storage_buffers: u32,
    /// Workgroups in each dimension.
    pub max_workgroups: u32,
    /// Bytes of workgroup memory.
    pub max_workgroup_memory: u32,
    /// Invocations of a workgroup.
    pub max_invocations: u32,
    /// Alignment of an offset into a uniform buffer.
    pub uniform_alignment: u32,
}

impl DeviceProfile {
    /// The profile of a device at hand.
    pub fn of(device: &wgpu::Device) -> Self {
        let (info, limits, features) = (device.adapter_info(), device.limits(), device.features());
        let web = info.backend == wgpu::Backend::BrowserWebGpu;
        let compiles_at_dispatch = info.name.contains("llvmpipe");
        let name = name(device, info.name.clone());
        let subgroups = features.contains(wgpu::Features::SUBGROUP) && info.subgroup_min_size == info.subgroup_max_size;
        Self {
            class: class(info.device_type, &name),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
            backend: backend(&info),
            web,
            subgroup_size: (subgroups && !web).then_some(info.subgroup_min_size),
            f16: features.contains(wgpu::Features::SHADER_F16),
            int64: features.contains(wgpu::Features::SHADER_INT64) && !web,
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            pipeline_cache: features.contains(wgpu::Features::PIPELINE_CACHE),
            compiles_at_dispatch,
            max_buffer_size: limits.max_buffer_size,
            max_storage_binding: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
            max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
            max_workgroups: limits.max_compute_workgroups_per_dimension,
            max_workgroup_memory: limits.max_compute_workgroup_storage_size,
            max_invocations: limits.max_compute_invocations_per_workgroup,
            uniform_alignment: limits.min_uniform_buffer_offset_alignment,
            name,
        }
    }

    /// Whether the driver is a Mesa whose version begins with a lower number than `major`.
    pub(crate) fn mesa_before(&self, major: u32) -> bool {
        let version = self.driver.split("Mesa ").nth(1).and_then(|rest| rest.split('.').next());
        version.and_then(|found| found.parse::<u32>().ok()).is_some_and(|found| found < major)
    }

    /// A browser's device at WebGPU's default limits.
    pub fn web() -> Self {
        Self {
            name: "WebGPU defaults".into(),
            backend: "webgpu".into(),
            class: DeviceClass::Integrated,
            web: true,
            max_invocations: 256,
            ..Self::phone()
        }
    }

    /// A phone's GPU: 16 KiB of workgroup memory, 128 invocations, no subgroups, no f16, bindings of 128 MiB.
    pub fn phone() -> Self {
        Self {
            name: "phone".into(),
            driver: "none".into(),
            backend: "vulkan".into(),
            class: DeviceClass::Mobile,
            web: false,
            subgroup_size: None,
            f16: false,
            int64: false,
            timestamps: false,
            pipeline_cache: false,
            compiles_at_dispatch: false,
            max_buffer_size: 256 << 20,
            max_storage_binding: 128 << 20,
            max_storage_buffers: 8,
            max_workgroups: 65_535,
            max_workgroup_memory: 16_384,
            max_invocations: 128,
            uniform_alignment: 256,
        }
    }

    /// A desktop's discrete GPU with subgroups of 32.
    pub fn desktop() -> Self {
        Self {
            name: "desktop".into(),
            class: DeviceClass::Discrete,
            subgroup_size: Some(32),
            f16: true,
            int64: true,
            timestamps: true,
            pipeline_cache: true,
            max_buffer_size: 2 << 30,
            max_storage_binding: 2 << 30,
            max_workgroup_memory: 49_152,
            max_invocations: 1024,
            ..Self::phone()
        }
    }

    /// Mesa's software Vulkan driver.
    pub fn llvmpipe() -> Self {
        Self {
            name: "llvmpipe".into(),
            class: DeviceClass::Software,
            subgroup_size: Some(8),
            compiles_at_dispatch: true,
            max_storage_binding: 128 << 20,
            max_buffer_size: 2 << 30,
            max_workgroup_memory: 32_768,
            ..Self::desktop()
        }
    }

    /// What a tuning record is kept under: backend, adapter and driver.
    pub fn key(&self) -> String {
        format!("{} / {} / {}", self.backend, self.name, self.driver)
    }

    /// The limits of this profile as wgpu's, for opening a device that is as narrow.
    pub fn limits(&self) -> wgpu::Limits {
        wgpu::Limits {
            max_buffer_size: self.max_buffer_size,
            max_storage_buffer_binding_size: self.max_storage_binding,
            max_storage_buffers_per_shader_stage: self.max_storage_buffers,
            max_compute_workgroups_per_dimension: self.max_workgroups,
            max_compute_workgroup_storage_size: self.max_workgroup_memory,
            max_compute_invocations_per_workgroup: self.max_invocations,
            min_uniform_buffer_offset_alignment: self.uniform_alignment,
            ..wgpu::Limits::downlevel_defaults()
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn name(_: &wgpu::Device, name: String) -> String {
    name
}

/// Browsers keep the description to themselves; then vendor and architecture (`apple metal-3`) have to do.
#[cfg(target_arch = "wasm32")]
fn name(device: &wgpu::Device, name: String) -> String {
    let Some(info) = device.as_webgpu().map(|device| device.adapter_info()) else { return name };
    let told = [info.vendor(), info.architecture(), info.device(), name];
    let told: Vec<_> = told.into_iter().filter(|part| !part.is_empty()).collect();
    if told.is_empty() { "unnamed adapter".into() } else { told.join(" ") }
}

pub(super) fn backend(info: &wgpu::AdapterInfo) -> String {
    match info.backend {
        wgpu::Backend::BrowserWebGpu => "webgpu".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// By the kind that the driver tells, or the name: browsers tell no kind, and often a vendor alone (`nvidia ampere`, `arm valhall`).
fn class(kind: wgpu::DeviceType, name: &str) -> DeviceClass {
    let name = name.to_lowercase();
    let mobile = ["adreno", "qualcomm", "mali", "arm ", "powervr", "img-tec", "apple a", "xclipse", "samsung", "immortalis"];
    let software = ["llvmpipe", "swiftshader", "basic render", "warp"];
    let is_any = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    match kind {
        wgpu::DeviceType::Cpu => DeviceClass::Software,
        _ if is_any(&software) => DeviceClass::Software,
        wgpu::DeviceType::DiscreteGpu => DeviceClass::Discrete,
        _ if is_any(&mobile) => DeviceClass::Mobile,
        wgpu::DeviceType::Other if is_any(&["nvidia", "geforce", "radeon rx"]) => DeviceClass::Discrete,
        _ => DeviceClass::Integrated,
    }
}
