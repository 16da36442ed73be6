//! Every shader in every specialisation validates, and translates to what the other platforms' drivers are given.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mobilenet_wgpu::kernel::{specialise, variants};
use naga::back::{hlsl, msl, spv};
use naga::valid::{Capabilities, ValidationFlags, Validator};

fn translate(name: &str, source: &str) {
    let module = naga::front::wgsl::parse_str(source).unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(source)));
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
    validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE).subgroup_operations(naga::valid::SubgroupOperationSet::all());
    let info = validator.validate(&module).unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(source)));
    spv::write_vec(&module, &info, &spv::Options { lang_version: (1, 3), ..Default::default() }, None)
        .unwrap_or_else(|e| panic!("{name}: SPIR-V: {e}"));
    let options = msl::Options { lang_version: (2, 4), fake_missing_bindings: true, ..Default::default() };
    msl::write_string(&module, &info, &options, &Default::default()).unwrap_or_else(|e| panic!("{name}: MSL: {e}"));
    let options = hlsl::Options { shader_model: hlsl::ShaderModel::V6_2, fake_missing_bindings: true, ..Default::default() };
    let mut text = String::new();
    hlsl::Writer::new(&mut text, &options, &Default::default()).write(&module, &info, None).unwrap_or_else(|e| panic!("{name}: HLSL: {e}"));
}

#[test]
fn every_variant_in_every_precision_translates() {
    for variant in variants() {
        for precision in variant.precisions {
            translate(&format!("{}/{} {precision}", variant.op, variant.name), &specialise(&variant.source, *precision));
        }
    }
}

#[test]
fn workgroups_have_the_size_that_the_row_says() {
    for variant in variants() {
        let module = naga::front::wgsl::parse_str(&variant.source).unwrap();
        let size: u32 = module.entry_points[0].workgroup_size.iter().product();
        assert_eq!(size, variant.invocations, "{}/{}", variant.op, variant.name);
        // In f32, whatever is aligned how.
        let layouts = naga::proc::GlobalCtx {
            types: &module.types,
            constants: &module.constants,
            overrides: &module.overrides,
            global_expressions: &module.global_expressions,
        };
        let shared = module.global_variables.iter().filter(|(_, g)| g.space == naga::AddressSpace::WorkGroup);
        let bytes: u32 = shared.map(|(_, g)| module.types[g.ty].inner.try_size(layouts).unwrap()).sum();
        assert_eq!(bytes, variant.workgroup_memory, "{}/{}", variant.op, variant.name);
    }
}

#[test]
fn bindings_are_those_of_the_op() {
    for variant in variants() {
        let module = naga::front::wgsl::parse_str(&variant.source).unwrap();
        let expected = variant.op.bindings();
        for (_, global) in module.global_variables.iter() {
            let Some(binding) = global.binding else { continue };
            let name = global.name.as_deref().unwrap();
            if binding.binding == 0 {
                assert_eq!(name, "layer", "{}", variant.file);
            } else {
                assert!(
                    expected.iter().any(|(n, b, _)| (*n, *b) == (name, binding.binding)),
                    "{}: `{name}` at {}",
                    variant.file,
                    binding.binding
                );
            }
        }
    }
}

#[test]
fn every_file_has_a_row() {
    let rows: Vec<_> = variants().into_iter().map(|v| v.file.to_string()).collect();
    for op in std::fs::read_dir("shaders")
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_dir() && ["preprocess", "measure"].iter().all(|f| !p.ends_with(f)))
    {
        for file in std::fs::read_dir(op).unwrap().map(|e| e.unwrap().path()) {
            let file = file.to_string_lossy().replace('\\', "/");
            assert!(rows.contains(&file), "{file} is in no variant table");
        }
    }
}
