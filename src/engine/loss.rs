//! Whether a device is lost: shared by all engines on it, and told to whoever waits for it.

use super::lock;
use super::place::Place;
use crate::Error;
use std::sync::{Arc, Mutex, OnceLock, Weak};

#[derive(Debug, Default)]
pub(super) struct Loss {
    why: Arc<OnceLock<String>>,
    /// The places of all rings: a lost device may leave those who wait for one waiting.
    places: Mutex<Vec<Weak<Place>>>,
}

impl Loss {
    /// Why the device is lost, as an error, if it is.
    pub fn error(&self) -> Option<Error> {
        self.why.get().map(|why| Error::DeviceLost(why.clone()))
    }
    /// The device is lost, and those who wait are told; what counts is what was said first.
    pub fn set(&self, why: String) -> Result<(), String> {
        self.why.set(why)?;
        let places = std::mem::take(&mut *lock(&self.places));
        places.iter().filter_map(Weak::upgrade).for_each(|place| place.tell());
        Ok(())
    }
    /// For the device's lost-callback: what takes the reason down, and does not keep the engine. In a browser that is all, for those
    /// who wait cannot cross threads as the callback must; there their read-back fails, which tells them.
    pub fn notice(self: &Arc<Self>) -> impl Fn(String) + Send + 'static {
        #[cfg(not(target_arch = "wasm32"))]
        let loss = Arc::downgrade(self);
        #[cfg(target_arch = "wasm32")]
        let loss = Arc::downgrade(&self.why);
        move |why| {
            if let Some(loss) = loss.upgrade() {
                let _ = loss.set(why);
            }
        }
    }
    /// Has those who wait for these places told of a loss.
    pub fn watch(&self, new: &[Arc<Place>]) {
        let mut places = lock(&self.places);
        places.retain(|place| place.strong_count() > 0);
        places.extend(new.iter().map(Arc::downgrade));
    }
}
