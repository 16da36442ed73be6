//! Far writes made visible: a user's kernel rewritten so that no index leads behind the binding of its output.
//!
//! WebGPU keeps a write from landing outside its binding, but says not what becomes of it: some drivers drop it, and a kernel that
//! writes far behind its output seems right there. In the copy such a write lands in the binding's last element, which belongs to
//! the band that the lab watches.

use super::show::module;
use crate::kernel::{Precision, Variant, specialise};
use crate::{Error, Result};
use naga::{Expression, Function, Module};

/// The variant with each index into its `output` held to the last element of the binding.
///
/// # Errors
/// [`Error::Kernel`] for a kernel that cannot be read so, such as one whose own names hide `output`, `min` or `arrayLength`.
pub fn confined(variant: &Variant, precision: Precision) -> Result<Variant> {
    let fail = |message: String| Error::Kernel { name: format!("{}/{}", variant.op, variant.name), message };
    let source = specialise(&variant.source, precision);
    let parsed = naga::front::wgsl::parse_str(&source).map_err(|e| fail(e.message().to_string()))?;
    let mut brackets = Vec::new();
    for function in parsed.functions.iter().map(|(_, f)| f).chain(parsed.entry_points.iter().map(|e| &e.function)) {
        for place in places(&parsed, function, &source) {
            brackets.push(place.ok_or_else(|| fail("an index into its output was not found in its text".into()))?);
        }
    }
    brackets.sort_unstable();
    brackets.dedup();
    let mut edits: Vec<(usize, &str)> =
        brackets.iter().flat_map(|(open, close)| [(open + 1, "min(u32("), (*close, "), arrayLength(&output) - 1u)")]).collect();
    edits.sort_unstable_by_key(|(at, _)| std::cmp::Reverse(*at));
    let mut text = source;
    edits.into_iter().for_each(|(at, edit)| text.insert_str(at, edit));
    let copy = Variant { source: text.into(), ..variant.clone() };
    // Whether it still says something.
    module(&copy, Precision::F32).map(|_| copy)
}

/// Where the brackets of each index into the output stand; `None` for one that is not to be found.
fn places<'a>(module: &'a Module, function: &'a Function, source: &'a str) -> impl Iterator<Item = Option<(usize, usize)>> + 'a {
    let is_output = |base| match function.expressions[base] {
        Expression::GlobalVariable(global) => module.global_variables[global].name.as_deref() == Some("output"),
        _ => false,
    };
    function.expressions.iter().filter_map(move |(handle, expression)| match expression {
        Expression::Access { base, .. } | Expression::AccessIndex { base, .. } if is_output(*base) => {
            Some(function.expressions.get_span(handle).to_range().and_then(|range| brackets(source, range)))
        }
        _ => None,
    })
}

/// The last pair of brackets in a part of a text that ends with them.
fn brackets(source: &str, range: std::ops::Range<usize>) -> Option<(usize, usize)> {
    let text = source.get(range.clone())?.trim_end();
    let close = text.strip_suffix(']')?.len();
    let mut depth = 0;
    let open = text.char_indices().rev().find(|(_, c)| {
        depth += i32::from(*c == ']') - i32::from(*c == '[');
        depth == 0
    });
    open.map(|(open, _)| (range.start + open, range.start + close))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::kernel::variants;

    #[test]
    fn every_kernel_of_ours_can_be_confined() {
        for variant in variants() {
            for precision in variant.precisions {
                let copy = confined(&variant, *precision).unwrap();
                assert!(copy.source.contains("arrayLength(&output) - 1u)]"), "{}", copy.source);
            }
        }
    }

    #[test]
    fn indices_of_every_form_are_held() {
        let body = "let p = &output[a + (2u * b)]; *p = x; output[7] = x; output[i32(output[1])].y += x.y; (*q)[b] = x;";
        let source = format!(
            "@group(0) @binding(2) var<storage, read_write> output: array<vec4<f32>>;
            @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
                let a = id.x; let b = a; let x = vec4<f32>(); let q = &output; {} }}",
            body.replace("output[1]", "output[1].x")
        );
        let variant = Variant { source: source.into(), ..variants().swap_remove(0) };
        let text = confined(&variant, Precision::F32).unwrap().source;
        for part in ["min(u32(a + (2u * b)), ", "min(u32(7), ", "min(u32(i32(output[min(u32(1), ", "(*q)[min(u32(b), "] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
