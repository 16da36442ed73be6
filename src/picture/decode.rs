//! Files to pixels: JPEG, PNG, WebP, BMP and GIF (its first frame), as Pillow's `convert("RGB")` gives them.
//!
//! JPEG comes from `libjpeg-turbo-rs`, whose pixels are those of libjpeg-turbo (and so of Pillow, with which the
//! checkpoints were trained) bit for bit; everything else from `image`. Sizes are checked against the
//! [`DecodeLimits`] before pixels are allocated. One departure from Pillow: 16-bit grey keeps its high byte, as all
//! other 16-bit pictures do; Pillow clips it to white.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageError, ImageFormat, ImageReader};
use libjpeg_turbo_rs as jpeg;

use super::Picture;
use crate::{Error, Result};

const KNOWN: &str = "JPEG, PNG, WebP, BMP and GIF can be read";

/// How large a picture may be: a file of a few KB can ask for gigabytes of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Most pixels that a picture may have; the default is 256 Mi, a GiB of memory.
    pub pixels: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { pixels: 256 << 20 }
    }
}

impl DecodeLimits {
    fn check(&self, width: u64, height: u64) -> Result<()> {
        if width == 0 || height == 0 {
            return Err(picture(format!("the file says {width}x{height}: there are no pixels in it")));
        }
        if width.saturating_mul(height) > self.pixels {
            return Err(picture(format!(
                "{width}x{height} is more than the limit of {} pixels; raise the decode limit if the file is to be trusted",
                self.pixels
            )));
        }
        Ok(())
    }
}

impl Picture {
    /// Decodes a file, with the default [`DecodeLimits`].
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read, else as [`Picture::decode`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(path: impl AsRef<std::path::Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path)
            .map_err(|error| Error::File { path: path.into(), message: format!("the picture cannot be read: {error}") })?;
        Self::decode(&bytes, &DecodeLimits::default())
    }
    /// Decodes a file's bytes. The orientation that EXIF asks for is applied.
    ///
    /// # Errors
    /// [`Error::Picture`] if the format is unknown, the file is damaged or cut short, or the picture is larger than the limits.
    pub fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Self> {
        let (picture, orientation) = match format_of(bytes)? {
            ImageFormat::Jpeg => decode_jpeg(bytes, limits)?,
            format => decode_other(bytes, format, limits)?,
        };
        picture.orient(orientation)
    }
    fn orient(self, orientation: Orientation) -> Result<Self> {
        if orientation == Orientation::NoTransforms {
            return Ok(self);
        }
        let Self { width, height, rgba } = self;
        let buffer = image::RgbaImage::from_raw(width, height, rgba).ok_or_else(|| picture("its bytes do not fit its size"))?;
        let mut turned = image::DynamicImage::ImageRgba8(buffer);
        turned.apply_orientation(orientation);
        let turned = turned.into_rgba8();
        Self::from_rgba(turned.width(), turned.height(), turned.into_raw())
    }
}

fn picture(message: impl Into<String>) -> Error {
    Error::Picture(message.into())
}

fn format_of(bytes: &[u8]) -> Result<ImageFormat> {
    if bytes.is_empty() {
        return Err(picture("the file is empty"));
    }
    match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP | ImageFormat::Bmp | ImageFormat::Gif)) => Ok(format),
        Ok(format) => Err(picture(format!("this is {}; {KNOWN}: convert it first", format.extensions_str().join("/").to_uppercase()))),
        Err(_) if bytes.get(4..8) == Some(b"ftyp") => Err(picture(format!("this is HEIC, AVIF or a video; {KNOWN}: convert it first"))),
        Err(_) => {
            let start: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            Err(picture(format!("not a picture that we know (it begins with {}); {KNOWN}", start.join(" "))))
        }
    }
}

/// The orientation in an EXIF block, which may begin with JPEG's `Exif\0\0`.
fn orientation_of(exif: Option<&[u8]>) -> Orientation {
    exif.map(|exif| exif.strip_prefix(b"Exif\0\0").unwrap_or(exif))
        .and_then(Orientation::from_exif_chunk)
        .unwrap_or(Orientation::NoTransforms)
}

fn decode_jpeg(bytes: &[u8], limits: &DecodeLimits) -> Result<(Picture, Orientation)> {
    let jpeg_limits = jpeg::DecodeLimits { max_pixels: limits.pixels, max_scans: 1000, ..jpeg::DecodeLimits::default() };
    let mut decoder = jpeg::Decoder::new_with_limits(bytes, jpeg_limits).map_err(jpeg_error)?;
    let header = decoder.header();
    let (width, height) = (header.width, header.height);
    limits.check(width.into(), height.into())?;
    let inks = match &header.components[..] {
        [c, m, y, k] => {
            let [c, m, y, k] = [c, m, y, k].map(|ink| [ink.horizontal_sampling, ink.vertical_sampling]);
            // The decoder panics at others; no program writes them.
            let usual = c == k && m == y && c[0].is_multiple_of(m[0]) && c[1].is_multiple_of(m[1]);
            usual.then_some(true).ok_or_else(|| picture("its four inks are sampled in an unusual way; save it as RGB"))?
        }
        _ => false,
    };
    let orientation = orientation_of(decoder.exif_data());
    // As libjpeg: damage amid the pixels costs a few blocks, an end that is missing the picture.
    decoder.set_lenient(is_whole(bytes));
    // libjpeg smooths the blocks of a progressive file whose last scans are not there.
    decoder.set_block_smoothing(true);
    decoder.set_output_format(if inks { jpeg::PixelFormat::Cmyk } else { jpeg::PixelFormat::Rgba });
    let mut rgba = decoder.decode_image().map_err(jpeg_error)?.data;
    if inks {
        rgba.as_chunks_mut::<4>().0.iter_mut().for_each(cmyk_to_rgba);
    }
    Ok((Picture::from_rgba(width.into(), height.into(), rgba)?, orientation))
}

/// Whether an end marker follows the pixels (a thumbnail's stands before them).
fn is_whole(bytes: &[u8]) -> bool {
    let last = |marker| bytes.windows(2).rposition(|pair| pair == [0xFF, marker]);
    last(0xD9) > last(0xDA)
}

/// One pixel of a JPEG's CMYK. Adobe writes inks inverted, and Pillow takes every such file to be Adobe's: so `c` is
/// already `255 - cyan`. Then Pillow's `cmyk2rgb`: `255 - k - cyan * (255 - k) / 255`, rounded by its `MULDIV255`.
fn cmyk_to_rgba(pixel: &mut [u8; 4]) {
    let light = u32::from(pixel[3]);
    for channel in &mut pixel[..3] {
        let product = (255 - u32::from(*channel)) * light + 128;
        *channel = light.saturating_sub(((product >> 8) + product) >> 8) as u8;
    }
    pixel[3] = 255;
}

fn jpeg_error(error: jpeg::JpegError) -> Error {
    match error {
        jpeg::JpegError::UnexpectedEof => picture("the JPEG file is cut short"),
        error => picture(format!("the JPEG file cannot be decoded: {error}")),
    }
}

fn decode_other(bytes: &[u8], format: ImageFormat, limits: &DecodeLimits) -> Result<(Picture, Orientation)> {
    let failed = |error: ImageError| match error {
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            picture(format!("the {format:?} file is cut short"))
        }
        error => picture(format!("the file cannot be decoded: {error}")),
    };
    let mut decoder = ImageReader::with_format(Cursor::new(bytes), format).into_decoder().map_err(failed)?;
    let (width, height) = decoder.dimensions();
    limits.check(width.into(), height.into())?;
    let orientation = orientation_of(decoder.exif_metadata().map_err(failed)?.as_deref());
    let colour = decoder.color_type();
    let mut raw = allocate(decoder.total_bytes())?;
    decoder.read_image(&mut raw).map_err(failed)?;
    Ok((Picture::from_rgba(width, height, to_rgba(raw, colour)?)?, orientation))
}

/// Zeroed memory, or an error where there is none: never an abort.
fn allocate(bytes: u64) -> Result<Vec<u8>> {
    let none = || picture(format!("there is no memory for {bytes} bytes of pixels"));
    let length = usize::try_from(bytes).map_err(|_| none())?;
    let mut memory = Vec::new();
    memory.try_reserve_exact(length).map_err(|_| none())?;
    memory.resize(length, 0);
    Ok(memory)
}

/// Any 8- or 16-bit layout to RGBA; of 16 bits the high byte stays, as in Pillow.
fn to_rgba(raw: Vec<u8>, colour: ColorType) -> Result<Vec<u8>> {
    let high = if cfg!(target_endian = "little") { 1 } else { 0 };
    let spread = |pixel_bytes: usize, place: fn(&[u8], usize) -> [u8; 4]| {
        let mut rgba = Vec::with_capacity(raw.len() / pixel_bytes * 4);
        for pixel in raw.chunks_exact(pixel_bytes) {
            rgba.extend(place(pixel, high));
        }
        rgba
    };
    Ok(match colour {
        ColorType::Rgba8 => raw,
        ColorType::L8 => spread(1, |p, _| [p[0], p[0], p[0], 255]),
        ColorType::La8 => spread(2, |p, _| [p[0], p[0], p[0], p[1]]),
        ColorType::Rgb8 => spread(3, |p, _| [p[0], p[1], p[2], 255]),
        ColorType::L16 => spread(2, |p, high| [p[high], p[high], p[high], 255]),
        ColorType::La16 => spread(4, |p, high| [p[high], p[high], p[high], p[2 + high]]),
        ColorType::Rgb16 => spread(6, |p, high| [p[high], p[2 + high], p[4 + high], 255]),
        ColorType::Rgba16 => spread(8, |p, high| [p[high], p[2 + high], p[4 + high], p[6 + high]]),
        other => return Err(picture(format!("pixels of type {other:?} are not supported; save it with 8 or 16 bits a channel"))),
    })
}
