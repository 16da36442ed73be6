//! What a user's kernel has to keep to, and how it is read.
//!
//! Bindings have the names and numbers of the op (`OpKind::bindings`), in group 0; binding 0 is the `layer` uniform. The
//! entry point is `main`. Comments `// lab: KEY = VALUE` say the rest:
//!
//! - `workgroups = ceil(out_c4, 8), ceil(pixels, 32)`: how it is dispatched (see [`Workgroups`]);
//! - `packing = rows` or `tiles32`: the order of dense filters;
//! - `param TILE = 4, 8, 16`: values of an `override` that are tried.

use crate::kernel::{OpKind, Packing, Variant, Workgroups};
use crate::{Error, Result};
use naga::{AddressSpace, Module, StorageAccess, TypeInner};

/// A file of WGSL that was read and held against the contract.
#[derive(Clone, Debug)]
pub struct UserKernel {
    op: OpKind,
    file: String,
    source: String,
    name: String,
    workgroups: String,
    packing: Packing,
    /// Values to try for each parameter.
    parameters: Vec<(String, Vec<f64>)>,
    invocations: u32,
    workgroup_memory: u32,
}

/// Bytes of the `layer` uniform.
const LAYER: u32 = size_of::<crate::kernel::Layer>() as u32;

impl UserKernel {
    /// Reads a kernel for `op`; `file` is its name in messages. `workgroups` and `parameters` stand over its own comments.
    ///
    /// # Errors
    /// [`Error::Kernel`] with the place in the file where it does not parse or validate, or what of the contract it breaks.
    pub fn read(op: OpKind, file: &str, source: &str, workgroups: Option<&str>, parameters: &[(String, Vec<f64>)]) -> Result<Self> {
        let fail = |message: String| Error::Kernel { name: file.to_string(), message };
        let module = parse(file, source)?;
        let mut kernel = Self {
            op,
            file: file.to_string(),
            source: source.to_string(),
            name: stem(file),
            workgroups: String::new(),
            packing: Packing::Rows,
            parameters: Vec::new(),
            invocations: 1,
            workgroup_memory: 0,
        };
        for (i, line) in source.lines().enumerate() {
            if let Some(said) = line.trim().strip_prefix("// lab:") {
                kernel.comment(said.trim()).map_err(|why| fail(format!("line {}: {why}", i + 1)))?;
            }
        }
        for (name, values) in parameters {
            kernel.parameters.retain(|(n, _)| n != name);
            kernel.parameters.push((name.clone(), values.clone()));
        }
        kernel.workgroups = workgroups.map_or(kernel.workgroups, str::to_string);
        if kernel.workgroups.is_empty() {
            let example = "// lab: workgroups = ceil(out_c4, 8), ceil(pixels, 32)";
            return Err(fail(format!("it does not say how it is dispatched; add a line such as `{example}`")));
        }
        kernel.hold_to_contract(&module).map_err(fail)?;
        // Errors in the expression are told now, with any values of the parameters.
        kernel.variants()?;
        Ok(kernel)
    }

    /// One `KEY = VALUE`.
    fn comment(&mut self, said: &str) -> std::result::Result<(), String> {
        let (key, value) = said.split_once('=').ok_or_else(|| format!("`{said}` is not KEY = VALUE"))?;
        let value = value.trim();
        match key.split_whitespace().collect::<Vec<_>>()[..] {
            ["workgroups"] => self.workgroups = value.to_string(),
            ["packing"] => {
                self.packing = match value {
                    "rows" => Packing::Rows,
                    "tiles32" => Packing::Tiles32,
                    _ => return Err(format!("packing `{value}` is none of rows, tiles32")),
                };
            }
            ["param", name] => {
                let values: std::result::Result<Vec<f64>, _> = value.split(',').map(|v| v.trim().parse()).collect();
                let values = values.map_err(|_| format!("`{value}` are not numbers with commas"))?;
                self.parameters.push((name.to_string(), values));
            }
            _ => return Err(format!("`{}` is none of workgroups, packing, param NAME", key.trim())),
        }
        Ok(())
    }

    fn hold_to_contract(&mut self, module: &Module) -> std::result::Result<(), String> {
        let entry = module.entry_points.iter().find(|e| e.name == "main" && e.stage == naga::ShaderStage::Compute);
        let entry = entry.ok_or("it has no `@compute fn main`")?;
        self.invocations = entry.workgroup_size.iter().product();
        for (name, _) in &self.parameters {
            if !module.overrides.iter().any(|(_, o)| o.name.as_deref() == Some(name)) {
                return Err(format!("parameter `{name}` is no `override` of it"));
            }
        }
        let mut writes = false;
        for (_, global) in module.global_variables.iter() {
            let size = module.types[global.ty].inner.try_size(module.to_ctx());
            if global.space == AddressSpace::WorkGroup {
                self.workgroup_memory += size.unwrap_or(0);
            }
            let Some(binding) = global.binding else { continue };
            let name = global.name.as_deref().unwrap_or("?");
            if binding.group != 0 {
                return Err(format!("`{name}` is in group {}, where all bindings are in group 0", binding.group));
            }
            if binding.binding == 0 {
                if global.space != AddressSpace::Uniform || size != Some(LAYER) {
                    let found = size.map_or("no fixed size".to_string(), |s| format!("{s} bytes"));
                    return Err(format!("binding 0 (`{name}`) must be the uniform `layer` of {LAYER} bytes; it has {found}"));
                }
                continue;
            }
            self.hold_binding(module, name, binding.binding, global)?;
            writes |= name == "output";
        }
        if writes { Ok(()) } else { Err("it has no `output` (binding 2)".into()) }
    }

    fn hold_binding(&self, module: &Module, name: &str, number: u32, global: &naga::GlobalVariable) -> std::result::Result<(), String> {
        let bindings = self.op.bindings();
        if !bindings.iter().any(|(n, b, _)| (*n, *b) == (name, number)) {
            let known: Vec<String> = bindings.iter().map(|(n, b, _)| format!("{n} {b}")).collect();
            return Err(format!("`{name}` at binding {number} is none of {}'s: {}", self.op, known.join(", ")));
        }
        let AddressSpace::Storage { access } = global.space else { return Err(format!("`{name}` must be var<storage>")) };
        if access.contains(StorageAccess::STORE) != (name == "output") {
            let wanted = if name == "output" { "read_write" } else { "read" };
            return Err(format!("`{name}` must be var<storage, {wanted}>"));
        }
        let TypeInner::Array { base, .. } = module.types[global.ty].inner else {
            return Err(format!("`{name}` must be an array, such as array<vec4<f32>>"));
        };
        match module.types[base].inner {
            TypeInner::Vector { scalar, .. } | TypeInner::Scalar(scalar) if scalar.kind == naga::ScalarKind::Float && scalar.width == 4 => {
                Ok(())
            }
            _ => Err(format!("`{name}` must be an array of f32, vec2<f32> or vec4<f32>")),
        }
    }

    /// The kernel as rows of the variant table: one for each combination of its parameters' values.
    ///
    /// # Errors
    /// [`Error::Kernel`] for workgroups that cannot be read.
    pub fn variants(&self) -> Result<Vec<Variant>> {
        let mut combinations: Vec<Vec<(String, f64)>> = vec![Vec::new()];
        for (name, values) in &self.parameters {
            let with = |c: &Vec<(String, f64)>, v: &f64| [c.clone(), vec![(name.clone(), *v)]].concat();
            combinations = combinations.iter().flat_map(|c| values.iter().map(|v| with(c, v)).collect::<Vec<_>>()).collect();
        }
        combinations.into_iter().map(|parameters| self.variant(parameters)).collect()
    }

    fn variant(&self, parameters: Vec<(String, f64)>) -> Result<Variant> {
        let workgroups = Workgroups::parse(&self.workgroups, &parameters);
        let workgroups = workgroups.map_err(|why| Error::Kernel { name: self.file.clone(), message: format!("its workgroups: {why}") })?;
        let suffix: String = parameters.iter().map(|(n, v)| format!(" {n}={v}")).collect();
        Ok(Variant {
            op: self.op,
            name: format!("{}{suffix}", self.name).into(),
            file: self.file.clone().into(),
            source: self.source.clone().into(),
            summary: "a kernel of the user's".into(),
            parameters,
            packing: self.packing,
            invocations: self.invocations,
            workgroup_memory: self.workgroup_memory,
            applies: |_, _| Ok(()),
            geometry: |_, _| Default::default(),
            workgroups: Some(workgroups),
            cost: |_, _| f64::MAX,
        })
    }
}

/// The file's name without folders and ending.
fn stem(file: &str) -> String {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    name.strip_suffix(".wgsl").unwrap_or(name).to_string()
}

/// Parses and validates; errors show the place in the file.
fn parse(file: &str, source: &str) -> Result<Module> {
    let fail = |message: String| Error::Kernel { name: file.to_string(), message: format!("\n{}", message.trim_end()) };
    let module = naga::front::wgsl::parse_str(source).map_err(|e| fail(e.emit_to_string_with_path(source, file)))?;
    let valid = super::show::validator().validate(&module);
    valid.map_err(|e| fail(e.emit_to_string_with_path(source, file)))?;
    Ok(module)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::lab::starting_point;

    fn read(source: &str) -> Result<UserKernel> {
        UserKernel::read(OpKind::Pointwise, "folder/mine.wgsl", source, None, &[])
    }

    fn refused(edit: impl Fn(&str) -> String, part: &str) {
        let error = read(&edit(&starting_point(OpKind::Pointwise).unwrap())).unwrap_err().to_string();
        assert!(error.contains("mine.wgsl") && error.contains(part), "{error}");
    }

    #[test]
    fn starting_points_keep_to_the_contract() {
        for op in OpKind::ALL {
            let source = starting_point(op).unwrap();
            let kernel = UserKernel::read(op, "mine.wgsl", &source, None, &[]).unwrap();
            assert_eq!(kernel.variants().unwrap()[0].name, "mine");
        }
    }

    #[test]
    fn parameters_are_tried_in_all_combinations() {
        let source = starting_point(OpKind::Pointwise).unwrap();
        let source =
            format!("// lab: param TILE = 4, 8\n// lab: param WIDE = 0, 1\noverride TILE: u32 = 4u;\noverride WIDE: u32 = 0u;\n{source}");
        let names: Vec<String> = read(&source).unwrap().variants().unwrap().iter().map(|v| v.name.to_string()).collect();
        assert_eq!(names, ["mine TILE=4 WIDE=0", "mine TILE=4 WIDE=1", "mine TILE=8 WIDE=0", "mine TILE=8 WIDE=1"]);
    }

    #[test]
    fn what_breaks_the_contract_is_named() {
        refused(|s| s.replace("fn main", "fn maim"), "no `@compute fn main`");
        refused(|s| s.replace("@binding(2)", "@binding(9)"), "`output` at binding 9");
        refused(|s| s.replace("storage, read> input", "storage, read_write> input"), "var<storage, read>");
        refused(|s| s.replace("batch: u32,", ""), "`layer`");
        refused(|s| s.replace("// lab: workgroups", "// workgroups"), "how it is dispatched");
        refused(|s| s.replace("ceil(", "seal("), "workgroups");
        refused(|s| format!("{s}\n// lab: param TILE = 8"), "`TILE` is no `override`");
        refused(|s| format!("{s}\n// lab: colour = red"), "none of workgroups");
    }

    #[test]
    fn errors_point_into_the_file() {
        refused(|s| s.replace("layer.pixels", "layer.pixel"), "mine.wgsl:");
        refused(|s| s.replace("fn main(", "fn main(("), "mine.wgsl:");
    }
}
