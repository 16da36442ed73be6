//! What a driver is given: a variant's WGSL in another language.

use crate::gpu::DeviceProfile;
use crate::kernel::{Case, Layer, Precision, Variant, specialise};
use crate::{Error, Result};
use naga::back::{hlsl, msl, spv};
use naga::valid::{Capabilities, ModuleInfo, SubgroupOperationSet, ValidationFlags, Validator};

/// A language that a kernel can be shown in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// As it is compiled, for a precision.
    Wgsl,
    /// Vulkan's: words in hexadecimal.
    Spirv,
    /// Metal's.
    Msl,
    /// DirectX's.
    Hlsl,
    /// naga's own.
    Ir,
}

/// A validator that knows all that our variants use.
pub(super) fn validator() -> Validator {
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
    validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE).subgroup_operations(SubgroupOperationSet::all());
    validator
}

/// A variant's kernel in a language.
///
/// # Errors
/// [`Error::Kernel`] if it does not validate or cannot be said in that language.
pub fn translate(variant: &Variant, precision: Precision, language: Language) -> Result<String> {
    if !variant.precisions.contains(&precision) {
        let computes = variant.precisions.iter().map(|p| p.name()).collect::<Vec<_>>().join(", ");
        let message = format!("it computes in {computes} only, and {precision} was asked for");
        return Err(Error::Kernel { name: format!("{}/{}", variant.op, variant.name), message });
    }
    let source = specialise(&variant.source, precision);
    if language == Language::Wgsl {
        return Ok(source);
    }
    let (module, info) = module(variant, precision)?;
    let fail = |message: String| Error::Kernel { name: format!("{}/{}", variant.op, variant.name), message };
    write(&module, &info, language).map_err(fail)
}

/// [`translate`] with what the driver is given beside the kernel for a case: workgroups, constants and the `layer` uniform, as
/// comments above it.
///
/// # Errors
/// As [`translate`], and [`Error::NoVariant`] for a variant that does not apply there.
pub fn translate_for(variant: &Variant, case: &Case, profile: &DeviceProfile, precision: Precision, language: Language) -> Result<String> {
    let node = || format!("{} {case}", case.op);
    variant
        .check(case, precision, profile)
        .map_err(|why| Error::NoVariant { node: node(), reasons: format!("{}: {why}", variant.name) })?;
    let geometry = variant.dispatch(case, profile);
    let [x, y, z] = geometry.workgroups;
    let layer = serde_json::to_string(&Layer::new(case, &geometry)).unwrap_or_default();
    let mut lines = vec![
        format!("{}/{} for {}, {precision}, on {}", variant.op, variant.name, node(), profile.name),
        format!(
            "dispatch of {x} x {y} x {z} workgroups of {} invocations; dense filters packed as {:?}",
            variant.invocations, variant.packing
        ),
        format!("layer {layer}"),
    ];
    lines.extend(variant.parameters.iter().map(|(name, value)| format!("override {name} = {value}")));
    let comment = if language == Language::Spirv { ";" } else { "//" };
    let lines: String = lines.iter().map(|line| format!("{comment} {line}\n")).collect();
    Ok(lines + "\n" + &translate(variant, precision, language)?)
}

/// A variant's kernel parsed and validated, with its parameters' values in their places, as a driver's compiler gets it.
pub(super) fn module(variant: &Variant, precision: Precision) -> Result<(naga::Module, ModuleInfo)> {
    let source = specialise(&variant.source, precision);
    let fail = |message: String| Error::Kernel { name: format!("{}/{}", variant.op, variant.name), message };
    let module = naga::front::wgsl::parse_str(&source).map_err(|e| fail(e.emit_to_string_with_path(&source, &variant.file)))?;
    let info = validator().validate(&module).map_err(|e| fail(e.emit_to_string_with_path(&source, &variant.file)))?;
    let mut constants = naga::back::PipelineConstants::default();
    constants.extend(variant.parameters.iter().cloned());
    let done = naga::back::pipeline_constants::process_overrides(&module, &info, Some((naga::ShaderStage::Compute, "main")), &constants);
    let (module, info) = done.map(|(module, info)| (module.into_owned(), info.into_owned())).map_err(|e| fail(e.to_string()))?;
    Ok((module, info))
}

fn write(module: &naga::Module, info: &ModuleInfo, language: Language) -> std::result::Result<String, String> {
    match language {
        Language::Wgsl | Language::Ir => Ok(format!("{module:#?}\n")),
        Language::Spirv => {
            let options = spv::Options { lang_version: (1, 3), ..Default::default() };
            let words = spv::write_vec(module, info, &options, None).map_err(|e| e.to_string())?;
            let lines = words.chunks(8).map(|line| line.iter().map(|w| format!("{w:08x}")).collect::<Vec<_>>().join(" "));
            Ok(lines.collect::<Vec<_>>().join("\n") + "\n")
        }
        Language::Msl => {
            let options = msl::Options { lang_version: (2, 4), fake_missing_bindings: true, ..Default::default() };
            msl::write_string(module, info, &options, &Default::default()).map(|(text, _)| text).map_err(|e| e.to_string())
        }
        Language::Hlsl => {
            let options = hlsl::Options { shader_model: hlsl::ShaderModel::V6_2, fake_missing_bindings: true, ..Default::default() };
            let mut text = String::new();
            let mut writer = hlsl::Writer::new(&mut text, &options, &Default::default()).write(module, info, None);
            writer.as_mut().map(|_| ()).map_err(|e| e.to_string())?;
            Ok(text)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_the_kernel() {
        let variant = crate::kernel::variants().swap_remove(0);
        for (language, part) in [
            (Language::Wgsl, "alias storage_t = f16;"),
            (Language::Spirv, "07230203"),
            (Language::Msl, "kernel void"),
            (Language::Hlsl, "numthreads"),
            (Language::Ir, "entry_points"),
        ] {
            assert!(translate(&variant, Precision::F16, language).unwrap().contains(part), "{language:?}");
        }
    }
}
