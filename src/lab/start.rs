//! `lab new`: a working kernel of each op to begin with.

use crate::kernel::{OpKind, variants};
use crate::{Error, Result};

/// The simplest built-in kernel of an op, with the comments of the contract.
///
/// # Errors
/// [`Error::Kernel`] for an op without kernels.
pub fn starting_point(op: OpKind) -> Result<String> {
    let (name, workgroups) = match op {
        OpKind::Pointwise => ("register_tile", "ceil(out_c4, 8), ceil(pixels, 32)"),
        OpKind::Convolution | OpKind::Depthwise => ("direct", "ceil(out_c4, 8), ceil(pixels, 8)"),
        OpKind::BatchNorm | OpKind::Activation | OpKind::Add => ("direct", "ceil(out_c4, 8), ceil(pixels, 8)"),
        OpKind::Pool => ("mean", "ceil(out_c4, 8), batch"),
        OpKind::Softmax => ("workgroup", "batch"),
        OpKind::Separable => ("workgroup_16", "ceil(out_c4, 32), ceil(pixels, 16)"),
        OpKind::InvertedResidual => ("workgroup_4x4", "ceil(out_width, 4) * ceil(out_height, 4), ceil(out_c4, 16), batch"),
    };
    let table = variants();
    let found = table.iter().find(|v| v.op == op && v.name == name).or(table.iter().find(|v| v.op == op));
    let found = found.ok_or_else(|| Error::Kernel { name: op.to_string(), message: "there is no kernel to begin with".into() })?;
    let bindings: Vec<String> = op.bindings().iter().map(|(name, number, _)| format!("{name} {number}")).collect();
    Ok(format!(
        "\
// A kernel of your own for `{op}`, to be measured beside the built-in ones:
//
//     mobilenet lab run {op} --wgsl THIS_FILE
//
// The contract: bindings in group 0 by these names and numbers: layer 0, {}.
// The entry point is `main`. `layer` holds the shapes; channels come in vec4s, zeros in the padding lanes.
// The lines with `lab:` say how it is dispatched, over the fields of `layer` and the kernel's `override` constants:
//
// lab: op = {op}
// lab: workgroups = {workgroups}
// lab: packing = rows
//
// Further ones may name values to try: `lab: param NAME = 4, 8, 16` for `override NAME: u32 = 8u;`.

{}",
        bindings.join(", "),
        found.source
    ))
}
