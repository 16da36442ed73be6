//! Files of results: JSON lines that are added to, never rewritten.

use super::read;
use crate::failure::{Failure, Outcome};
use mobilenet_wgpu::lab::{Entry, read_entries};
use std::io::Write;
use std::path::Path;

/// Adds results to a file.
pub fn append(path: &Path, entries: &[Entry]) -> Outcome<()> {
    let failed = |e: std::io::Error| Failure::new(format!("{}: the results cannot be written: {e}", path.display()));
    let mut text = String::new();
    for entry in entries {
        text += &entry.line()?;
        text.push('\n');
    }
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
    // A run that was killed may have left half a line: it goes.
    let old = std::fs::read(path).map_err(failed)?;
    let whole = old.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    if whole < old.len() {
        file.set_len(whole as u64).map_err(failed)?;
    }
    file.write_all(text.as_bytes()).map_err(failed)
}

/// Results of the lab, or a tuning record.
pub fn load(path: &Path) -> Outcome<Vec<Entry>> {
    let entries = read_entries(&read(path)?).map_err(|e| Failure::new(format!("{}: {e}", path.display())))?;
    if entries.is_empty() {
        return Err(Failure::new(format!("{}: there are no results in it\nnext: mobilenet lab run … -o FILE", path.display())));
    }
    Ok(entries)
}
