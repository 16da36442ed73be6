//! What an adapter can do at the most, measured: the roof that every kernel is held against.

use super::probe;
use crate::Result;
use crate::engine::Engine;
use crate::kernel::Precision;
use crate::measure::{Clock, Stopwatch};
use crate::tune::DeviceKey;
use serde::{Deserialize, Serialize};

/// Version of the record, and of how it is measured.
const VERSION: u32 = 3;

/// The limits of an adapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Roof {
    version: u32,
    /// The adapter.
    pub device: DeviceKey,
    /// Where the times come from.
    pub clock: Clock,
    /// Billions of f32 operations a second, two for a multiply-add.
    pub gflops: f64,
    /// The same in f16, where the device has it.
    pub gflops_f16: Option<f64>,
    /// Billions of bytes a second read from a buffer that fits the caches.
    pub gbytes_cached: f64,
    /// Billions of bytes a second read from one that does not.
    pub gbytes_memory: f64,
    /// Billions of bytes a second read from workgroup memory.
    pub gbytes_workgroup: f64,
    /// Nanoseconds of a barrier of one workgroup of 64 invocations.
    pub barrier: f64,
    /// Nanoseconds of a dispatch that does nothing, behind another.
    pub dispatch: f64,
    /// Nanoseconds of an empty submit and the wait for it.
    pub submit: f64,
    /// Nanoseconds of a submit that copies a few bytes back, and the wait for them.
    pub read_back: f64,
    /// Lanes of a subgroup, where the device guarantees one number.
    pub subgroup: Option<u32>,
}

/// A kernel against the roof.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Billions of operations a second.
    pub gflops: f64,
    /// Billions of bytes a second of those that it must move.
    pub gbytes: f64,
    /// Share of what the adapter can do at best: the time that arithmetic or memory alone would take, whichever is longer,
    /// in parts of the time that it took.
    pub share: f64,
    /// Whether memory is the nearer limit.
    pub memory_bound: bool,
    /// The share is above 1 by more than noise: the bytes came from nearer than memory, or the roof was measured badly.
    pub implausible: bool,
}

impl Roof {
    /// Measures it; takes a few seconds on a software adapter.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) and [`Error::OutOfMemory`](crate::Error::OutOfMemory) of the device.
    pub fn measure(engine: &Engine, watch: &Stopwatch) -> Result<Self> {
        let profile = engine.profile();
        let dispatch = probe::dispatch(engine, watch)?;
        let most = profile.max_storage_binding.min(profile.max_buffer_size).max(1);
        // The largest power of two, but not more than a caches' worth many times over.
        let large = (1u64 << most.ilog2()).min(256 << 20);
        let arithmetic = |precision| probe::arithmetic(engine, watch, precision);
        let gflops = arithmetic(Precision::F32)?;
        let mut roof = Self {
            version: VERSION,
            device: DeviceKey::of(profile),
            clock: watch.clock(),
            gflops,
            gflops_f16: profile.f16.then(|| arithmetic(Precision::F16)).transpose()?,
            gbytes_cached: probe::reads(engine, watch, 64 << 10)?.max(probe::reads(engine, watch, 1 << 20)?),
            gbytes_memory: probe::reads(engine, watch, large)?,
            gbytes_workgroup: probe::workgroup_reads(engine, watch)?,
            barrier: probe::barrier(engine, watch, dispatch)?,
            dispatch,
            submit: watch.empty_submit(),
            read_back: watch.read_back()?,
            subgroup: profile.subgroup_size,
        };
        // Again, some seconds later: a machine that others use is slow for that long.
        roof.gflops = roof.gflops.max(arithmetic(Precision::F32)?);
        Ok(roof)
    }

    /// Reads a roof; `None` if the text is damaged, of another version, or of another device or driver.
    pub fn load(text: &str, device: &DeviceKey) -> Option<Self> {
        let roof: Self = serde_json::from_str(text).ok()?;
        (roof.version == VERSION && roof.device == *device).then_some(roof)
    }

    /// Billions of operations a second in the arithmetic of a precision.
    pub fn peak(&self, precision: Precision) -> f64 {
        // f16 in memory alone is computed in f32.
        self.gflops_f16.filter(|_| precision == Precision::F16).unwrap_or(self.gflops)
    }

    /// Billions of bytes a second, from where they come fastest.
    pub fn bandwidth(&self) -> f64 {
        self.gbytes_cached.max(self.gbytes_memory)
    }

    /// What is odd about the measurement itself, in words for a person.
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        let mut doubt = |is: bool, why: &str| {
            if is {
                doubts.push(why.to_string())
            }
        };
        doubt(self.gbytes_memory > 1.1 * self.gbytes_cached, "memory read faster than the caches: the machine did other work meanwhile");
        doubt(self.gflops_f16.is_some_and(|f16| f16 > 4.2 * self.gflops), "f16 more than four times as fast as f32");
        doubt(self.dispatch > self.submit, "a dispatch took longer than a submit");
        doubts
    }

    /// Where a kernel stands that does `operations` and must move `bytes` in `ns`.
    pub fn standing(&self, operations: f64, bytes: f64, ns: f64, precision: Precision) -> Standing {
        let (gflops, gbytes) = (operations / ns, bytes / ns);
        // Small layers live in the caches: the faster of the two is the roof.
        let (memory, arithmetic) = (gbytes / self.bandwidth(), gflops / self.peak(precision));
        let share = memory.max(arithmetic);
        Standing { gflops, gbytes, share, memory_bound: memory > arithmetic, implausible: share > 1.1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::DeviceProfile;

    fn sample() -> Roof {
        Roof {
            version: VERSION,
            device: DeviceKey::of(&DeviceProfile::desktop()),
            clock: Clock::Wall,
            gflops: 1.0,
            gflops_f16: Some(2.0),
            gbytes_cached: 1.0,
            gbytes_memory: 1.0,
            gbytes_workgroup: 1.0,
            barrier: 1.0,
            dispatch: 1.0,
            submit: 1.0,
            read_back: 1.0,
            subgroup: None,
        }
    }

    #[test]
    fn a_roof_is_read_for_its_own_device_alone() {
        let text = serde_json::to_string(&sample()).unwrap_or_default();
        let desktop = DeviceKey::of(&DeviceProfile::desktop());
        assert_eq!(Roof::load(&text, &desktop), Some(sample()));
        assert_eq!(Roof::load(&text, &DeviceKey::of(&DeviceProfile::phone())), None);
        let older = Roof { version: VERSION - 1, ..sample() };
        assert_eq!(Roof::load(&serde_json::to_string(&older).unwrap_or_default(), &desktop), None);
        assert_eq!(Roof::load("{", &desktop), None);
    }

    #[test]
    fn each_precision_has_its_peak_and_oddities_are_told() {
        assert_eq!(Precision::ALL.map(|p| sample().peak(p)), [1.0, 1.0, 2.0]);
        assert!(sample().doubts().is_empty());
        assert_eq!(Roof { gbytes_memory: 2.0, gflops_f16: Some(9.0), ..sample() }.doubts().len(), 2);
    }

    #[test]
    fn the_nearer_limit_counts() {
        let roof = Roof { gflops: 100.0, gbytes_cached: 50.0, gbytes_memory: 10.0, ..sample() };
        let standing = roof.standing(5e4, 5e3, 1e3, Precision::F32);
        assert_eq!((standing.gflops, standing.gbytes, standing.share, standing.memory_bound), (50.0, 5.0, 0.5, false));
        assert!(roof.standing(1.0, 1e6, 1e3, Precision::F32).implausible);
    }
}
