//! Sharing an output's rows between threads, where there are threads.

/// Calls `f(index, row)` for every `length` values of `out`; the last row may be shorter.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn for_each(out: &mut [f32], length: usize, f: impl Fn(usize, &mut [f32]) + Sync + Send) {
    use rayon::prelude::*;
    out.par_chunks_mut(length.max(1)).enumerate().for_each(|(i, row)| f(i, row));
}

/// Calls `f(index, row)` for every `length` values of `out`; the last row may be shorter.
#[cfg(target_arch = "wasm32")]
pub(super) fn for_each(out: &mut [f32], length: usize, f: impl Fn(usize, &mut [f32])) {
    out.chunks_mut(length.max(1)).enumerate().for_each(|(i, row)| f(i, row));
}
