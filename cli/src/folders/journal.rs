//! A record of what is done, a line of JSON for each picture, so that a run that was killed can go on.
//!
//! What must hold: an entry is in the file only when all that belongs to it is on disk before; a last line that was cut is no
//! entry; a record is gone on with only if it is of the same run (its first line says which), and by one process at a time.

use super::index::beside;
use crate::failure::{Failure, Outcome, tell};
use crate::output::count;
use crate::pictures::Place;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fs::{self, File, TryLockError};
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A record that is being written.
pub struct Journal {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Journal {
    /// Begins a record of the run that `run` describes; with `resume`, goes on with the one that is there and gives its entries.
    ///
    /// # Errors
    /// If the record is of another run, is being written by another process, or cannot be read or written.
    pub fn open<T: DeserializeOwned>(path: &Path, run: &Value, resume: bool) -> Outcome<(Self, Vec<T>)> {
        let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", path.display()));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        if resume && !path.exists() {
            tell("note: --resume: there is no record of an earlier run; this one begins anew");
        }
        let mut file = File::options().create(true).truncate(false).read(true).write(true).open(path).map_err(failed)?;
        if is_locked(&file) {
            let next = "wait until it is done, or end it";
            return Err(Failure::new(format!("{}: another process is writing it: the same run\nnext: {next}", path.display())));
        }
        let (entries, length) = if resume { read(path, &file, run)? } else { (Vec::new(), 0) };
        file.set_len(length).and_then(|()| file.seek(SeekFrom::End(0))).map_err(failed)?;
        let mut journal = Self { path: path.into(), file: BufWriter::new(file) };
        if length == 0 {
            journal.append(run)?;
            journal.flush()?;
        }
        Ok((journal, entries))
    }

    /// Begins anew with entries that stand: the last ones belonged to what is not on disk.
    pub fn rewrite(&mut self, run: &Value, entries: &[impl Serialize]) -> Outcome<()> {
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().set_len(0))
            .and_then(|()| self.file.rewind())
            .map_err(|error| self.failed(&error))?;
        self.append(run)?;
        entries.iter().try_for_each(|entry| self.append(entry))?;
        self.flush()
    }

    /// Adds an entry.
    pub fn append(&mut self, entry: &impl Serialize) -> Outcome<()> {
        let line = serde_json::to_string(entry).map_err(std::io::Error::from);
        line.and_then(|line| writeln!(self.file, "{line}")).map_err(|error| self.failed(&error))
    }

    /// Hands all entries to the system: that this process is killed does not matter to them.
    pub fn flush(&mut self) -> Outcome<()> {
        self.file.flush().map_err(|error| self.failed(&error))
    }

    /// Makes `output` out of the entries, whole or not at all. The record stays where it is.
    pub fn write(&mut self, output: &Path) -> Outcome<()> {
        self.flush()?;
        let part = beside(output, ".part");
        // By the handle that holds the lock: Windows lets no other read.
        let mut file = self.file.get_ref();
        let mut copy = || -> std::io::Result<()> {
            file.rewind()?;
            let mut lines = BufReader::new(file);
            lines.read_until(b'\n', &mut Vec::new())?;
            let mut to = File::create(&part)?;
            std::io::copy(&mut lines, &mut to)?;
            to.sync_all()?;
            fs::rename(&part, output)
        };
        let copied = copy().map_err(|error| Failure::new(format!("{}: cannot be written: {error}", output.display())));
        let back = file.seek(SeekFrom::End(0)).map_err(|error| self.failed(&error));
        copied.and(back.map(drop))
    }

    /// Removes it: all is done.
    pub fn finish(self) {
        let path = self.path.clone();
        drop(self);
        let _ = fs::remove_file(path);
    }

    fn failed(&self, error: &std::io::Error) -> Failure {
        Failure::new(format!("{}: cannot be written: {error}", self.path.display()))
    }
}

/// The whole entries of a record, and the length of the file up to their end.
fn read<T: DeserializeOwned>(path: &Path, file: &File, run: &Value) -> Outcome<(Vec<T>, u64)> {
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", path.display()));
    let mut reader = BufReader::new(file);
    let (mut entries, mut length, mut line) = (Vec::new(), 0, Vec::new());
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(failed)?;
        if read == 0 || line.last() != Some(&b'\n') {
            return Ok((entries, length));
        }
        if length == 0 {
            let found: Option<Value> = serde_json::from_slice(&line).ok();
            if found.as_ref() != Some(run) {
                return Err(another(path, found.as_ref(), run));
            }
        } else {
            let Ok(entry) = serde_json::from_slice(&line) else { return Ok((entries, length)) };
            entries.push(entry);
        }
        length += read as u64;
    }
}

/// Says how far the run came that is gone on with.
pub fn tell_resuming(done: usize, total: usize) {
    tell(&format!("resuming: {} of {} pictures are done", count(done as u64), count(total as u64)));
}

/// Refuses to go on where the pictures that are done are not the first of those that are asked for now.
pub fn same_pictures<'a>(done: impl ExactSizeIterator<Item = &'a str>, places: &[Place]) -> Outcome<()> {
    let next = "give the same paths, or leave out --resume";
    if done.len() > places.len() {
        return Err(Failure::new(format!("--resume: then there were more pictures\nnext: {next}")));
    }
    match done.zip(places).find(|(path, place)| *path != place.to_string()) {
        Some((path, place)) => Err(Failure::new(format!("--resume: then there was {path}, now {place}\nnext: {next}"))),
        None => Ok(()),
    }
}

/// Refuses a record of another run.
fn another(path: &Path, found: Option<&Value>, run: &Value) -> Failure {
    let what = found.map_or("not a record of ours".into(), |found| difference(found, run));
    let next = "leave out --resume to begin anew, or use the same arguments";
    Failure::new(format!("--resume: {} is of another run ({what})\nnext: {next}", path.display()))
}

/// The error that says how the run of a record differs from `run`.
pub fn differs(path: &Path, run: &Value) -> Failure {
    let first = File::open(path).ok().and_then(|file| {
        let mut line = String::new();
        BufReader::new(file).read_line(&mut line).ok()?;
        serde_json::from_str(&line).ok()
    });
    another(path, first.as_ref(), run)
}

/// The first field in which two runs differ; of a field with fields of its own, the first of those.
fn difference(found: &Value, run: &Value) -> String {
    let Some(fields) = run.as_object() else { return "another kind".into() };
    let differs = fields.iter().find(|(name, value)| found.get(name.as_str()) != Some(value));
    let Some((name, value)) = differs else { return "another version".into() };
    match found.get(name).unwrap_or(&Value::Null) {
        then @ Value::Object(_) if value.is_object() => difference(then, value),
        then => format!("{name}: then {then}, now {value}"),
    }
}

/// Whether another process writes the file, and goes on doing so for a second: one that is being started holds the open files of the
/// one that starts it, locks among them, until it is a program of its own. Some file systems know no locks; there it never is.
fn is_locked(file: &File) -> bool {
    for _ in 0..20 {
        if !matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cut_line_is_no_entry_and_another_run_is_refused() {
        let path = std::env::temp_dir().join(format!("mobilenet-journal-{}", std::process::id()));
        let run = json!({"model": "a"});
        let (mut journal, entries) = Journal::open::<u32>(&path, &run, false).unwrap();
        assert!(entries.is_empty());
        for i in 0..3 {
            journal.append(&i).unwrap();
        }
        journal.flush().unwrap();
        drop(journal);
        let whole = fs::read(&path).unwrap();
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let (mut journal, entries) = Journal::open::<u32>(&path, &run, true).unwrap();
            let lines = whole[..length].iter().filter(|b| **b == b'\n').count();
            assert_eq!(entries, (0..lines.saturating_sub(1) as u32).collect::<Vec<_>>(), "cut at {length}");
            journal.append(&7).unwrap();
            journal.flush().unwrap();
            drop(journal);
            let (_, again) = Journal::open::<u32>(&path, &run, true).unwrap();
            assert_eq!(again, [entries, vec![7]].concat());
        }
        let Err(Failure::Fatal(message)) = Journal::open::<u32>(&path, &json!({"model": "b"}), true) else {
            panic!("another run was taken")
        };
        assert!(message.contains("model: then \"a\", now \"b\""), "{message}");
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn one_process_writes_at_a_time() {
        let path = std::env::temp_dir().join(format!("mobilenet-journal-lock-{}", std::process::id()));
        let run = json!({"model": "a"});
        let (mut journal, _) = Journal::open::<u32>(&path, &run, false).unwrap();
        journal.append(&1).unwrap();
        journal.flush().unwrap();
        for resume in [false, true] {
            let Err(Failure::Fatal(message)) = Journal::open::<u32>(&path, &run, resume) else { panic!("two write it") };
            assert!(message.contains("another process"), "{message}");
        }
        drop(journal);
        assert_eq!(Journal::open::<u32>(&path, &run, true).unwrap().1, [1], "nothing was lost");
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn the_field_that_differs_is_named() {
        let (then, now) =
            (json!({"a": 1, "p": {"mean": [0.5], "resize": "crop"}}), json!({"a": 1, "p": {"mean": [0.5], "resize": "squash"}}));
        assert_eq!(difference(&then, &now), "resize: then \"crop\", now \"squash\"");
    }
}
