//! The commands of `mobilenet lab`, one file each: thin layers over the library's `lab` and `measure`.

pub mod adopt;
mod bench;
pub mod compare;
pub mod list;
pub mod look;
pub mod new;
mod record;
pub mod report;
pub mod roof;
pub mod run;
pub mod separable;
mod shape;
pub mod show;
pub mod sweep;
mod table;
mod watch;
pub mod worker;

use crate::failure::{Failure, Outcome};
use mobilenet_wgpu::kernel::OpKind;

/// An op by its name.
pub fn op(name: &str) -> Result<OpKind, String> {
    let names = || OpKind::ALL.map(OpKind::name).join(", ");
    OpKind::named(name).ok_or_else(|| format!("expected one of {}", names()))
}

/// A time such as `20s`, `1.5m`, `500ms`, or `20` for seconds.
fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let units = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("", 1.0)];
    let found = units.into_iter().find_map(|(unit, factor)| Some((text.trim().strip_suffix(unit)?, factor)));
    let seconds = found.and_then(|(number, factor)| Some(number.trim().parse::<f64>().ok()? * factor));
    let seconds = seconds.filter(|s| s.is_finite() && (0.0..1e6).contains(s));
    seconds.map(std::time::Duration::from_secs_f64).ok_or_else(|| "expected a time such as 20s, 2m or 500ms".into())
}

/// Reads a file that the user names.
fn read(path: &std::path::Path) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|e| Failure::new(format!("{}: cannot be read: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let ms = |text: &str| seconds(text).map(|d| d.as_millis()).ok();
        assert_eq!(["20", "20s", "1.5m", "500ms", "0"].map(ms), [Some(20_000), Some(20_000), Some(90_000), Some(500), Some(0)]);
        assert_eq!(["", "s", "-1", "1h", "NaN"].map(ms), [None; 5]);
    }
}
