//! Where and how to compute: a struct that may grow.

use crate::border::{Checked, exclusive, reference, text, values};
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

/// Where and how to compute. Fill it by `mobilenet_options_init`, then change what you like.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Size of this struct as the caller knows it; set by `mobilenet_options_init`.
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

/// Fills `options` with what is usual.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_options_init(options: *mut Options) -> Status {
    guarded(|| {
        *unsafe { exclusive(options, "options") }? = Options::default();
        Ok(Status::Ok)
    })
}

/// The library's options; NULL is what is usual.
pub(crate) unsafe fn read(options: *const Options) -> Checked<ClassifierOptions> {
    let usual = Options::default();
    let options = if options.is_null() { &usual } else { unsafe { reference(options, "options") }? };
    if options.struct_size != usual.struct_size {
        let (found, expected) = (options.struct_size, usual.struct_size);
        return Err(Failure::argument(format!("options of {found} bytes, expected {expected}: call mobilenet_options_init first")));
    }
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
