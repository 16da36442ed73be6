//! What a user's kernel has to keep to, and how it is read.
//!
//! Bindings have the names and numbers of the op (`OpKind::bindings`), in group 0; binding 0 is the `layer` uniform. The
//! entry point is `main`. Comments `// lab: KEY = VALUE` say the rest:
//!
//! - `op = pointwise`: what it computes, where the command does not say;
//! - `workgroups = ceil(out_c4, 8), ceil(pixels, 32)`: how it is dispatched (see [`Workgroups`]);
//! - `packing = rows`, `tiles32` or `tiles32_pairs`: the order of dense filters;
//! - `param TILE = 4, 8, 16`: values of an `override` that are tried.
//!
//! What a kernel reads may be declared as `u64` or vectors of it, two values each, and its output as `u64` or `vec2<u64>`; then it computes
//! in f32 only, on devices with 64-bit integers. A kernel that does not bind `residual` is not asked to add one. Whatever breaks the contract is told as naga tells of its
//! own errors: with line, column and the source line.

use crate::gpu::DeviceProfile;
use crate::kernel::{Case, OpKind, Packing, Precision, Variant, Workgroups, whole_eights};
use crate::{Error, Result};
use naga::{AddressSpace, Module, Span, StorageAccess, TypeInner, WithSpan};

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
    /// Values of the other `override` constants.
    defaults: Vec<(String, f64)>,
    /// Names of those that have none.
    unset: Vec<String>,
    invocations: u32,
    workgroup_memory: u32,
    /// Whether it reads 64 bits at a time.
    int64: bool,
    /// Whether it binds a second input.
    adds: bool,
    /// Whether a store of it is of eight channels.
    eights: bool,
}

/// A breach of the contract, and where in the file, if it is at one place.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Breach {
    message: String,
    span: Option<Span>,
}

impl Breach {
    fn at(span: Span, message: String) -> Self {
        Self { message, span: span.is_defined().then_some(span) }
    }
    /// As naga shows its own errors.
    fn shown(self, file: &str, source: &str) -> String {
        match self.span {
            Some(span) => format!("\n{}", WithSpan::new(self).with_span(span, "here").emit_to_string_with_path(source, file).trim_end()),
            None => self.message,
        }
    }
}

impl From<String> for Breach {
    fn from(message: String) -> Self {
        Self { message, span: None }
    }
}

type Held<T = ()> = std::result::Result<T, Breach>;

/// Bytes of four channels in f32.
const QUAD: u32 = 16;

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
            name: name_beside_ours(op, stem(file)),
            workgroups: String::new(),
            packing: Packing::Rows,
            parameters: Vec::new(),
            unset: module.overrides.iter().filter(|(_, o)| o.init.is_none()).filter_map(|(_, o)| o.name.clone()).collect(),
            defaults: defaults(&module),
            invocations: 1,
            workgroup_memory: 0,
            int64: false,
            adds: false,
            eights: false,
        };
        for (span, said) in comments(source) {
            kernel.comment(said).map_err(|why| fail(Breach::at(span, why).shown(file, source)))?;
        }
        for (name, values) in parameters {
            kernel.parameter(name, values.clone()).map_err(fail)?;
        }
        kernel.workgroups = workgroups.map_or(kernel.workgroups, str::to_string);
        if kernel.workgroups.is_empty() {
            let example = "// lab: workgroups = ceil(out_c4, 8), ceil(pixels, 32)";
            return Err(fail(format!("it does not say how it is dispatched; add a line such as `{example}`")));
        }
        kernel.hold_to_contract(&module).map_err(|breach| fail(breach.shown(file, source)))?;
        // Errors in the expression are told now, with any values of the parameters.
        kernel.variants()?;
        Ok(kernel)
    }

    /// The op that a file says it computes, in a comment `// lab: op = NAME`.
    pub fn op_named_in(source: &str) -> Option<OpKind> {
        let value = comments(source).find_map(|(_, said)| {
            let (key, value) = said.split_once('=')?;
            (key.trim() == "op").then(|| value.trim())
        })?;
        OpKind::named(value)
    }

    /// One `KEY = VALUE`.
    fn comment(&mut self, said: &str) -> std::result::Result<(), String> {
        let (key, value) = said.split_once('=').ok_or_else(|| format!("`{said}` is not KEY = VALUE"))?;
        let value = value.trim();
        match key.split_whitespace().collect::<Vec<_>>()[..] {
            ["workgroups"] => self.workgroups = value.to_string(),
            ["op"] if value == self.op.name() => {}
            ["op"] if OpKind::named(value).is_some() => {
                return Err(format!("it is a kernel for {value}, and {} was asked for", self.op));
            }
            ["op"] => return Err(format!("there is no op `{value}`; there are {}", OpKind::ALL.map(OpKind::name).join(", "))),
            ["packing"] => {
                self.packing = match value {
                    "rows" => Packing::Rows,
                    "tiles32" => Packing::Tiles32,
                    "tiles32_pairs" => Packing::Tiles32Pairs,
                    _ => return Err(format!("packing `{value}` is none of rows, tiles32, tiles32_pairs")),
                };
            }
            ["param", name] => {
                let values: std::result::Result<Vec<f64>, _> = value.split(',').map(|v| v.trim().parse()).collect();
                let values = values.map_err(|_| format!("`{value}` are not numbers with commas"))?;
                self.parameter(name, values)?;
            }
            _ => return Err(format!("`{}` is none of op, workgroups, packing, param NAME", key.trim())),
        }
        Ok(())
    }

    /// Takes values of a parameter in the place of others.
    fn parameter(&mut self, name: &str, values: Vec<f64>) -> std::result::Result<(), String> {
        if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
            return Err(format!("parameter `{name}` cannot be {bad}; name numbers"));
        }
        let mut each = Vec::new();
        values.into_iter().for_each(|v| {
            if !each.contains(&v) {
                each.push(v)
            }
        });
        self.parameters.retain(|(n, _)| n != name);
        self.parameters.push((name.to_string(), each));
        Ok(())
    }

    fn hold_to_contract(&mut self, module: &Module) -> Held {
        let entry = module.entry_points.iter().find(|e| e.name == "main" && e.stage == naga::ShaderStage::Compute);
        let entry = entry.ok_or_else(|| Breach::from("it has no `@compute fn main`".to_string()))?;
        self.invocations = entry.workgroup_size.iter().product();
        for (name, values) in &self.parameters {
            hold_values(module, name, values)?;
        }
        let mut writes = false;
        for (handle, global) in module.global_variables.iter() {
            let span = module.global_variables.get_span(handle);
            let size = module.types[global.ty].inner.try_size(module.to_ctx());
            if global.space == AddressSpace::WorkGroup {
                self.workgroup_memory += size.unwrap_or(0);
            }
            let Some(binding) = global.binding else { continue };
            let name = global.name.as_deref().unwrap_or("?");
            self.hold_binding(module, name, binding, global, size).map_err(|message| Breach::at(span, message))?;
            writes |= name == "output";
            self.adds |= name == "residual";
            self.eights |= name == "output" && stride_of_array(module, global) > QUAD;
            self.int64 |= matches!(scalar_of_array(module, global), Some(naga::Scalar::U64));
        }
        if writes { Ok(()) } else { Err("it has no `output` (binding 2)".to_string().into()) }
    }

    fn hold_binding(
        &self,
        module: &Module,
        name: &str,
        binding: naga::ResourceBinding,
        global: &naga::GlobalVariable,
        size: Option<u32>,
    ) -> std::result::Result<(), String> {
        let naga::ResourceBinding { group, binding: number } = binding;
        if group != 0 {
            return Err(format!("`{name}` is in group {group}, where all bindings are in group 0"));
        }
        if number == 0 {
            if global.space != AddressSpace::Uniform || size != Some(LAYER) {
                let found = size.map_or("no fixed size".to_string(), |s| format!("{s} bytes"));
                return Err(format!("binding 0 (`{name}`) must be the uniform `layer` of {LAYER} bytes; it has {found}"));
            }
            return Ok(());
        }
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
        match scalar_of_array(module, global) {
            Some(naga::Scalar::F32) => Ok(()),
            // Two values each: f32 only.
            Some(naga::Scalar::U64) => Ok(()),
            _ => Err(format!("`{name}` must be an array of f32 or u64, or of vec2 or vec4 of them")),
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
        let workgroups = Workgroups::parse(&self.workgroups, &[self.defaults.clone(), parameters.clone()].concat());
        let workgroups = workgroups.map_err(|why| {
            let unset = self.unset.iter().find(|name| why.starts_with(&format!("`{name}` is not known")));
            let why = unset.map_or(why.clone(), |name| format!("`override {name}` has no value; give it one, or name values by --param"));
            Error::Kernel { name: self.file.clone(), message: format!("its workgroups: {why}") }
        })?;
        let suffix: String = parameters.iter().map(|(n, v)| format!(" {n}={v}")).collect();
        let mut variant = Variant {
            op: self.op,
            name: format!("{}{suffix}", self.name).into(),
            file: self.file.clone().into(),
            source: self.source.clone().into(),
            summary: "a kernel of the user's".into(),
            parameters,
            packing: self.packing,
            invocations: self.invocations,
            workgroup_memory: self.workgroup_memory,
            precisions: if self.int64 || self.packing == Packing::Tiles32Pairs { &[Precision::F32] } else { &Precision::ALL },
            int64: self.int64,
            applies: match (self.adds || self.op == OpKind::InvertedResidual, self.eights) {
                (true, false) => |_, _| Ok(()),
                (false, false) => without_residual,
                (true, true) => |case, _| whole_eights(case),
                (false, true) => |case, profile| {
                    without_residual(case, profile)?;
                    whole_eights(case)
                },
            },
            geometry: |_, _| Default::default(),
            workgroups: Some(workgroups),
            cost: |_, _| f64::MAX,
            compile_ms: 0.0,
        };
        // Workgroups and their memory may be of a parameter's size.
        if let Some((entry, memory)) = super::show::module(&variant, Precision::F32).ok().and_then(|(module, _)| sizes(&module)) {
            (variant.invocations, variant.workgroup_memory) = (entry, memory);
        }
        Ok(variant)
    }
}

/// The numbers of which a binding is an array.
fn scalar_of_array(module: &Module, global: &naga::GlobalVariable) -> Option<naga::Scalar> {
    let TypeInner::Array { base, .. } = module.types[global.ty].inner else { return None };
    match module.types[base].inner {
        // A vec3 takes the room of a vec4, and channels lie without gaps.
        TypeInner::Vector { size: naga::VectorSize::Tri, .. } => None,
        TypeInner::Vector { scalar, .. } | TypeInner::Scalar(scalar) => Some(scalar),
        _ => None,
    }
}

fn stride_of_array(module: &Module, global: &naga::GlobalVariable) -> u32 {
    if let TypeInner::Array { stride, .. } = module.types[global.ty].inner { stride } else { 0 }
}

/// Whether a parameter is an `override` whose type holds these values: else a driver's compiler would make others of them.
fn hold_values(module: &Module, name: &str, values: &[f64]) -> std::result::Result<(), String> {
    let found = module.overrides.iter().find(|(_, o)| o.name.as_deref() == Some(name));
    let (_, found) = found.ok_or_else(|| format!("parameter `{name}` is no `override` of it"))?;
    let (kind, holds): (_, fn(f64) -> bool) = match module.types[found.ty].inner {
        TypeInner::Scalar(naga::Scalar::U32) => ("u32", |v| f64::from(v as u32) == v),
        TypeInner::Scalar(naga::Scalar::I32) => ("i32", |v| f64::from(v as i32) == v),
        TypeInner::Scalar(naga::Scalar::BOOL) => ("bool", |v| v == 0.0 || v == 1.0),
        _ => return Ok(()),
    };
    let bad = values.iter().find(|v| !holds(**v));
    bad.map_or(Ok(()), |bad| Err(format!("parameter `{name}` is a {kind}, which {bad} is not")))
}

/// The values of `override` constants that have one of their own.
fn defaults(module: &Module) -> Vec<(String, f64)> {
    let value = |init| match module.global_expressions[init] {
        naga::Expression::Literal(naga::Literal::U32(n)) => Some(n.into()),
        naga::Expression::Literal(naga::Literal::I32(n)) => Some(n.into()),
        naga::Expression::Literal(naga::Literal::F32(n)) => Some(n.into()),
        _ => None,
    };
    module.overrides.iter().filter_map(|(_, o)| Some((o.name.clone()?, value(o.init?)?))).collect()
}

/// Invocations of a workgroup, and bytes of its memory, of a module without overrides.
fn sizes(module: &Module) -> Option<(u32, u32)> {
    let entry = module.entry_points.iter().find(|e| e.name == "main")?;
    let shared = module.global_variables.iter().filter(|(_, g)| g.space == AddressSpace::WorkGroup);
    let memory = shared.map(|(_, g)| module.types[g.ty].inner.try_size(module.to_ctx()).unwrap_or(0)).sum();
    Some((entry.workgroup_size.iter().product(), memory))
}

fn without_residual(case: &Case, _: &DeviceProfile) -> std::result::Result<(), &'static str> {
    if case.residual { Err("it binds no residual, and here one is added") } else { Ok(()) }
}

/// What stands behind `// lab:` in each line that has it, and where.
fn comments(source: &str) -> impl Iterator<Item = (Span, &str)> {
    source.lines().filter_map(move |line| {
        let said = line.trim().strip_prefix("// lab:")?.trim();
        // Both are slices of one text, so their addresses tell the place.
        let start = (said.as_ptr() as usize - source.as_ptr() as usize) as u32;
        Some((Span::new(start, start + said.len() as u32), said))
    })
}

/// A name that no kernel of ours has.
fn name_beside_ours(op: OpKind, name: String) -> String {
    let taken = crate::kernel::variants().iter().any(|v| v.op == op && v.name == name);
    if taken { format!("{name}.wgsl") } else { name }
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
    fn a_workgroup_may_be_of_a_parameters_size() {
        let source = starting_point(OpKind::Pointwise).unwrap().replace("@workgroup_size(8, 8)", "@workgroup_size(8, TALL)");
        let shared = "override TALL: u32 = 8u;\nvar<workgroup> rows: array<vec4<f32>, TALL>;\n";
        let source = format!("// lab: param TALL = 4, 16\n{shared}{}", source.replace("let b =", "rows[0] = vec4<f32>(); let b ="));
        let sizes: Vec<_> = read(&source).unwrap().variants().unwrap().iter().map(|v| (v.invocations, v.workgroup_memory)).collect();
        assert_eq!(sizes, [(32, 64), (128, 256)]);
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
        refused(|s| format!("{s}\n// lab: colour = red"), "none of op, workgroups");
        // The room of a vec3 is a vec4's, so that channels would lie elsewhere.
        let loads =
            |s: &str| s.replace("vec4<compute_t>(input[", "vec4<compute_t>(vec4(0.0) + vec4(input[").replace("]), w0", "], 0.0)), w0");
        refused(|s| loads(s).replace("input: array<vec4<", "input: array<vec3<"), "or of vec2 or vec4 of them");
    }

    #[test]
    fn parameters_hold_what_their_type_holds() {
        let tile = |line: &str, values: &str| {
            let source = starting_point(OpKind::Pointwise).unwrap().replace("ceil(pixels, 32)", "ceil(pixels, TILE)");
            read(&format!("{source}\n{line}\n{values}")).and_then(|kernel| kernel.variants())
        };
        let refused = |line, values: &str| tile(line, values).unwrap_err().to_string();
        let line = "override TILE: u32 = 32u;";
        for value in ["1.5", "-3", "4294967296", "nan", "inf"] {
            let error = refused(line, &format!("// lab: param TILE = 8, {value}"));
            assert!(error.contains("`TILE`") && error.to_lowercase().contains(value), "{error}");
        }
        // Equal values are one, and what has a value of its own needs no other.
        assert_eq!(tile(line, "// lab: param TILE = 8, 4, 8").unwrap().len(), 2);
        let case = crate::lab::case_of_shape(OpKind::Pointwise, [8, 8, 24, 24], 1, 1, 6);
        let variants = tile(line, "").unwrap();
        assert_eq!((&*variants[0].name, variants[0].dispatch(&case, &DeviceProfile::desktop()).workgroups), ("mine", [1, 2, 1]));
        assert!(refused("override TILE: u32;", "").contains("`override TILE` has no value"));
    }

    #[test]
    fn errors_point_into_the_file() {
        refused(|s| s.replace("layer.pixels", "layer.pixel"), "mine.wgsl:");
        refused(|s| s.replace("fn main(", "fn main(("), "mine.wgsl:");
        // What breaks the contract too, with the line itself.
        refused(|s| s.replace("read> bias", "read_write> bias"), "@group(0) @binding(4) var<storage, read_write> bias");
        refused(|s| s.replace("read> bias", "read_write> bias"), "┌─ folder/mine.wgsl:");
        refused(|s| s.replace("// lab: packing = rows", "// lab: packing = columns"), "packing = columns");
    }

    #[test]
    fn a_kernel_without_a_residual_is_not_asked_for_one() {
        let source = starting_point(OpKind::Pointwise).unwrap();
        let without = source.replace("@group(0) @binding(5) var<storage, read> residual: array<vec4<storage_t>>;", "");
        let without = without.replace("if (layer.residual != 0u) { v += vec4<accum_t>(residual[o]); }", "");
        let plain = crate::lab::case_of_shape(OpKind::Pointwise, [7, 7, 24, 24], 1, 1, 6);
        let sum = Case { residual: true, ..plain };
        let applies = |source: &str, case: &Case| {
            read(source).unwrap().variants().unwrap()[0].check(case, Precision::F32, &DeviceProfile::desktop()).is_ok()
        };
        assert_eq!([(&source, &plain), (&source, &sum)].map(|(s, c)| applies(s, c)), [true, true]);
        assert_eq!([(&without, &plain), (&without, &sum)].map(|(s, c)| applies(s, c)), [true, false]);
    }

    #[test]
    fn what_is_read_64_bits_at_a_time_is_f32_on_devices_that_can() {
        let table = crate::kernel::variants();
        let ours = table.iter().find(|v| v.op == OpKind::Pointwise && v.name == "subgroup8_28_u64").unwrap();
        let lines = "// lab: packing = tiles32_pairs\n// lab: workgroups = ceil(out_c4, 8), ceil(pixels, 28)\n";
        let mine = read(&format!("{lines}{}", ours.source)).unwrap().variants().unwrap().remove(0);
        assert_eq!((mine.packing, mine.precisions, mine.int64), (ours.packing, ours.precisions, true));
        let (case, desktop) = (crate::lab::case_of_shape(OpKind::Pointwise, [7, 7, 24, 24], 1, 1, 6), DeviceProfile::desktop());
        let narrow = DeviceProfile { int64: false, ..desktop.clone() };
        assert!(mine.check(&case, Precision::F32, &desktop).is_ok());
        assert!(mine.check(&case, Precision::F16, &desktop).is_err_and(|why| why.contains("precision")));
        assert!(mine.check(&case, Precision::F32, &narrow).is_err_and(|why| why.contains("64-bit")));
        let four = crate::lab::case_of_shape(OpKind::Pointwise, [7, 7, 24, 4], 1, 1, 6);
        assert!(mine.check(&four, Precision::F32, &desktop).is_err_and(|why| why.contains("eights")), "it stores eight channels");
        refused(|s| s.replace("bias: array<vec4<storage_t>>", "bias: array<vec4<u32>>"), "f32 or u64");
    }

    #[test]
    fn a_file_can_name_its_op() {
        let source = starting_point(OpKind::Depthwise).unwrap();
        assert_eq!(UserKernel::op_named_in(&source), Some(OpKind::Depthwise));
        let error = UserKernel::read(OpKind::Pool, "mine.wgsl", &source, None, &[]).unwrap_err().to_string();
        assert!(error.contains("it is a kernel for depthwise") && error.contains("mine.wgsl:"), "{error}");
    }
}
