//! The driver's cache of compiled pipelines, as bytes that the app keeps where it likes.

use super::Engine;
use crate::{Error, Result};

impl Engine {
    /// Makes pipelines through a cache, begun with what [`Engine::pipeline_cache`] gave on an earlier start. Call it before
    /// the first session. Bytes of another adapter or driver, and damaged ones, are a cold start and no error; a device
    /// without `PIPELINE_CACHE` has no cache.
    ///
    /// # Safety
    /// `data` must come from [`Engine::pipeline_cache`], unchanged, or be `None`: wgpu and the driver check a header, but a
    /// driver may trust what follows it. Keep the bytes where only the user can write, with a checksum.
    pub unsafe fn use_pipeline_cache(&self, data: Option<&[u8]>) {
        if !self.profile().pipeline_cache || self.shared.pipelines.cache.get().is_some() {
            return;
        }
        let descriptor = wgpu::PipelineCacheDescriptor { label: Some("mobilenet"), data, fallback: true };
        // SAFETY: the caller vouches for the bytes.
        let cache = unsafe { self.device().create_pipeline_cache(&descriptor) };
        let _ = self.shared.pipelines.cache.set(cache);
    }

    /// What the cache holds now, to be kept under [`Engine::pipeline_cache_key`]; `None` where there is no cache.
    pub fn pipeline_cache(&self) -> Option<Vec<u8>> {
        self.shared.pipelines.cache.get()?.get_data()
    }

    /// A file name for the cache: the same for the same adapter, driver and version of this crate.
    ///
    /// # Errors
    /// [`Error::Device`] on a backend that has no pipeline caches.
    pub fn pipeline_cache_key(&self) -> Result<String> {
        let info = self.device().adapter_info();
        let adapter = wgpu::util::pipeline_cache_key(&info);
        let adapter = adapter.ok_or_else(|| Error::Device(format!("{} keeps no pipelines", self.profile().backend)))?;
        let driver: String = self.profile().driver.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        Ok(format!("{adapter}_{driver}_{}", env!("CARGO_PKG_VERSION")))
    }
}
