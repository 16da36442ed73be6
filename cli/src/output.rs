//! Standard output: lines, JSON, and tables that look right in a terminal and in a file.

use crate::failure::Outcome;
use anstyle::{AnsiColor, Style};
use std::io::{BufWriter, IsTerminal, StdoutLock, Write};

/// Standard output, buffered; [`Output::flush`] after what belongs together.
pub struct Output {
    out: BufWriter<StdoutLock<'static>>,
    colour: bool,
}

impl Output {
    /// Takes standard output.
    pub fn new() -> Self {
        let stdout = std::io::stdout();
        let colour = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        Self { out: BufWriter::new(stdout.lock()), colour }
    }
    /// A line of text.
    pub fn line(&mut self, text: impl std::fmt::Display) -> Outcome<()> {
        Ok(writeln!(self.out, "{text}")?)
    }
    /// A value as one line of JSON.
    pub fn json(&mut self, value: &impl serde::Serialize) -> Outcome<()> {
        serde_json::to_writer(&mut self.out, value).map_err(std::io::Error::from)?;
        Ok(self.out.write_all(b"\n")?)
    }
    /// A value as JSON for people's eyes too.
    pub fn json_pretty(&mut self, value: &impl serde::Serialize) -> Outcome<()> {
        serde_json::to_writer_pretty(&mut self.out, value).map_err(std::io::Error::from)?;
        Ok(self.out.write_all(b"\n")?)
    }
    /// Hands everything on to the reader.
    pub fn flush(&mut self) -> Outcome<()> {
        Ok(self.out.flush()?)
    }
    /// `text` in bold, where that can be seen.
    pub fn bold(&self, text: impl std::fmt::Display) -> String {
        self.styled(Style::new().bold(), text)
    }
    /// `text` dimmed, where that can be seen.
    pub fn dim(&self, text: impl std::fmt::Display) -> String {
        self.styled(Style::new().dimmed(), text)
    }
    /// `text` as a bar is coloured.
    pub fn accent(&self, text: impl std::fmt::Display) -> String {
        self.styled(AnsiColor::Cyan.on_default(), text)
    }
    fn styled(&self, style: Style, text: impl std::fmt::Display) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_string() }
    }
}

/// Columns of text, each as wide as its widest cell.
pub struct Table {
    rows: Vec<Vec<String>>,
    /// Columns whose cells stand at the right, such as numbers.
    right: Vec<usize>,
}

impl Table {
    /// With a heading for each column; `right` names those that are aligned to the right.
    pub fn new(headings: &[&str], right: &[usize]) -> Self {
        Self { rows: vec![headings.iter().map(|h| h.to_string()).collect()], right: right.to_vec() }
    }
    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
    /// Writes it, the headings in bold.
    pub fn write(&self, out: &mut Output) -> Outcome<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |c: usize| self.rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (i, row) in self.rows.iter().enumerate() {
            let cell = |(c, text): (usize, &String)| {
                let space = " ".repeat(widths[c] - text.chars().count());
                if self.right.contains(&c) { format!("{space}{text}") } else { format!("{text}{space}") }
            };
            let line = row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ");
            let line = line.trim_end();
            if i == 0 { out.line(out.bold(line))? } else { out.line(line)? }
        }
        Ok(())
    }
}

/// A bar of up to `width` characters for a share of 1, in steps of an eighth of a character.
pub fn bar(share: f32, width: usize) -> String {
    let eighths = (share.clamp(0.0, 1.0) * width as f32 * 8.0).round() as usize;
    let rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    format!("{}{rest}", "█".repeat(eighths / 8))
}

/// Bytes as people read them.
pub fn bytes(n: u64) -> String {
    match n {
        0..1024 => format!("{n} B"),
        1024..1_048_576 => format!("{:.1} KiB", n as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", n as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", n as f64 / 1_073_741_824.0),
    }
}

/// Nanoseconds as a cell of a table whose heading says microseconds.
pub fn us(ns: Option<f64>) -> String {
    ns.map(|ns| format!("{:.1}", ns / 1e3)).unwrap_or_default()
}

/// A count with commas between thousands: `3,504,872`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!((count(0), count(999), count(3_504_872)), ("0".into(), "999".into(), "3,504,872".into()));
        assert_eq!((bytes(12), bytes(2048), bytes(14 << 20)), ("12 B".into(), "2.0 KiB".into(), "14.0 MiB".into()));
    }

    #[test]
    fn bars_end_within_their_width() {
        assert_eq!(bar(0.5, 4), "██");
        assert_eq!((bar(0.0, 4), bar(1.0, 2), bar(7.0, 2)), (String::new(), "██".into(), "██".into()));
    }
}
