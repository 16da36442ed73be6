//! The rules by which a picture becomes a network's input: resize, crop, normalise. They belong to the checkpoint.

/// How a resized pixel is made from the picture's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// Triangle filter, widened when shrinking (Pillow's `BILINEAR`).
    #[default]
    Bilinear,
    /// Cubic filter with a = -0.5, widened when shrinking (Pillow's `BICUBIC`).
    Bicubic,
}

/// Which part of a picture the network sees.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// The short side becomes `round(size / crop_pct)`, then the centre is cropped (ImageNet's usual rule: 0.875).
    CentreCrop {
        /// Share of the short side that stays.
        crop_pct: f32,
    },
    /// timm's rule: the short side becomes `floor(size / crop_pct)`, then the centre is cropped. Where the network is not
    /// square, the long side is rounded instead of truncated.
    CentreCropFloor {
        /// Share of the short side that stays.
        crop_pct: f32,
    },
    /// A picture of the network's own size is taken as it is, any other as by `CentreCrop`: for networks that were trained on
    /// whole small pictures and are shown photographs.
    CentreCropLarger {
        /// Share of the short side that stays.
        crop_pct: f32,
    },
    /// The whole picture is squeezed into the network's size.
    Squash,
}

/// Order of the three channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelOrder {
    /// Red first.
    #[default]
    Rgb,
    /// Blue first (Caffe).
    Bgr,
}

/// Resize, crop and normalisation: `(v / 255 - mean) / std` for each channel in the network's order.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Preprocessing {
    /// Which part of the picture.
    pub resize: Resize,
    /// Which filter.
    pub interpolation: Interpolation,
    /// Mean, in 0..1, in the network's channel order.
    pub mean: [f32; 3],
    /// Standard deviation, in 0..1, in the network's channel order.
    pub std: [f32; 3],
    /// Order of the channels.
    pub order: ChannelOrder,
}

impl Preprocessing {
    /// TensorFlow's: pixels to -1..1.
    pub const TENSORFLOW: Self = Self {
        resize: Resize::CentreCrop { crop_pct: 0.875 },
        interpolation: Interpolation::Bilinear,
        mean: [0.5; 3],
        std: [0.5; 3],
        order: ChannelOrder::Rgb,
    };
    /// torchvision's and timm's.
    pub const TORCH: Self = Self { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], ..Self::TENSORFLOW };
    /// Caffe's: blue first, the mean subtracted, scaled by 0.017.
    pub const CAFFE: Self = Self {
        mean: [103.94 / 255.0, 116.78 / 255.0, 123.68 / 255.0],
        std: [1.0 / (255.0 * 0.017); 3],
        order: ChannelOrder::Bgr,
        ..Self::TENSORFLOW
    };
}
