//! A kernel's WGSL for a precision: three aliases at the top of each file are exchanged, nothing else.

use serde::{Deserialize, Serialize};

/// Types of storage, arithmetic and accumulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Precision {
    /// f32 throughout.
    #[default]
    #[serde(rename = "f32")]
    F32,
    /// f16 in memory, f32 in registers.
    #[serde(rename = "f16-storage")]
    F16Storage,
    /// f16 in memory and arithmetic, f32 accumulators.
    #[serde(rename = "f16")]
    F16,
}

impl Precision {
    /// All of them.
    pub const ALL: [Precision; 3] = [Precision::F32, Precision::F16Storage, Precision::F16];
    /// `f32`, `f16-storage` or `f16`.
    pub const fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::F16Storage => "f16-storage",
            Precision::F16 => "f16",
        }
    }
    /// The precision of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|precision| precision.name() == name)
    }
    /// Bytes of a stored value.
    pub const fn bytes(self) -> u64 {
        match self {
            Precision::F32 => 4,
            _ => 2,
        }
    }
    /// Whether the device needs `SHADER_F16`.
    pub const fn needs_f16(self) -> bool {
        !matches!(self, Precision::F32)
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The WGSL of a kernel for a precision. On the web a kernel with subgroup operations would need `enable subgroups;`,
/// which naga refuses: such kernels are native only.
pub fn specialise(source: &str, precision: Precision) -> String {
    if precision == Precision::F32 {
        return source.to_string();
    }
    let compute = if precision == Precision::F16 { "f16" } else { "f32" };
    let body = source
        .replace("alias storage_t = f32;", "alias storage_t = f16;")
        .replace("alias compute_t = f32;", &format!("alias compute_t = {compute};"));
    format!("enable f16;\n{body}")
}
