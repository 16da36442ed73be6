//! Pictures: decoding, and the rules by which they become a network's input.
//!
//! What must hold: the pixels of a decoded picture are those that Pillow's `convert("RGB")` gives after the EXIF
//! transpose; [`resample`] is Pillow's antialiased resize bit for bit; the GPU kernels do the same integer arithmetic
//! with the same tables. Every size is `[height, width]`.

mod bands;
mod buffers;
#[cfg(feature = "decode")]
mod decode;
mod frame;
mod geometry;
mod gpu;
mod preprocess;
pub mod resample;
mod rule;
mod sections;
mod texture;
mod yuv;

#[cfg(feature = "decode")]
pub use decode::DecodeLimits;
pub use frame::{Crop, Frame, FrameSource, Framing, Rotation};
pub use geometry::Geometry;
pub use gpu::{KERNELS, Preprocessor, Target};
pub use rule::{ChannelOrder, Interpolation, Preprocessing, Resize};
pub use texture::{FRAME_KERNELS, FramePreprocessor};
pub use yuv::{ChromaOrder, ChromaSiting, Yuv, YuvMatrix, YuvRange};

pub(crate) use buffers::Staging;

use crate::{Error, Result};

/// A picture in host memory: 8 bits a channel, red, green, blue, alpha; rows from the top, no padding.
///
/// Alpha is kept and ignored, as by Pillow's `convert("RGB")`.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    rgba: Vec<u8>,
}

impl Picture {
    /// From RGBA bytes, 4 a pixel.
    ///
    /// # Errors
    /// [`Error::Picture`] if a side is 0 or the number of bytes does not fit.
    pub fn from_rgba(width: u32, height: u32, rgba: Vec<u8>) -> Result<Self> {
        check_size(width, height, 4, rgba.len())?;
        Ok(Self { width, height, rgba })
    }
    /// From RGB bytes, 3 a pixel.
    ///
    /// # Errors
    /// As [`Picture::from_rgba`].
    pub fn from_rgb(width: u32, height: u32, rgb: &[u8]) -> Result<Self> {
        check_size(width, height, 3, rgb.len())?;
        let rgba = rgb.as_chunks::<3>().0.iter().flat_map(|&[r, g, b]| [r, g, b, 255]).collect();
        Ok(Self { width, height, rgba })
    }
    /// Pixels in a row.
    pub fn width(&self) -> u32 {
        self.width
    }
    /// Rows.
    pub fn height(&self) -> u32 {
        self.height
    }
    /// `[height, width]`.
    pub fn size(&self) -> [u32; 2] {
        [self.height, self.width]
    }
    /// The pixels, `[height, width, 4]`.
    pub fn rgba(&self) -> &[u8] {
        &self.rgba
    }
    /// The pixels, `[height, width, 4]`.
    pub fn into_rgba(self) -> Vec<u8> {
        self.rgba
    }
    /// Row `y` from column `left` to before column `right`: `(right - left) * 4` bytes.
    pub(crate) fn row(&self, y: u32, left: u32, right: u32) -> &[u8] {
        let start = y as usize * self.width as usize;
        &self.rgba[(start + left as usize) * 4..(start + right as usize) * 4]
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({}x{})", self.width, self.height)
    }
}

fn check_size(width: u32, height: u32, channels: u64, bytes: usize) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(Error::Picture(format!("a picture of {width}x{height} has no pixels")));
    }
    let expected = u64::from(width).saturating_mul(u64::from(height)).saturating_mul(channels);
    if bytes as u64 != expected {
        return Err(Error::Picture(format!("a picture of {width}x{height} with {channels} channels has {expected} bytes, not {bytes}")));
    }
    Ok(())
}
