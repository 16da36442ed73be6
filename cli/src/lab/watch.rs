//! `--watch`: something done again whenever a file is saved.

use crate::failure::{Outcome, Status, tell};
use crate::interrupt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How often the file is looked at.
const PATIENCE: Duration = Duration::from_millis(100);

/// When the file was saved, and how long it is: editors that write it anew may leave the one as it was.
fn state(path: &Path) -> Option<(SystemTime, u64)> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len()))
}

/// Does it now, and after each save until Ctrl-C.
pub fn each_save(path: &Path, mut each: impl FnMut() -> Outcome<()>) -> Outcome {
    interrupt::install();
    while !interrupt::asked() {
        let before = state(path);
        each()?;
        tell(&format!("watching {}; Ctrl-C ends it", path.display()));
        while !interrupt::asked() && (state(path) == before || state(path).is_none()) {
            std::thread::sleep(PATIENCE);
        }
    }
    Ok(Status::Good)
}
