//! Pointers of C's to references of ours, checked as far as they can be.

use crate::status::Failure;
use std::ffi::{CStr, c_char};

pub(crate) type Checked<T> = Result<T, Failure>;

/// A handle or struct that must be there.
pub(crate) unsafe fn reference<'a, T>(pointer: *const T, name: &str) -> Checked<&'a T> {
    unsafe { pointer.as_ref() }.ok_or_else(|| Failure::argument(format!("`{name}` is NULL")))
}

/// A handle or out parameter that must be there.
pub(crate) unsafe fn exclusive<'a, T>(pointer: *mut T, name: &str) -> Checked<&'a mut T> {
    unsafe { pointer.as_mut() }.ok_or_else(|| Failure::argument(format!("`{name}` is NULL")))
}

/// `count` values; NULL will do for none.
pub(crate) unsafe fn values<'a, T>(pointer: *const T, count: usize, name: &str) -> Checked<&'a [T]> {
    match count {
        0 => Ok(&[]),
        _ if pointer.is_null() => Err(Failure::argument(format!("`{name}` is NULL, with {count} values"))),
        _ if count > isize::MAX as usize / size_of::<T>().max(1) => Err(Failure::argument(format!("`{name}` has {count} values"))),
        _ => Ok(unsafe { std::slice::from_raw_parts(pointer, count) }),
    }
}

/// Text; NULL is none.
pub(crate) unsafe fn text(pointer: *const c_char, name: &str) -> Checked<Option<String>> {
    if pointer.is_null() {
        return Ok(None);
    }
    let text = unsafe { CStr::from_ptr(pointer) }.to_str();
    text.map(|t| Some(t.to_string())).map_err(|_| Failure::argument(format!("`{name}` is not UTF-8")))
}
