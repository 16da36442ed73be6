//! A record of what is done, a line of JSON for each picture, so that a run that was killed can go on.
//!
//! What must hold: an entry is in the file only when all that belongs to it is on disk before; a last line that was cut is no
//! entry; a record is gone on with only if it is of the same run (its first line says which).

use crate::failure::{Failure, Outcome};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A record that is being written.
pub struct Journal {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Journal {
    /// Begins a record of the run that `run` describes; with `resume`, goes on with the one that is there and gives its entries.
    ///
    /// # Errors
    /// If the record is of another run, or cannot be read or written.
    pub fn open<T: DeserializeOwned>(path: &Path, run: &Value, resume: bool) -> Outcome<(Self, Vec<T>)> {
        let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", path.display()));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let (entries, length) = if resume && path.exists() { read(path, run)? } else { (Vec::new(), 0) };
        let mut file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
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
fn read<T: DeserializeOwned>(path: &Path, run: &Value) -> Outcome<(Vec<T>, u64)> {
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", path.display()));
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
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
                let what = found.as_ref().map_or("not a record of ours".into(), |found| difference(found, run));
                let next = "leave out --resume to begin anew, or use the same arguments";
                return Err(Failure::new(format!("--resume: {} is of another run ({what})\nnext: {next}", path.display())));
            }
        } else {
            let Ok(entry) = serde_json::from_slice(&line) else { return Ok((entries, length)) };
            entries.push(entry);
        }
        length += read as u64;
    }
}

/// The first field in which two runs differ.
fn difference(found: &Value, run: &Value) -> String {
    let Some(fields) = run.as_object() else { return "another kind".into() };
    let differs = fields.iter().find(|(name, value)| found.get(name.as_str()) != Some(value));
    differs
        .map_or("another version".into(), |(name, value)| format!("{name}: then {}, now {value}", found.get(name).unwrap_or(&Value::Null)))
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
            let (_, again) = Journal::open::<u32>(&path, &run, true).unwrap();
            assert_eq!(again, [entries, vec![7]].concat());
        }
        let Err(Failure::Fatal(message)) = Journal::open::<u32>(&path, &json!({"model": "b"}), true) else {
            panic!("another run was taken")
        };
        assert!(message.contains("model: then \"a\", now \"b\""), "{message}");
        fs::remove_file(path).unwrap();
    }
}
