//! The variant table: for each op its kernels, where each applies, how its weights are packed and how it is dispatched.
//!
//! A kernel is added in two places: a `.wgsl` file under `shaders/OP/`, and a row in the table of its op's file here.
//! A user's kernel is a row like ours. Nothing here touches a device.

mod case;
mod convolution;
mod depthwise;
mod elementwise;
mod fused;
mod layer;
mod packing;
mod pointwise;
mod pool;
mod shader;
mod softmax;
mod workgroups;

pub use case::Case;
pub use layer::Layer;
pub use packing::{Packing, WeightShape, pack};
pub use shader::{Precision, specialise};
pub use workgroups::{NAMES, Workgroups};

use crate::gpu::DeviceProfile;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// Kinds of kernels; a graph's op maps to one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpKind {
    /// Dense convolution of any kernel (the stem).
    Convolution,
    /// Depthwise convolution.
    Depthwise,
    /// 1x1 convolution, and the linear layer.
    Pointwise,
    /// Batch normalisation that was not folded.
    BatchNorm,
    /// Activation that was not fused.
    Activation,
    /// Sum that was not fused.
    Add,
    /// Global average pooling.
    Pool,
    /// Softmax.
    Softmax,
    /// Depthwise and pointwise in one dispatch.
    Separable,
    /// Expand, depthwise, project and residual in one dispatch.
    InvertedResidual,
}

/// What a kernel's binding holds. Binding 0 is always the [`Layer`] uniform; storage bindings follow from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Binding {
    /// The node's first input.
    Input,
    /// The node's value (read and written).
    Output,
    /// Filters or weights of convolution `n` of the node.
    Weights(usize),
    /// Bias of convolution `n` of the node.
    Bias(usize),
    /// The node's second input; the first where there is none.
    Residual,
}

impl OpKind {
    /// All kinds.
    pub const ALL: [OpKind; 10] = [
        OpKind::Convolution,
        OpKind::Depthwise,
        OpKind::Pointwise,
        OpKind::BatchNorm,
        OpKind::Activation,
        OpKind::Add,
        OpKind::Pool,
        OpKind::Softmax,
        OpKind::Separable,
        OpKind::InvertedResidual,
    ];

    /// The storage bindings of the op's kernels, from binding 1 on.
    pub const fn bindings(self) -> &'static [(&'static str, u32, Binding)] {
        use Binding::{Bias, Input, Output, Residual, Weights};
        match self {
            OpKind::Convolution | OpKind::Depthwise | OpKind::Pointwise => {
                &[("input", 1, Input), ("output", 2, Output), ("weights", 3, Weights(0)), ("bias", 4, Bias(0)), ("residual", 5, Residual)]
            }
            OpKind::BatchNorm => &[("input", 1, Input), ("output", 2, Output), ("weights", 3, Weights(0)), ("bias", 4, Bias(0))],
            OpKind::Activation | OpKind::Pool | OpKind::Softmax => &[("input", 1, Input), ("output", 2, Output)],
            OpKind::Add => &[("input", 1, Input), ("output", 2, Output), ("residual", 5, Residual)],
            OpKind::Separable => &[
                ("input", 1, Input),
                ("output", 2, Output),
                ("depthwise_weights", 3, Weights(0)),
                ("depthwise_bias", 4, Bias(0)),
                ("pointwise_weights", 5, Weights(1)),
                ("pointwise_bias", 6, Bias(1)),
            ],
            OpKind::InvertedResidual => &[
                ("input", 1, Input),
                ("output", 2, Output),
                ("expand_weights", 3, Weights(0)),
                ("expand_bias", 4, Bias(0)),
                ("depthwise_weights", 5, Weights(1)),
                ("depthwise_bias", 6, Bias(1)),
                ("project_weights", 7, Weights(2)),
                ("project_bias", 8, Bias(2)),
            ],
        }
    }

    /// The op of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.name() == name)
    }

    /// Whether its filters reach over neighbouring pixels, so that it has a stride and padding.
    pub const fn has_filters(self) -> bool {
        matches!(self, OpKind::Convolution | OpKind::Depthwise | OpKind::Separable | OpKind::InvertedResidual)
    }

    /// Whether it mixes channels, so that it may give another number of them than it takes.
    pub const fn mixes_channels(self) -> bool {
        matches!(self, OpKind::Convolution | OpKind::Pointwise | OpKind::Separable | OpKind::InvertedResidual)
    }

    /// The name in tables, records and commands.
    pub const fn name(self) -> &'static str {
        match self {
            OpKind::Convolution => "convolution",
            OpKind::Depthwise => "depthwise",
            OpKind::Pointwise => "pointwise",
            OpKind::BatchNorm => "batch_norm",
            OpKind::Activation => "activation",
            OpKind::Add => "add",
            OpKind::Pool => "pool",
            OpKind::Softmax => "softmax",
            OpKind::Separable => "separable",
            OpKind::InvertedResidual => "inverted_residual",
        }
    }
}

impl fmt::Display for OpKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a kernel is dispatched for a case, and the two numbers of [`Layer`] that are the variant's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Geometry {
    /// Workgroups in x, y and z.
    pub workgroups: [u32; 3],
    /// `layer.rows`.
    pub rows: u32,
    /// `layer.rounds`.
    pub rounds: u32,
}

/// A rule of a variant: whether it applies to a case on a device; the error says why not.
pub type Applies = fn(&Case, &DeviceProfile) -> Result<(), &'static str>;

/// One kernel.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The op that it computes.
    pub op: OpKind,
    /// Its name, unique within the op.
    pub name: Cow<'static, str>,
    /// The file, as the tool prints it.
    pub file: Cow<'static, str>,
    /// Its WGSL, for f32 (see [`specialise`]).
    pub source: Cow<'static, str>,
    /// What one thread and one workgroup compute, in a line.
    pub summary: Cow<'static, str>,
    /// `override` constants.
    pub parameters: Vec<(String, f64)>,
    /// Packing of its dense filters, one for each of its convolutions (depthwise filters have one packing).
    pub packing: Packing,
    /// Invocations of a workgroup.
    pub invocations: u32,
    /// Bytes of workgroup memory in f32.
    pub workgroup_memory: u32,
    /// Precisions that it can be specialised for.
    pub precisions: &'static [Precision],
    /// Whether it needs 64-bit integers in shaders.
    pub int64: bool,
    /// Where it applies, beyond limits that are checked for all.
    pub applies: Applies,
    /// How it is dispatched.
    pub geometry: fn(&Case, &DeviceProfile) -> Geometry,
    /// How it is dispatched instead, for a kernel that is not of our table.
    pub workgroups: Option<Workgroups>,
    /// What the cost model expects it to take, in nanoseconds; compared between variants of one case, not promised.
    pub cost: fn(&Case, &DeviceProfile) -> f64,
    /// Milliseconds that llvmpipe takes to compile it (Mesa 25.0): what speaks against one more kernel in a plan where pipelines are
    /// compiled in turn, at their first dispatch.
    pub compile_ms: f64,
}

impl Variant {
    /// Nanoseconds that llvmpipe takes to compile it.
    pub(crate) fn compile_ns(&self, profile: &DeviceProfile) -> f64 {
        // Mesa 22.3 takes a third of 25.0's time: it writes loads as loops over lanes.
        self.compile_ms * if profile.mesa_before(23) { 0.35e6 } else { 1e6 }
    }

    /// How it is dispatched for a case.
    pub fn dispatch(&self, case: &Case, profile: &DeviceProfile) -> Geometry {
        self.workgroups.as_ref().map_or_else(|| (self.geometry)(case, profile), |workgroups| workgroups.geometry(case))
    }

    /// Whether the variant applies to a case in a precision on a device; the error says why not.
    pub fn check(&self, case: &Case, precision: Precision, profile: &DeviceProfile) -> Result<(), &'static str> {
        if self.op != case.op {
            return Err("it is another op's kernel");
        }
        if !self.precisions.contains(&precision) {
            return Err("it does not compute in this precision");
        }
        if self.int64 && !profile.int64 {
            return Err("it needs 64-bit integers in shaders");
        }
        if self.invocations > profile.max_invocations {
            return Err("its workgroup has more invocations than the device allows");
        }
        if self.workgroup_memory > profile.max_workgroup_memory {
            return Err("it needs more workgroup memory than the device has");
        }
        if self.op.bindings().len() as u32 > profile.max_storage_buffers {
            return Err("it binds more storage buffers than the device allows");
        }
        (self.applies)(case, profile)?;
        let workgroups = self.dispatch(case, profile).workgroups;
        if workgroups.contains(&0) {
            return Err("its workgroups come to 0 here, or to no number");
        }
        if workgroups.iter().any(|n| *n > profile.max_workgroups) {
            return Err("it would need more workgroups than the device allows in one dimension");
        }
        Ok(())
    }
}

/// All built-in variants of all ops.
pub fn variants() -> Vec<Variant> {
    [
        convolution::variants(),
        depthwise::variants(),
        pointwise::variants(),
        elementwise::variants(),
        fused::variants(),
        pool::variants(),
        softmax::variants(),
    ]
    .concat()
}

/// A row of the table: what most variants share.
fn row(
    op: OpKind,
    name: &'static str,
    file: &'static str,
    source: impl Into<Cow<'static, str>>,
    summary: impl Into<Cow<'static, str>>,
) -> Variant {
    Variant {
        op,
        name: name.into(),
        file: file.into(),
        source: source.into(),
        summary: summary.into(),
        parameters: Vec::new(),
        packing: Packing::Rows,
        invocations: 64,
        workgroup_memory: 0,
        precisions: &Precision::ALL,
        int64: false,
        applies: |_, _| Ok(()),
        geometry: |case, _| eight_by_eight(case.output.c4(), case.pixels(), 1),
        workgroups: None,
        cost: |_, _| 0.0,
        compile_ms: 200.0,
    }
}

/// Workgroups of 8 channel quads x 8 rows of `pixels_per_thread`, the rows folded into z beyond 65,535.
fn eight_by_eight(c4: u32, pixels: u32, pixels_per_thread: u32) -> Geometry {
    let [y, z] = fold(pixels.div_ceil(8 * pixels_per_thread));
    Geometry { workgroups: [c4.div_ceil(8), y, z], rows: 0, rounds: 0 }
}

/// For kernels that load or store eight channels of a pixel at a time.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn whole_eights(case: &Case) -> Result<(), &'static str> {
    if case.output.c4().is_multiple_of(2) { Ok(()) } else { Err("it is for more than four channels, which are stored in whole eights") }
}

/// `n` workgroups as y and z, neither beyond 65,535.
fn fold(n: u32) -> [u32; 2] {
    let z = n.div_ceil(65_535).max(1);
    [n.div_ceil(z), z]
}
