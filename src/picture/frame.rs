//! Frames that an application has on the device: where their pixels are, and how they are seen.

use super::{ChromaOrder, Picture, Yuv};
use crate::{Error, Result};

/// A frame on the device: a texture, a camera's planes or a buffer, and how it is seen.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Where the pixels are.
    pub source: FrameSource<'a>,
    /// Which part of them counts, and which way is up.
    pub framing: Framing,
}

/// Where a frame's pixels are. Sizes are `[height, width]`, from the upper left; `None` is the whole view, whatever level of its
/// texture it is of.
#[derive(Clone, Copy, Debug)]
pub enum FrameSource<'a> {
    /// A view of a 2-D texture, whose first mip level is read: `Rgba8Unorm`, `Bgra8Unorm`, their sRGB twins, or `Rgba16Float`; with
    /// `TEXTURE_BINDING`.
    Texture {
        /// The view.
        view: &'a wgpu::TextureView,
        /// Size of the picture in it.
        size: Option<[u32; 2]>,
        /// Whether the *view's* format is an sRGB one, where it is not the texture's own.
        srgb: Option<bool>,
    },
    /// A camera's planes: luma (`R8Unorm`) and, at half the size rounded up, chroma (`Rg8Unorm`: Cb and Cr, as [`Yuv::order`] says).
    Nv12 {
        /// Luma.
        luma: &'a wgpu::TextureView,
        /// Chroma.
        chroma: &'a wgpu::TextureView,
        /// What the values mean.
        yuv: Yuv,
        /// Size of the picture in the luma plane.
        size: Option<[u32; 2]>,
    },
    /// RGBA8 in a buffer with `STORAGE`.
    Buffer {
        /// The buffer.
        buffer: &'a wgpu::Buffer,
        /// Byte at which the first row begins; a multiple of 4.
        offset: u64,
        /// Size of the picture.
        size: [u32; 2],
        /// Bytes from one row to the next; a multiple of 4.
        row_bytes: u32,
    },
}

/// Which part of a frame counts, and which way is up: cropped first, then turned, then mirrored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Framing {
    /// The part of the frame that counts; all of it if `None`.
    pub crop: Option<Crop>,
    /// How far the frame is turned, clockwise, to stand upright.
    pub rotation: Rotation,
    /// Whether left and right are exchanged afterwards (front cameras).
    pub mirror: bool,
}

/// A rectangle of a frame's pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct Crop {
    pub top: u32,
    pub left: u32,
    pub height: u32,
    pub width: u32,
}

/// A rotation by quarters, clockwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rotation {
    /// As it is.
    #[default]
    None,
    /// By 90 degrees.
    Quarter,
    /// By 180 degrees.
    Half,
    /// By 270 degrees.
    ThreeQuarters,
}

impl<'a> Frame<'a> {
    /// The whole of a texture, as it is.
    pub fn texture(view: &'a wgpu::TextureView) -> Self {
        FrameSource::Texture { view, size: None, srgb: None }.into()
    }
    /// The whole of a camera's planes.
    pub fn nv12(luma: &'a wgpu::TextureView, chroma: &'a wgpu::TextureView, yuv: Yuv) -> Self {
        FrameSource::Nv12 { luma, chroma, yuv, size: None }.into()
    }
    /// The whole of a camera's planes whose chroma is Cr before Cb.
    pub fn nv21(luma: &'a wgpu::TextureView, chroma: &'a wgpu::TextureView, yuv: Yuv) -> Self {
        Self::nv12(luma, chroma, Yuv { order: ChromaOrder::CrCb, ..yuv })
    }
    /// `[height, width]` RGBA8 pixels, without gaps, from the beginning of a buffer.
    pub fn buffer(buffer: &'a wgpu::Buffer, size: [u32; 2]) -> Self {
        FrameSource::Buffer { buffer, offset: 0, size, row_bytes: size[1].saturating_mul(4) }.into()
    }
    /// The same pixels, seen otherwise.
    #[must_use]
    pub fn framed(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }
    /// How many levels of its texture the view may be of: wgpu does not tell which it is, nor its size. One where a size is given.
    ///
    /// # Errors
    /// [`Error::Input`] if there are several and a crop, whose pixels are then nobody knows which.
    #[inline(never)]
    pub(super) fn levels(&self) -> Result<u32> {
        let (FrameSource::Texture { view, size: None, .. } | FrameSource::Nv12 { luma: view, size: None, .. }) = self.source else {
            return Ok(1);
        };
        let levels = view.texture().mip_level_count();
        if levels > 1 && self.framing.crop.is_some() || levels > MOST_LEVELS {
            let message = format!("a view of a texture of {levels} mip levels, read in part: give the view's own size in the FrameSource");
            return Err(Error::Input(message));
        }
        Ok(levels)
    }
    /// Checks the source, and gives its size, if a view is of its texture's first level.
    pub(super) fn size(&self) -> Result<[u32; 2]> {
        use wgpu::TextureFormat as F;
        match self.source {
            FrameSource::Texture { view, size, .. } => {
                let formats = [F::Rgba8Unorm, F::Rgba8UnormSrgb, F::Bgra8Unorm, F::Bgra8UnormSrgb, F::Rgba16Float];
                plane("texture", view, &formats, size)
            }
            FrameSource::Nv12 { luma, chroma, size, .. } => {
                let size = plane("luma plane", luma, &[F::R8Unorm], size)?;
                plane("chroma plane", chroma, &[F::Rg8Unorm], Some(size.map(|side| side.div_ceil(2))))?;
                Ok(size)
            }
            FrameSource::Buffer { buffer, offset, size, row_bytes } => pixels(buffer, offset, size, row_bytes),
        }
    }
}

impl<'a> From<FrameSource<'a>> for Frame<'a> {
    fn from(source: FrameSource<'a>) -> Self {
        Self { source, framing: Framing::default() }
    }
}

/// Mip levels of the largest texture that there is.
pub(super) const MOST_LEVELS: u32 = 16;

/// That a texture can be read as the plane it is said to be; gives the size of the picture in it.
fn plane(what: &str, view: &wgpu::TextureView, formats: &[wgpu::TextureFormat], size: Option<[u32; 2]>) -> Result<[u32; 2]> {
    let texture = view.texture();
    let whole = [texture.height(), texture.width()];
    let size = size.unwrap_or(whole);
    let format = texture.format();
    let wrong = if !formats.contains(&format) {
        format!("a {what} of format {format:?}, where one of {formats:?} is wanted")
    } else if !texture.usage().contains(wgpu::TextureUsages::TEXTURE_BINDING) {
        format!("a {what} without TEXTURE_BINDING: make it with that usage")
    } else if texture.dimension() != wgpu::TextureDimension::D2 || texture.sample_count() != 1 {
        format!("a {what} that is not a plain 2-D texture: resolve or copy it into one")
    } else if size.contains(&0) || size[0] > whole[0] || size[1] > whole[1] {
        format!("a {what} of {}x{} that should hold {}x{} pixels", whole[1], whole[0], size[1], size[0])
    } else {
        return Ok(size);
    };
    Err(Error::Input(wrong))
}

/// That a buffer holds the pixels that it is said to hold.
fn pixels(buffer: &wgpu::Buffer, offset: u64, size: [u32; 2], row_bytes: u32) -> Result<[u32; 2]> {
    let [height, width] = size.map(u64::from);
    let end = offset.saturating_add(u64::from(row_bytes).saturating_mul(height.saturating_sub(1))).saturating_add(width * 4);
    let wrong = if size.contains(&0) || !offset.is_multiple_of(4) || !row_bytes.is_multiple_of(4) || u64::from(row_bytes) < width * 4 {
        format!("{width}x{height} RGBA8 pixels at byte {offset} in rows of {row_bytes} bytes: both must be multiples of 4, and a row fit")
    } else if end > buffer.size() || end / 4 > u64::from(u32::MAX) {
        format!("{width}x{height} RGBA8 pixels end at byte {end}, the buffer has {}", buffer.size())
    } else if !buffer.usage().contains(wgpu::BufferUsages::STORAGE) {
        "a buffer of pixels without STORAGE: make it with that usage".into()
    } else {
        return Ok(size);
    };
    Err(Error::Input(wrong))
}

/// From a picture's positions to a frame's, both `[x, y]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    /// `[height, width]` of the picture.
    pub size: [u32; 2],
    pub origin: [i32; 2],
    pub along: [i32; 2],
    pub down: [i32; 2],
}

impl Framing {
    /// How a frame of `[height, width]` is read.
    pub(super) fn mapping(&self, frame: [u32; 2]) -> Result<Mapping> {
        let crop = self.crop.unwrap_or(Crop { top: 0, left: 0, height: frame[0], width: frame[1] });
        let inside = |start: u32, length: u32, whole: u32| length > 0 && start.checked_add(length).is_some_and(|end| end <= whole);
        if !inside(crop.top, crop.height, frame[0]) || !inside(crop.left, crop.width, frame[1]) {
            return Err(Error::Input(format!("{crop:?} does not lie in a frame of {}x{}", frame[1], frame[0])));
        }
        let [top, left, bottom, right] = [crop.top, crop.left, crop.top + crop.height - 1, crop.left + crop.width - 1].map(|v| v as i32);
        let (mut origin, mut along, down) = match self.rotation {
            Rotation::None => ([left, top], [1, 0], [0, 1]),
            Rotation::Quarter => ([left, bottom], [0, -1], [1, 0]),
            Rotation::Half => ([right, bottom], [-1, 0], [0, -1]),
            Rotation::ThreeQuarters => ([right, top], [0, 1], [-1, 0]),
        };
        let upright = matches!(self.rotation, Rotation::None | Rotation::Half);
        let size = if upright { [crop.height, crop.width] } else { [crop.width, crop.height] };
        if self.mirror {
            let last = size[1] as i32 - 1;
            origin = [origin[0] + last * along[0], origin[1] + last * along[1]];
            along = along.map(|v: i32| -v);
        }
        Ok(Mapping { size, origin, along, down })
    }

    /// The same on the CPU: the picture that the network is to see of `frame`. The kernels' twin.
    ///
    /// # Errors
    /// [`Error::Input`] if the crop does not lie in the frame.
    pub fn apply(&self, frame: &Picture) -> Result<Picture> {
        let map = self.mapping(frame.size())?;
        let [height, width] = map.size.map(|side| side as i32);
        let mut rgba = Vec::with_capacity((height * width) as usize * 4);
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let [left, top] = [0, 1].map(|axis| (map.origin[axis] + x * map.along[axis] + y * map.down[axis]) as u32);
            rgba.extend_from_slice(frame.row(top, left, left + 1));
        }
        Picture::from_rgba(map.size[1], map.size[0], rgba)
    }
}
