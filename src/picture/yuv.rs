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
    /// Where the chroma lies.
    pub siting: ChromaSiting,
    /// Which of its two values comes first.
    pub order: ChromaOrder,
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

/// Where the values of chroma lie between those of luma, of which there are four times as many. What lies between two
/// of them is interpolated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ChromaSiting {
    /// In every second column, half way between two rows: MPEG-2, H.264 and HEVC where they do not say otherwise.
    #[default]
    Left,
    /// In the middle of four pixels: JPEG, MPEG-1.
    Centre,
}

/// Which of the two values of chroma comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ChromaOrder {
    /// Blue's: NV12.
    #[default]
    CbCr,
    /// Red's: NV21, as Android's cameras have it.
    CrCb,
}

impl ChromaSiting {
    /// Where the first value lies, `[x, y]` in pixels of luma.
    pub(super) fn first(self) -> [f32; 2] {
        match self {
            ChromaSiting::Left => [0.0, 0.5],
            ChromaSiting::Centre => [0.5, 0.5],
        }
    }
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
    /// chroma, halves rounded up. The twin of `texture_nv12.wgsl`.
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
        let channels = if self.order == ChromaOrder::CbCr { [0, 1] } else { [1, 0] };
        let across = taps(width, self.siting.first()[0]);
        let down = taps(height, self.siting.first()[1]);
        let pixel = |i: usize| {
            let ((left, right, x), (top, bottom, y)) = (across[i % columns.max(1)], down[i / columns.max(1)]);
            let value = |row: usize, column: usize, channel: usize| f32::from(chroma[(row * halves + column) * 2 + channel]);
            let mix = |a: f32, b: f32, part: f32| a * (1.0 - part) + b * part;
            let row = |row: usize, channel: usize| mix(value(row, left, channel), value(row, right, channel), x);
            let [cb, cr] = channels.map(|channel| (mix(row(top, channel), row(bottom, channel), y) - 128.0) * chroma_scale);
            let y = (f32::from(luma[i]) - offset) * scale;
            let byte = |v: f32| (v + 0.5).floor().clamp(0.0, 255.0) as u8;
            [byte(y + red * cr), byte(y - green_blue * cb - green_red * cr), byte(y + blue * cb), 255]
        };
        Picture::from_rgba(width, height, (0..luma.len()).flat_map(pixel).collect())
    }
}

/// For each pixel of luma along an axis: the two values of chroma about it, and the share of the second.
fn taps(pixels: u32, first: f32) -> Vec<(usize, usize, f32)> {
    let last = pixels.div_ceil(2) as i32 - 1;
    let tap = |at: u32| {
        let place = (at as f32 - first) * 0.5;
        let corner = place.floor();
        let value = |n: i32| n.clamp(0, last.max(0)) as usize;
        (value(corner as i32), value(corner as i32 + 1), place - corner)
    };
    (0..pixels).map(tap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ramp of chroma stays one, and begins where its first value lies.
    #[test]
    fn chroma_is_interpolated_from_where_it_lies() -> Result<()> {
        let chroma: Vec<u8> = [40u8, 80, 120, 160].iter().flat_map(|cb| [*cb, 128]).collect();
        let blue = |siting| -> Result<Vec<u8>> {
            let yuv = Yuv { siting, ..Yuv::default() };
            let picture = yuv.picture([2, 8], &[128; 16], &chroma)?;
            Ok(picture.rgba()[..32].iter().skip(2).step_by(4).copied().collect())
        };
        let expected = |cb: [f32; 8]| cb.map(|cb| (128.0 + 1.772 * (cb - 128.0) + 0.5).floor().clamp(0.0, 255.0) as u8).to_vec();
        assert_eq!(blue(ChromaSiting::Left)?, expected([40.0, 60.0, 80.0, 100.0, 120.0, 140.0, 160.0, 160.0]));
        assert_eq!(blue(ChromaSiting::Centre)?, expected([40.0, 50.0, 70.0, 90.0, 110.0, 130.0, 150.0, 160.0]));
        Ok(())
    }
}
