//! Whether a device is lost: shared by all engines on it, and told to whoever waits for it.

use super::lock;
use super::place::Place;
use crate::Error;
use std::sync::{Arc, Mutex, OnceLock, Weak};

#[derive(Debug, Default)]
pub(super) struct Loss {
    why: OnceLock<String>,
    /// The places of all rings: a lost device may leave those who wait for one waiting.
    places: Mutex<Vec<Weak<Place>>>,
}

impl Loss {
    /// Why the device is lost, as an error, if it is.
    pub fn error(&self) -> Option<Error> {
        self.why.get().map(|why| Error::DeviceLost(why.clone()))
    }
    /// The device is lost; what counts is what was said first.
    pub fn set(&self, why: String) {
        if self.why.set(why).is_ok() {
            let places = std::mem::take(&mut *lock(&self.places));
            places.iter().filter_map(Weak::upgrade).for_each(|place| place.tell());
        }
    }
    /// Has those who wait for these places told of a loss.
    pub fn watch(&self, new: &[Arc<Place>]) {
        let mut places = lock(&self.places);
        places.retain(|place| place.strong_count() > 0);
        places.extend(new.iter().map(Arc::downgrade));
    }
}
