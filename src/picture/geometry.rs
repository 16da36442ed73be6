//! Which part of a picture the network sees, and at what scale.

use super::resample::Coefficients;
use super::{Interpolation, Preprocessing, Resize};
use crate::{Error, Result};

/// The whole picture is resized to `resized`, and `crop` pixels of that from `offset` on are the network's input.
///
/// Every pair is `[height, width]` (`offset`: `[top, left]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Size of the picture.
    pub picture: [u32; 2],
    /// Size to which the whole of it is resized.
    pub resized: [u32; 2],
    /// Where the crop begins.
    pub offset: [u32; 2],
    /// Size of the crop: the network's.
    pub crop: [u32; 2],
}

impl Geometry {
    /// The tables of the two passes for the crop alone: along x, then along y.
    pub fn coefficients(&self, interpolation: Interpolation) -> [Coefficients; 2] {
        [1, 0].map(|axis| {
            let range = self.offset[axis]..self.offset[axis] + self.crop[axis];
            Coefficients::new(interpolation, self.picture[axis], self.resized[axis], range)
        })
    }
}

impl Preprocessing {
    /// How a picture of `[height, width]` becomes an input of `[height, width]`.
    ///
    /// A crop always fits into the resized picture: small pictures are enlarged, never padded.
    ///
    /// # Errors
    /// [`Error::Input`] if a side is 0 or the picture is too elongated to be resized, [`Error::Option`] if the share
    /// of the crop is not above 0.
    pub fn geometry(&self, picture: [u32; 2], network: [u32; 2]) -> Result<Geometry> {
        let [[height, width], [rows, columns]] = [picture, network];
        if [height, width, rows, columns].contains(&0) {
            return Err(Error::Input(format!("a picture of {width}x{height} for a network of {columns}x{rows}: a side is 0")));
        }
        let resized = match self.resize {
            Resize::Squash => network,
            Resize::CentreCropLarger { .. } if picture == network => network,
            Resize::CentreCrop { crop_pct } | Resize::CentreCropLarger { crop_pct } => {
                cover(picture, enlarged(network, crop_pct, f64::round_ties_even)?, Rounding::Down)?
            }
            Resize::CentreCropFloor { crop_pct } => {
                let target = enlarged(network, crop_pct, f64::floor)?;
                cover(picture, target, if target[0] == target[1] { Rounding::Down } else { Rounding::Nearest })?
            }
        };
        if let Some(axis) = [0, 1].into_iter().find(|&axis| picture[axis] / resized[axis] > MAX_SHRINK) {
            let [from, to] = [picture[axis], resized[axis]];
            return Err(Error::Input(format!("a picture of {width}x{height} cannot be resized from {from} to {to} pixels: crop it first")));
        }
        let offset = [0, 1].map(|axis| half_to_even(resized[axis] - network[axis]));
        Ok(Geometry { picture, resized, offset, crop: network })
    }
}

/// How the side that follows from the other is rounded.
#[derive(Clone, Copy)]
enum Rounding {
    /// `int(...)`, in torchvision's `Resize`.
    Down,
    /// `round(...)`, half to even, in timm's `ResizeKeepRatio`.
    Nearest,
}

/// The size to which the picture is resized so that the crop is `crop_pct` of it, at least the crop itself.
fn enlarged(network: [u32; 2], crop_pct: f32, round: fn(f64) -> f64) -> Result<[u32; 2]> {
    // Through its decimal digits: 0.8 as f32 is a little more than 0.8, and 224 / 0.8 must floor to 280.
    let share: f64 = crop_pct.to_string().parse().unwrap_or(f64::NAN);
    if !(share > 0.0 && share.is_finite()) {
        return Err(Error::Option { option: "crop_pct", message: format!("it must lie above 0 and is 1 at most, not {crop_pct}") });
    }
    Ok(network.map(|side| (round(f64::from(side) / share) as u32).max(side)))
}

/// The size of the picture, its proportions kept, that covers `target` and touches it on one side.
fn cover(picture: [u32; 2], target: [u32; 2], rounding: Rounding) -> Result<[u32; 2]> {
    let [[height, width], [rows, columns]] = [picture, target].map(|pair| pair.map(u64::from));
    let (axis, numerator, denominator) =
        if width * rows >= columns * height { (1, rows * width, height) } else { (0, columns * height, width) };
    let rounded = match rounding {
        Rounding::Down => numerator / denominator,
        Rounding::Nearest => (numerator as f64 / denominator as f64).round_ties_even() as u64,
    };
    let mut resized = target;
    // A picture of one row and a million columns would need coefficients beyond all memory.
    resized[axis] = u32::try_from(rounded).ok().filter(|side| *side <= MAX_SIDE).ok_or_else(|| {
        Error::Input(format!("a picture of {width}x{height} is too elongated: resized it would be {rounded} pixels long; crop it first"))
    })?;
    Ok(resized)
}

/// Longest side of a resized picture: sums of positions stay exact in what the kernels compute.
const MAX_SIDE: u32 = 1 << 24;

/// Most pixels that become one: the tables of a pass, and the time of one thread of a kernel, stay bounded.
const MAX_SHRINK: u32 = 1 << 14;

/// Python's `round(n / 2)`.
fn half_to_even(n: u32) -> u32 {
    let half = n / 2;
    half + (n & 1 & half)
}
