//! The user's tuning record: where it is kept, and which records a plan asks.
//!
//! It stands in the configuration folder, not in the cache: it is work of minutes that people should not delete unaware.

use crate::config;
use crate::failure::{Failure, Outcome, tell_once};
use mobilenet_wgpu::gpu::DeviceProfile;
use mobilenet_wgpu::kernel;
use mobilenet_wgpu::tune::{DeviceKey, Tuning, TuningRecord};
use std::path::{Path, PathBuf};

/// Where the record of a device is kept; `None` if there is no place for a user's files.
pub fn place(profile: &DeviceProfile) -> Option<PathBuf> {
    place_of(&DeviceKey::of(profile))
}

/// [`place`] of a device that need not be here.
pub fn place_of(device: &DeviceKey) -> Option<PathBuf> {
    let name = format!("{}.json", device.file_stem());
    config::folder().map(|folder| folder.join("tuning").join(name))
}

/// The record of a device as it stands in a file; an empty one if there is none that can be used.
pub fn load(path: &Path, profile: &DeviceProfile) -> TuningRecord {
    match std::fs::read_to_string(path) {
        Ok(text) => TuningRecord::load(&text, profile),
        Err(_) => TuningRecord::new(profile),
    }
}

/// The record of a device in a file that is to be written: an empty one if there is no file, and an error, so that nothing is written
/// over, if there is something else.
pub fn existing(path: &Path, device: &DeviceKey) -> Outcome<TuningRecord> {
    let refused = |why: String| Failure::new(format!("{}: {why}\nnext: another file, or remove it first", path.display()));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(TuningRecord::of(device.clone())),
        Err(e) => return Err(refused(format!("no tuning record: {e}"))),
    };
    let record = TuningRecord::parse(&text).map_err(|e| refused(format!("no tuning record that can be added to: {e}")))?;
    if record.device == *device {
        return Ok(record);
    }
    let (then, now) = (&record.device, device);
    Err(refused(format!("it is of {} ({}), and the results are of {} ({})", then.adapter, then.driver, now.adapter, now.driver)))
}

/// Writes a record, whole or not at all: first beside its place, then into it.
pub fn save(path: &Path, text: &str) -> Outcome<()> {
    let failed = |e: std::io::Error| Failure::new(format!("{}: the record cannot be written: {e}", path.display()));
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let beside = path.with_extension(format!("{}.part", std::process::id()));
    std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, path)).map_err(|e| {
        let _ = std::fs::remove_file(&beside);
        failed(e)
    })
}

/// The record in a file that `--tuning` names, or why it is none: that is a miss and no error, as long as there is a file.
fn read(file: &str) -> Outcome<Result<TuningRecord, mobilenet_wgpu::Error>> {
    let bytes = std::fs::read(file).map_err(|e| Failure::new(format!("--tuning {file}: cannot be read: {e}")))?;
    Ok(TuningRecord::parse(&String::from_utf8_lossy(&bytes)))
}

/// A made-up browser's device as the one that a browser's record names, so that what was measured there counts.
pub fn as_recorded(profile: DeviceProfile, wish: Option<&str>) -> Outcome<DeviceProfile> {
    let Some(file) = wish.filter(|wish| !["none", "shipped"].contains(wish)) else { return Ok(profile) };
    let Ok(TuningRecord { device, .. }) = read(file)? else { return Ok(profile) };
    if !profile.web || device.backend != profile.backend {
        return Ok(profile);
    }
    Ok(DeviceProfile { name: device.adapter, driver: device.driver, ..profile })
}

/// The records that `--tuning` asks for: a file, `shipped` (those of the program alone) or `none`; by default the user's
/// own before those of the program.
pub fn asked(wish: Option<&str>, profile: &DeviceProfile) -> Outcome<Tuning> {
    match wish {
        Some("none") => Ok(Tuning::none()),
        Some("shipped") => Ok(Tuning::default()),
        Some(file) => {
            let record = match read(file)? {
                Ok(record) => record,
                Err(why) => {
                    tell_once(&format!("note: --tuning {file} is not used: {why}"));
                    return Ok(Tuning::default());
                }
            };
            let (then, now) = (&record.device, DeviceKey::of(profile));
            if *then != now {
                let (of, not) = match then.adapter == now.adapter {
                    true => (&then.driver, &now.driver),
                    false => (&then.adapter, &now.adapter),
                };
                tell_once(&format!("note: --tuning {file} is not used: it is of {of}, not of {not}"));
            }
            Ok(Tuning::default().with(record))
        }
        None => match place(profile).filter(|path| path.exists()) {
            Some(path) => {
                let record = load(&path, profile);
                let (stale, all) = (record.stale(&kernel::variants()), record.len());
                if stale > 0 {
                    let which = format!("{stale} of {all} layers in {} were tuned with kernels as they were before", path.display());
                    tell_once(&format!("note: {which}; `mobilenet tune` measures those again"));
                }
                Ok(Tuning::default().with(record))
            }
            None => Ok(Tuning::default()),
        },
    }
}
