//! How a call ended, and what the thread's last error was.

use mobilenet_wgpu::Error;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How a call ended.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// As it should.
    Ok = 0,
    /// A job is not done yet: no error.
    Pending = 1,
    /// A pointer is NULL that must not be, text is not UTF-8, or a struct is of an unknown size.
    InvalidArgument = 2,
    /// A file could not be read.
    File = 3,
    /// A checkpoint is damaged, incomplete or of an unknown kind.
    Checkpoint = 4,
    /// An input has the wrong shape, size or number.
    Input = 5,
    /// An option has a value that cannot be used.
    Option = 6,
    /// No graphics adapter fits.
    NoAdapter = 7,
    /// The network does not fit the device.
    Limit = 8,
    /// No memory is left on the device.
    OutOfMemory = 9,
    /// The device is lost: free the classifier and make a new one.
    DeviceLost = 10,
    /// As many jobs as can be are under way: take or free one.
    Busy = 11,
    /// The device or its driver reported an error.
    Device = 12,
    /// A mistake in this library; please report it.
    Internal = 13,
}

/// Why a call failed: one of the library's errors, or one of the border's own.
pub(crate) struct Failure {
    pub status: Status,
    pub message: String,
}

impl Failure {
    pub fn argument(message: impl Into<String>) -> Self {
        Self { status: Status::InvalidArgument, message: message.into() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::File { .. } => Status::File,
            Error::Checkpoint(_) | Error::Tensor { .. } | Error::Graph { .. } => Status::Checkpoint,
            Error::Input(_) | Error::Picture(_) => Status::Input,
            Error::Option { .. } => Status::Option,
            Error::NoAdapter(_) => Status::NoAdapter,
            Error::Limit { .. } | Error::NoVariant { .. } => Status::Limit,
            Error::OutOfMemory(_) => Status::OutOfMemory,
            Error::DeviceLost(_) => Status::DeviceLost,
            Error::Busy(_) => Status::Busy,
            _ => Status::Device,
        };
        Self { status, message: error.to_string() }
    }
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// Keeps the message for [`mobilenet_last_error`].
fn remember(message: &str) {
    let text = CString::new(message.replace('\0', " ")).unwrap_or_default();
    LAST.with(|last| *last.borrow_mut() = text);
}

/// Runs our code on behalf of C: errors and panics become a status and the thread's last error.
pub(crate) fn guarded(code: impl FnOnce() -> Result<Status, Failure>) -> Status {
    let failure = match catch_unwind(AssertUnwindSafe(code)) {
        Ok(Ok(status)) => return status,
        Ok(Err(failure)) => failure,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_string())).unwrap_or_default();
            Failure { status: Status::Internal, message: format!("a mistake in mobilenet, please report it: {text}") }
        }
    };
    remember(&failure.message);
    failure.status
}

/// What the last call on this thread that failed had to say; empty if none has. Valid until the next one fails here.
#[unsafe(no_mangle)]
pub extern "C" fn mobilenet_last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// Version of the interface that this header is of: grows when something is added, to the next thousand when something changes for its
/// callers. The thousands are the number in the shared library's name.
pub const MOBILENET_ABI_VERSION: u32 = 1000;

/// `MOBILENET_ABI_VERSION` of the library that is loaded.
#[unsafe(no_mangle)]
pub extern "C" fn mobilenet_abi_version() -> u32 {
    MOBILENET_ABI_VERSION
}

/// For callbacks, which have no last error: the message as C sees it.
pub(crate) fn message(failure: &Failure) -> CString {
    CString::new(failure.message.replace('\0', " ")).unwrap_or_else(|_| CStr::to_owned(c""))
}
