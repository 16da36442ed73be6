//! Where and how to compute: a struct that may grow.
//!
//! What must hold: of the caller's struct no byte is touched beyond the size that the caller says it has; fields are only ever
//! added, at the end, and one that is all zero is as usual.

use crate::border::{Checked, text, values};
use crate::status::{Failure, Status, guarded};
use mobilenet_wgpu::ClassifierOptions;
use mobilenet_wgpu::kernel::Precision as Types;
use std::ffi::c_char;

/// Types of storage, arithmetic and accumulation.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// f32 throughout.
    F32 = 0,
    /// f16 in memory, f32 in arithmetic.
    F16Storage = 1,
    /// f16 in memory and arithmetic, f32 where sums are kept.
    F16 = 2,
}

/// Where and how to compute. Fill it by `mobilenet_options_init`, then change what you like. Later versions may add fields at
/// the end; programs and libraries of different versions go together.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// `sizeof` of this struct as the caller knows it; set by `mobilenet_options_init`.
    pub struct_size: u32,
    /// A `mobilenet_precision`.
    pub precision: u32,
    /// Most pictures in one job; 1 at the beginning.
    pub batch: u32,
    /// Jobs that can be under way at one time; 2 at the beginning.
    pub in_flight: u32,
    /// Height of the network's input; 0 is the model's own.
    pub height: u32,
    /// Width of the network's input; 0 is the model's own.
    pub width: u32,
    /// Compute on the CPU, whatever adapters there are.
    pub cpu: bool,
    /// Compute on the CPU if there is no adapter; true at the beginning.
    pub fallback: bool,
    /// Part of an adapter's name, or its index; may be NULL.
    pub adapter: *const c_char,
    /// Backends to look at, such as "vulkan" or "metal,dx12"; may be NULL.
    pub backend: *const c_char,
    /// Names of the outputs, such as "logits", "probabilities", "embedding", "features"; may be NULL for a classifier's
    /// logits and probabilities.
    pub outputs: *const *const c_char,
    /// Number of names.
    pub output_count: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            precision: Precision::F32 as u32,
            batch: 1,
            in_flight: 2,
            height: 0,
            width: 0,
            cpu: false,
            fallback: true,
            adapter: std::ptr::null(),
            backend: std::ptr::null(),
            outputs: std::ptr::null(),
            output_count: 0,
        }
    }
}

/// No struct of ours is larger.
const MOST: usize = 4096;

/// Fills `options`, which has `struct_size` bytes, with what is usual: `mobilenet_options_init(&options, sizeof options)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_options_init(options: *mut Options, struct_size: usize) -> Status {
    guarded(|| {
        if options.is_null() {
            return Err(Failure::argument("`options` is NULL"));
        }
        let size = plausible(struct_size)?;
        let usual = Options { struct_size: size as u32, ..Options::default() };
        let known = size.min(size_of::<Options>());
        // SAFETY: the caller's struct has `size` bytes, ours at least `known`.
        unsafe {
            std::ptr::copy_nonoverlapping((&raw const usual).cast::<u8>(), options.cast(), known);
            options.cast::<u8>().add(known).write_bytes(0, size - known);
        }
        Ok(Status::Ok)
    })
}

/// That a struct can have this size: a multiple of its alignment, so that no field of ours is cut in two.
fn plausible(size: usize) -> Checked<usize> {
    if (1..=MOST).contains(&size) && size.is_multiple_of(align_of::<Options>()) {
        return Ok(size);
    }
    Err(Failure::argument(format!("options of {size} bytes: call mobilenet_options_init(&options, sizeof options) first")))
}

/// The caller's options: those fields that it has, and what is usual for others.
unsafe fn known(options: *const Options) -> Checked<Options> {
    let (mut known, ours) = (Options::default(), size_of::<Options>());
    if options.is_null() {
        return Ok(known);
    }
    // SAFETY: every version begins with its size, and has as many bytes.
    unsafe {
        let size = plausible(options.cast::<u32>().read() as usize)?;
        let bytes = options.cast::<u8>();
        std::ptr::copy_nonoverlapping(bytes, (&raw mut known).cast(), size.min(ours));
        if (ours..size).any(|at| bytes.add(at).read() != 0) {
            return Err(Failure::argument(format!("options of {size} bytes use a field that this library, of {ours}, does not have")));
        }
    }
    Ok(known)
}

/// The library's options; NULL is what is usual.
pub(crate) unsafe fn read(options: *const Options) -> Checked<ClassifierOptions> {
    let options = unsafe { known(options) }?;
    let mut read = ClassifierOptions { cpu: options.cpu, fallback: options.fallback, ..ClassifierOptions::default() };
    read.adapter.adapter = unsafe { text(options.adapter, "adapter") }?;
    read.adapter.backend = unsafe { text(options.backend, "backend") }?;
    read.session.batch = options.batch;
    read.session.in_flight = options.in_flight as usize;
    read.session.precision = match options.precision {
        0 => Types::F32,
        1 => Types::F16Storage,
        2 => Types::F16,
        other => return Err(Failure::argument(format!("precision {other} is no mobilenet_precision"))),
    };
    read.session.size = match [options.height, options.width] {
        [0, 0] => None,
        size => Some(size),
    };
    for name in unsafe { values(options.outputs, options.output_count, "outputs") }? {
        let name = unsafe { text(*name, "outputs") }?;
        read.session.outputs.push(name.ok_or_else(|| Failure::argument("a name among `outputs` is NULL"))?);
    }
    Ok(read)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    /// Memory of the caller's, with a mark behind the struct.
    const WORDS: usize = size_of::<Options>() / 8 + 4;
    const MARK: u64 = 0xa5a5_a5a5_a5a5_a5a5;

    fn initialised(size: usize) -> [u64; WORDS] {
        let mut memory = [MARK; WORDS];
        assert_eq!(unsafe { mobilenet_options_init(memory.as_mut_ptr().cast(), size) }, Status::Ok);
        assert!(memory[size / 8..].iter().all(|word| *word == MARK), "{size} bytes are overrun");
        memory
    }

    fn refused(memory: &[u64]) -> String {
        unsafe { read(memory.as_ptr().cast()) }.map(|_| ()).map_err(|failure| failure.message).unwrap_err()
    }

    #[test]
    fn structs_of_every_version_are_filled_and_read_as_far_as_they_go() {
        let ours = size_of::<Options>();
        for size in (8..=ours + 24).step_by(8) {
            let mut memory = initialised(size);
            let usual = unsafe { read(memory.as_ptr().cast()) }.unwrap_or_else(|failure| panic!("{size}: {}", failure.message));
            assert!(usual.fallback && !usual.cpu && usual.adapter.adapter.is_none() && usual.session.outputs.is_empty());
            assert_eq!((usual.session.batch, usual.session.in_flight, usual.session.size), (1, 2, None));
            // `batch` and `in_flight` are the second word.
            memory[1] = 7 | 3 << 32;
            let read = unsafe { read(memory.as_ptr().cast()) }.map_err(|failure| failure.message).unwrap();
            assert_eq!((read.session.batch, read.session.in_flight), if size >= 16 { (7, 3) } else { (1, 2) }, "{size}");
        }
    }

    #[test]
    fn what_cannot_be_a_struct_of_ours_is_refused() {
        let ours = size_of::<Options>();
        let mut memory = [MARK; WORDS];
        for size in [0, 4, 7, ours - 1, ours + 1, MOST + 8, usize::MAX] {
            assert_eq!(unsafe { mobilenet_options_init(memory.as_mut_ptr().cast(), size) }, Status::InvalidArgument, "{size}");
        }
        assert_eq!(unsafe { mobilenet_options_init(std::ptr::null_mut(), ours) }, Status::InvalidArgument);
        assert_eq!(memory, [MARK; WORDS]);
        assert!(refused(&memory).contains("sizeof options"), "never initialised");
        let mut newer = initialised(ours + 16);
        newer[ours / 8 + 1] = 1;
        assert!(refused(&newer).contains("does not have"));
    }
}
