//! What a kernel really moves: its own WGSL, rewritten so that it counts the bytes of its loads and stores instead of storing
//! what it computes.
//!
//! Every load of a storage buffer adds its bytes to a counter of that buffer, and so does every store, which is left out
//! otherwise; at the end an invocation adds its counters to those of all. The control flow is the kernel's, so the counts are
//! exact: of what the invocations ask for. How much of that the caches merge is the hardware's affair.

use super::show::module;
use crate::kernel::{Precision, Variant};
use crate::measure::Counting;
use crate::{Error, Result};
use naga::valid::{FunctionInfo, ModuleInfo};
use naga::{AddressSpace, Block, Expression, Function, GlobalVariable, Handle, Module, Range, Scalar, Span, Statement, Type, TypeInner};
use std::collections::HashMap;

/// A variable in which an invocation counts, for each buffer that it counts.
type Counters = Vec<(Handle<GlobalVariable>, Handle<GlobalVariable>)>;

/// The variant as one that counts: it writes nothing but, into the binding of its output, two words for each buffer that
/// [`Counting::names`] names: bytes modulo 256, and the rest divided by 256, summed over all invocations.
///
/// # Errors
/// [`Error::Kernel`] for a kernel that reads its own output back, or whose atomics or pointers hide what it moves.
pub fn counting(variant: &Variant, precision: Precision) -> Result<Counting> {
    let fail = |message: String| Error::Kernel { name: format!("{}/{}", variant.op, variant.name), message };
    let (mut module, info) = module(variant, precision)?;
    let valid = |module: &Module| {
        super::show::validator().validate(module).map_err(|e| fail(format!("its bytes cannot be counted: {}", e.into_inner())))
    };
    let mut counters = Counters::new();
    let buffers = storage(&module);
    for handle in &buffers {
        counters.push((*handle, private(&mut module, &format!("moved_{}", counters.len()))));
    }
    let labels: Vec<String> = buffers.iter().map(|h| module.global_variables[*h].name.clone().unwrap_or_default()).collect();
    each_function(&mut module, &info, |function, info, types| {
        count_loads(function, info, types, &counters);
        replace_stores(function, info, types, &counters);
    });
    valid(&module)?;
    // The output is not used any more, and goes, so that its binding is free; so do counters of what is never touched.
    naga::compact::compact(&mut module, naga::compact::KeepUnused::No);
    let by_name = |name: &str| module.global_variables.iter().find(|(_, g)| g.name.as_deref() == Some(name)).map(|(h, _)| h);
    let used: Vec<_> = labels.into_iter().enumerate().filter_map(|(i, label)| Some((label, by_name(&format!("moved_{i}"))?))).collect();
    let total = total(&mut module, variant);
    for entry in &mut module.entry_points {
        let of_all = entry.function.expressions.append(Expression::GlobalVariable(total), Span::UNDEFINED);
        let counters: Vec<_> = used.iter().map(|(_, counter)| *counter).collect();
        let body = std::mem::take(&mut entry.function.body);
        entry.function.body = hand_in(&mut entry.function, body, of_all, &counters);
    }
    let info = valid(&module)?;
    let flags = naga::back::wgsl::WriterFlags::empty();
    let source = naga::back::wgsl::write_string(&module, &info, flags).map_err(|e| fail(format!("its bytes cannot be counted: {e}")))?;
    let variant = Variant { source: source.into(), parameters: Vec::new(), ..variant.clone() };
    Ok(Counting { variant, names: used.into_iter().map(|(name, _)| name).collect() })
}

/// The storage buffers.
fn storage(module: &Module) -> Vec<Handle<GlobalVariable>> {
    let is = |g: &GlobalVariable| matches!(g.space, AddressSpace::Storage { .. });
    module.global_variables.iter().filter(|(_, g)| is(g)).map(|(h, _)| h).collect()
}

fn word(module: &mut Module) -> Handle<Type> {
    module.types.insert(Type { name: None, inner: TypeInner::Scalar(Scalar::U32) }, Span::UNDEFINED)
}

/// A counter of an invocation's own.
fn private(module: &mut Module, name: &str) -> Handle<GlobalVariable> {
    let ty = word(module);
    variable(module, name, AddressSpace::Private, None, ty)
}

fn variable(
    module: &mut Module,
    name: &str,
    space: AddressSpace,
    binding: Option<naga::ResourceBinding>,
    ty: Handle<Type>,
) -> Handle<GlobalVariable> {
    let global = GlobalVariable {
        name: Some(name.to_string()),
        space,
        binding,
        ty,
        init: None,
        memory_decorations: naga::MemoryDecorations::empty(),
    };
    module.global_variables.append(global, Span::UNDEFINED)
}

/// The counters of all invocations, where the output was bound.
fn total(module: &mut Module, variant: &Variant) -> Handle<GlobalVariable> {
    let base = module.types.insert(Type { name: None, inner: TypeInner::Atomic(Scalar::U32) }, Span::UNDEFINED);
    let inner = TypeInner::Array { base, size: naga::ArraySize::Dynamic, stride: 4 };
    let ty = module.types.insert(Type { name: None, inner }, Span::UNDEFINED);
    let output = variant.op.bindings().iter().find(|(_, _, what)| *what == crate::kernel::Binding::Output);
    let binding = naga::ResourceBinding { group: 0, binding: output.map_or(2, |(_, number, _)| *number) };
    let access = naga::StorageAccess::LOAD | naga::StorageAccess::STORE;
    variable(module, "moved", AddressSpace::Storage { access }, Some(binding), ty)
}

/// Sizes of types in bytes, and what else of a module is needed while its functions are rewritten.
struct Types {
    arena: naga::UniqueArena<Type>,
    constants: naga::Arena<naga::Constant>,
    overrides: naga::Arena<naga::Override>,
    expressions: naga::Arena<Expression>,
}

impl Types {
    fn bytes(&self, of: &naga::proc::TypeResolution) -> u32 {
        let context = naga::proc::GlobalCtx {
            types: &self.arena,
            constants: &self.constants,
            overrides: &self.overrides,
            global_expressions: &self.expressions,
        };
        of.inner_with(&self.arena).try_size(context).unwrap_or(0)
    }
}

fn each_function(module: &mut Module, info: &ModuleInfo, mut rewrite: impl FnMut(&mut Function, &FunctionInfo, &Types)) {
    let types = Types {
        arena: module.types.clone(),
        constants: module.constants.clone(),
        overrides: module.overrides.clone(),
        expressions: module.global_expressions.clone(),
    };
    module.functions.iter_mut().for_each(|(handle, function)| rewrite(function, &info[handle], &types));
    for (i, entry) in module.entry_points.iter_mut().enumerate() {
        rewrite(&mut entry.function, info.get_entry_point(i), &types);
    }
}

/// The global variable that a pointer points into.
fn root(function: &Function, mut pointer: Handle<Expression>) -> Option<Handle<GlobalVariable>> {
    loop {
        match function.expressions[pointer] {
            Expression::GlobalVariable(global) => return Some(global),
            Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => pointer = base,
            _ => return None,
        }
    }
}

fn counter_of(function: &Function, pointer: Handle<Expression>, counters: &Counters) -> Option<Handle<GlobalVariable>> {
    let global = root(function, pointer)?;
    counters.iter().find(|(buffer, _)| *buffer == global).map(|(_, counter)| *counter)
}

/// Replaces what each statement of a function, however deep, becomes.
fn rewrite(function: &mut Function, block: Block, each: &mut dyn FnMut(&mut Function, Statement, Span, &mut Block)) -> Block {
    let mut out = Block::new();
    for (mut statement, span) in block.span_into_iter() {
        let inner: Vec<&mut Block> = match &mut statement {
            Statement::Block(block) => vec![block],
            Statement::If { accept, reject, .. } => vec![accept, reject],
            Statement::Switch { cases, .. } => cases.iter_mut().map(|case| &mut case.body).collect(),
            Statement::Loop { body, continuing, .. } => vec![body, continuing],
            _ => Vec::new(),
        };
        for block in inner {
            *block = rewrite(function, std::mem::take(block), each);
        }
        each(function, statement, span, &mut out);
    }
    out
}

/// `counter += bytes`.
fn add(function: &mut Function, counter: Handle<GlobalVariable>, bytes: u32, out: &mut Block) {
    let mut expression = |e| function.expressions.append(e, Span::UNDEFINED);
    let pointer = expression(Expression::GlobalVariable(counter));
    let right = expression(Expression::Literal(naga::Literal::U32(bytes)));
    let left = expression(Expression::Load { pointer });
    let value = expression(Expression::Binary { op: naga::BinaryOperator::Add, left, right });
    out.push(Statement::Emit(Range::new_from_bounds(left, value)), Span::UNDEFINED);
    out.push(Statement::Store { pointer, value }, Span::UNDEFINED);
}

/// Counts stores in their place, and leaves out the pointers to where they would go.
fn replace_stores(function: &mut Function, info: &FunctionInfo, types: &Types, counters: &Counters) {
    let stored = |f: &Function, s: &Statement| match s {
        Statement::Store { pointer, value } => Some((counter_of(f, *pointer, counters)?, types.bytes(&info[*value].ty))),
        _ => None,
    };
    let mut written = Vec::new();
    let body = std::mem::take(&mut function.body);
    let body = rewrite(function, body, &mut |function, statement, span, out| match (stored(function, &statement), &statement) {
        (Some((counter, bytes)), Statement::Store { pointer, .. }) => {
            written.extend(root(function, *pointer));
            add(function, counter, bytes, out);
        }
        _ => out.push(statement, span),
    });
    function.body = rewrite(function, body, &mut |function, statement, span, out| {
        let Statement::Emit(range) = statement else { return out.push(statement, span) };
        let away = |h: Handle<Expression>| {
            let pointer = matches!(function.expressions[h], Expression::Access { .. } | Expression::AccessIndex { .. });
            pointer && root(function, h).is_some_and(|global| written.contains(&global))
        };
        for handle in range.filter(|h| !away(*h)) {
            out.push(Statement::Emit(Range::new_from_bounds(handle, handle)), span);
        }
    });
}

/// Counts loads where they are.
fn count_loads(function: &mut Function, info: &FunctionInfo, types: &Types, counters: &Counters) {
    let body = std::mem::take(&mut function.body);
    function.body = rewrite(function, body, &mut |function, statement, span, out| {
        let Statement::Emit(range) = &statement else { return out.push(statement, span) };
        let mut loaded: HashMap<Handle<GlobalVariable>, u32> = HashMap::new();
        for handle in range.clone() {
            if let Expression::Load { pointer } = function.expressions[handle]
                && let Some(counter) = counter_of(function, pointer, counters)
            {
                *loaded.entry(counter).or_default() += types.bytes(&info[handle].ty);
            }
        }
        out.push(statement, span);
        let mut loaded: Vec<_> = loaded.into_iter().collect();
        loaded.sort_by_key(|(counter, _)| counter.index());
        loaded.into_iter().for_each(|(counter, bytes)| add(function, counter, bytes, out));
    });
}

/// Adds an invocation's counters to those of all wherever it ends.
fn hand_in(function: &mut Function, body: Block, of_all: Handle<Expression>, counters: &[Handle<GlobalVariable>]) -> Block {
    rewrite(function, body, &mut |function, statement, span, out| {
        if matches!(statement, Statement::Return { .. }) {
            for (i, counter) in counters.iter().enumerate() {
                let mut expression = |e| function.expressions.append(e, Span::UNDEFINED);
                let pointer = expression(Expression::GlobalVariable(*counter));
                let [low, high] = [0xff, 8].map(|n| expression(Expression::Literal(naga::Literal::U32(n))));
                let first = expression(Expression::Load { pointer });
                let low = expression(Expression::Binary { op: naga::BinaryOperator::And, left: first, right: low });
                let high = expression(Expression::Binary { op: naga::BinaryOperator::ShiftRight, left: first, right: high });
                let places = [0, 1].map(|n| expression(Expression::AccessIndex { base: of_all, index: 2 * i as u32 + n }));
                out.push(Statement::Emit(Range::new_from_bounds(first, places[1])), Span::UNDEFINED);
                for (pointer, value) in places.into_iter().zip([low, high]) {
                    out.push(Statement::Atomic { pointer, fun: naga::AtomicFunction::Add, value, result: None }, Span::UNDEFINED);
                }
            }
        }
        out.push(statement, span);
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::kernel::variants;

    #[test]
    fn every_kernel_of_ours_can_be_counted() {
        for variant in variants() {
            for precision in variant.precisions {
                let counting = counting(&variant, *precision).unwrap();
                assert!(counting.names.iter().any(|n| n == "output"), "{:?}", counting.names);
                assert!(naga::front::wgsl::parse_str(&counting.variant.source).is_ok(), "{}", counting.variant.source);
            }
        }
    }
}
