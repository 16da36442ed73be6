//! What luma and chroma mean: ITU-R BT.601 and BT.709, in full or limited range.

use super::Picture;
use crate::{Error, Result};

/// What the values of a camera's planes mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Yuv {
    /// Which primaries' weights.
    pub matrix: YuvMatrix,
    /// Which values are black and white.
    pub range: YuvRange,
}

/// The weights of red and blue in luma.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum YuvMatrix {
    /// ITU-R BT.601: standard definition, JPEG and most cameras.
    #[default]
    Bt601,
    /// ITU-R BT.709: high definition video.
    Bt709,
}

/// Which values are black and white.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum YuvRange {
    /// 0 to 255.
    #[default]
    Full,
    /// Luma 16 to 235, chroma 16 to 240.
    Limited,
}

impl Yuv {
    /// Offset and scale of luma, and scale of chroma, on a scale of 0 to 255.
    pub(super) fn scales(self) -> [f32; 3] {
        match self.range {
            YuvRange::Full => [0.0, 1.0, 1.0],
            YuvRange::Limited => [16.0, 255.0 / 219.0, 255.0 / 224.0],
        }
    }
    /// Cr to red, Cb to green, Cr to green, Cb to blue; those to green are subtracted.
    pub(super) fn coefficients(self) -> [f32; 4] {
        let (red, blue): (f64, f64) = match self.matrix {
            YuvMatrix::Bt601 => (0.299, 0.114),
            YuvMatrix::Bt709 => (0.2126, 0.0722),
        };
        let green = 1.0 - red - blue;
        let (to_red, to_blue) = (2.0 * (1.0 - red), 2.0 * (1.0 - blue));
        [to_red, blue * to_blue / green, red * to_red / green, to_blue].map(|v| v as f32)
    }

    /// The picture of two planes in host memory, without gaps: `[height, width]` luma and `[height / 2, width / 2, 2]`
    /// chroma (Cb, Cr), halves rounded up. The twin of `texture_nv12.wgsl`.
    ///
    /// # Errors
    /// [`Error::Picture`] if the planes are of another size.
    pub fn picture(self, [height, width]: [u32; 2], luma: &[u8], chroma: &[u8]) -> Result<Picture> {
        let (columns, halves) = (width as usize, width.div_ceil(2) as usize);
        let expected = [columns * height as usize, halves * height.div_ceil(2) as usize * 2];
        if [luma.len(), chroma.len()] != expected {
            return Err(Error::Picture(format!(
                "planes of {} and {} bytes, where {width}x{height} has {} and {}",
                luma.len(),
                chroma.len(),
                expected[0],
                expected[1]
            )));
        }
        let [offset, scale, chroma_scale] = self.scales();
        let [red, green_blue, green_red, blue] = self.coefficients();
        let pixel = |i: usize| {
            let at = (i / columns.max(1) / 2 * halves + i % columns.max(1) / 2) * 2;
            let y = (f32::from(luma[i]) - offset) * scale;
            let [cb, cr] = [chroma[at], chroma[at + 1]].map(|c| (f32::from(c) - 128.0) * chroma_scale);
            let byte = |v: f32| (v + 0.5).floor().clamp(0.0, 255.0) as u8;
            [byte(y + red * cr), byte(y - green_blue * cb - green_red * cr), byte(y + blue * cb), 255]
        };
        Picture::from_rgba(width, height, (0..luma.len()).flat_map(pixel).collect())
    }
}
