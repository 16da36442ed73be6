//! Whether the host has the memory that a measurement takes: where it has not, the system would end the process, or others.

use crate::failure::{Failure, Outcome};
use crate::output::bytes;
use mobilenet_wgpu::kernel::Case;
use mobilenet_wgpu::lab::host_bytes;

/// An error for a case that needs more memory than there is, where the system tells.
pub fn fits(case: &Case) -> Outcome<()> {
    let needed = host_bytes(case);
    match available() {
        Some(available) if needed > available => Err(Failure::new(format!(
            "{} {case}: needs about {} of memory to be held against the reference, and {} are free\nnext: a smaller --shape or --batch",
            case.op,
            bytes(needed),
            bytes(available)
        ))),
        _ => Ok(()),
    }
}

/// Bytes that can be had without swapping; only Linux says so in a file.
fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use mobilenet_wgpu::kernel::OpKind;
    use mobilenet_wgpu::lab::case_of_shape;

    #[test]
    fn what_needs_more_memory_than_there_is_is_refused() {
        let of = |shape| fits(&case_of_shape(OpKind::Pointwise, shape, 1, 1, 6));
        assert!(of([14, 14, 96, 576]).is_ok());
        if available().is_some() {
            let Failure::Fatal(message) = of([70_000, 70_000, 4096, 4096]).unwrap_err() else { return };
            assert!(message.contains("GiB of memory") && message.contains("--shape"), "{message}");
            assert!(of([u32::MAX; 4]).is_err());
        }
    }
}
