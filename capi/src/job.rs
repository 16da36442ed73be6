//! Pictures under way: to be polled, waited for, or told of by a callback.

use crate::border::exclusive;
use crate::classifier::{Classifier, Pixels, copy};
use crate::outputs::Outputs;
use crate::status::{Failure, Status, guarded, message};
use mobilenet_wgpu::Error;
use mobilenet_wgpu::classifier::Running;
use std::ffi::{CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Pictures under way.
pub struct Job {
    running: Running,
    labels: Arc<Vec<CString>>,
}

/// Told how a job ended, once, on a thread of the library's: `outputs` are the callee's to free on MOBILENET_STATUS_OK, else
/// NULL and `message` (valid during the call) says why.
pub type Callback = Option<unsafe extern "C" fn(user_data: *mut c_void, status: Status, outputs: *mut Outputs, message: *const c_char)>;

/// What the caller wants back in its callback; that it may cross threads is the caller's promise.
struct UserData(*mut c_void);
unsafe impl Send for UserData {}

/// Sets pictures going, at most as many as the options' `batch`, and does not wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_submit(
    classifier: *mut Classifier,
    pictures: *const Pixels,
    count: usize,
    job: *mut *mut Job,
) -> Status {
    guarded(|| {
        let out = unsafe { exclusive(job, "job") }?;
        *out = Box::into_raw(Box::new(unsafe { submit(classifier, pictures, count) }?));
        Ok(Status::Ok)
    })
}

unsafe fn submit(classifier: *mut Classifier, pictures: *const Pixels, count: usize) -> Result<Job, Failure> {
    let pictures = unsafe { copy(pictures, count) }?;
    let classifier = unsafe { exclusive(classifier, "classifier") }?;
    Ok(Job { running: classifier.inner.submit(&pictures)?, labels: classifier.labels() })
}

/// The outputs, if they are there: MOBILENET_STATUS_PENDING if not yet. Never waits. They come once; free the job afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_job_poll(job: *mut Job, outputs: *mut *mut Outputs) -> Status {
    guarded(|| {
        let (job, out) = (unsafe { exclusive(job, "job") }?, unsafe { exclusive(outputs, "outputs") }?);
        match job.running.try_take()? {
            Some(found) => *out = Outputs::new(found, job.labels.clone()),
            None => return Ok(Status::Pending),
        }
        Ok(Status::Ok)
    })
}

/// Waits for the outputs and frees the job, whatever comes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_job_wait(job: *mut Job, outputs: *mut *mut Outputs) -> Status {
    guarded(|| {
        if job.is_null() {
            return Err(Failure::argument("`job` is NULL"));
        }
        let job = unsafe { Box::from_raw(job) };
        let out = unsafe { exclusive(outputs, "outputs") }?;
        *out = Outputs::new(job.running.wait()?, job.labels);
        Ok(Status::Ok)
    })
}

/// Frees a job, done or not; an unfinished one is given up. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_job_free(job: *mut Job) {
    if !job.is_null() {
        guarded(|| {
            drop(unsafe { Box::from_raw(job) });
            Ok(Status::Ok)
        });
    }
}

/// As `mobilenet_submit`, and calls `callback` with `user_data` on a thread of the library's when the job has ended. It is
/// called exactly once if this returns MOBILENET_STATUS_OK, else never.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_run_async(
    classifier: *mut Classifier,
    pictures: *const Pixels,
    count: usize,
    callback: Callback,
    user_data: *mut c_void,
) -> Status {
    guarded(|| {
        let callback = callback.ok_or_else(|| Failure::argument("`callback` is NULL"))?;
        let job = unsafe { submit(classifier, pictures, count) }?;
        let user_data = UserData(user_data);
        let thread = std::thread::Builder::new().name("mobilenet".into()).spawn(move || {
            // The whole of it is moved, for it is what may cross threads.
            let user_data = user_data;
            let ended = catch_unwind(AssertUnwindSafe(|| job.running.wait()));
            let ended = ended.unwrap_or_else(|_| Err(Error::Device("a mistake in mobilenet, please report it".into())));
            match ended {
                Ok(found) => unsafe { callback(user_data.0, Status::Ok, Outputs::new(found, job.labels), std::ptr::null()) },
                Err(error) => {
                    let failure = Failure::from(error);
                    unsafe { callback(user_data.0, failure.status, std::ptr::null_mut(), message(&failure).as_ptr()) }
                }
            }
        });
        thread.map_err(|e| Failure { status: Status::Internal, message: format!("no thread could be started: {e}") })?;
        Ok(Status::Ok)
    })
}
