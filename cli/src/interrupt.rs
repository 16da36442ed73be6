//! Ctrl-C: the first time the work at hand is finished and written, the second time the program ends at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Exit code of a program that Ctrl-C ended, by the shell's convention.
const INTERRUPTED: i32 = 130;

/// From now on Ctrl-C asks to stop; [`asked`] says whether it did.
pub fn install() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        // Where no handler can be set, Ctrl-C ends the program, and `--resume` makes good for that.
        let _ = ctrlc::set_handler(|| {
            if ASKED.swap(true, Ordering::Relaxed) {
                std::process::exit(INTERRUPTED);
            }
            crate::failure::tell("\nstopping: what is under way is finished and written; Ctrl-C once more ends at once");
        });
    });
}

/// Whether somebody asked to stop.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
