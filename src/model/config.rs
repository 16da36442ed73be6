//! What a MobileNet looks like: channels, strides, padding, norms. A plain value, made by hand, by a width
//! multiplier or out of a checkpoint's shapes, and turned into a graph by [`MobileNetConfig::graph`].
//!
//! The numbers here are the network's own: a width multiplier only ever *proposes* channels, since frameworks round
//! differently and a checkpoint's shapes decide.

use crate::graph::Activation;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which of the two networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// Depthwise-separable convolutions (arXiv 1704.04861).
    V1,
    /// Inverted residuals with linear bottlenecks (arXiv 1801.04381).
    V2,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::V1 => "MobileNet V1",
            Version::V2 => "MobileNet V2",
        })
    }
}

/// How many zeros stand around the input of a 3x3 convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaddingRule {
    /// One on every side: PyTorch's.
    Symmetric,
    /// TensorFlow's SAME: at stride 2 an even size is padded at the bottom and right alone.
    Same,
    /// keras.applications' V1: SAME, but a depthwise convolution at stride 2 is padded at the bottom and right alone
    /// whatever the size. It differs from SAME where a map's side is odd.
    SameKeras,
}

impl fmt::Display for PaddingRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PaddingRule::Symmetric => "symmetric",
            PaddingRule::Same | PaddingRule::SameKeras => "same",
        })
    }
}

/// One block of the body: V1's depthwise and pointwise, or V2's expand, depthwise and project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockConfig {
    /// Channels of the 1x1 expansion; `None` where there is no such convolution (V1, and V2's first block).
    pub expansion: Option<u32>,
    /// Channels that the block gives.
    pub channels: u32,
    /// Stride of its depthwise convolution.
    pub stride: u32,
    /// Whether the block's input is added to its output.
    pub residual: bool,
}

/// A whole network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MobileNetConfig {
    /// V1 or V2.
    pub version: Version,
    /// Height and width of the input, in pixels; any, not only multiples of 32.
    pub input: [u32; 2],
    /// Channels of the first convolution, 3x3.
    pub stem_channels: u32,
    /// Its stride.
    pub stem_stride: u32,
    /// The body.
    pub blocks: Vec<BlockConfig>,
    /// Number of blocks in each stage, in order: V1's thirteen ones; V2's 1, 2, 3, 4, 3, 3, 1. Their sum is the
    /// number of blocks; [`MobileNetConfig::with_strides`] goes by stages.
    pub stages: Vec<u32>,
    /// Channels of a last 1x1 convolution before the pool (V2; V1 in timm's `100h`).
    pub last: Option<u32>,
    /// Outputs of the classifier, a background class included; `None`: a backbone, which ends with the pool.
    pub classes: Option<u32>,
    /// Whether the classifier has a bias.
    pub classifier_bias: bool,
    /// Padding of the 3x3 convolutions.
    pub padding: PaddingRule,
    /// What follows every convolution but V2's projections.
    pub activation: Activation,
    /// Epsilon of the batch norm after every convolution; `None`: there is none, it is folded.
    pub batch_norm: Option<f32>,
    /// Whether every convolution has a bias, as where batch norm is folded.
    pub conv_bias: bool,
}

/// V1's body (arXiv 1704.04861, table 1): channels and stride of each block.
const V1_BLOCKS: [(u32, u32); 13] =
    [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1)];

/// V2's body (arXiv 1801.04381, table 2): expansion, channels, repeats and first stride of each stage.
const V2_STAGES: [(u32, u32, u32, u32); 7] =
    [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];

/// Largest side of an input, most channels of a layer and most classes; what is larger is taken for a mistake.
const LARGEST_SIDE: u32 = 1 << 14;
const LARGEST_LAYER: u32 = 1 << 14;
const MOST_CLASSES: u32 = 1 << 20;

/// `value * width` as the decimal fraction that the user wrote: 0.35 is not 0.3499999940 here.
fn scaled(value: u32, width: f32) -> f64 {
    f64::from(value) * width.to_string().parse::<f64>().unwrap_or(f64::NAN)
}

/// Nearest multiple of 8 to `channels * width`, at least 8, and never below 90 % of the value (V2's rounding).
fn make_divisible(channels: u32, width: f32) -> u32 {
    let value = scaled(channels, width);
    let rounded = (((value + 4.0) / 8.0).floor() as u32).saturating_mul(8).max(8);
    if f64::from(rounded) < 0.9 * value { rounded.saturating_add(8) } else { rounded }
}

/// `channels * width` cut to an integer, at least 8 (V1's rounding in TF-slim, Keras and transformers).
fn truncated(channels: u32, width: f32) -> u32 {
    (scaled(channels, width) as u32).max(8)
}

impl MobileNetConfig {
    /// V1 at a width multiplier: 224x224, 1000 classes, PyTorch's padding and epsilon, ReLU6.
    pub fn v1(width: f32) -> Self {
        let block = |&(channels, stride): &(u32, u32)| BlockConfig {
            expansion: None,
            channels: truncated(channels, width),
            stride,
            residual: false,
        };
        Self::of(Version::V1, truncated(32, width), V1_BLOCKS.iter().map(block).collect(), vec![1; V1_BLOCKS.len()], None)
    }

    /// V2 at a width multiplier: 224x224, 1000 classes, PyTorch's padding and epsilon, ReLU6. The last 1x1 has 1280
    /// channels, more only above width 1.0.
    pub fn v2(width: f32) -> Self {
        let stem = make_divisible(32, width);
        let mut channels = stem;
        let mut blocks = Vec::new();
        for (expansion, out, repeats, stride) in V2_STAGES {
            for i in 0..repeats {
                let expansion = (expansion != 1).then(|| channels.saturating_mul(expansion));
                channels = make_divisible(out, width);
                blocks.push(BlockConfig { expansion, channels, stride: if i == 0 { stride } else { 1 }, residual: false });
            }
        }
        let last = if width > 1.0 { make_divisible(1280, width) } else { 1280 };
        let stages = V2_STAGES.iter().map(|s| s.2).collect();
        let mut config = Self::of(Version::V2, stem, blocks, stages, Some(last));
        config.join_residuals();
        config
    }

    fn of(version: Version, stem_channels: u32, blocks: Vec<BlockConfig>, stages: Vec<u32>, last: Option<u32>) -> Self {
        Self {
            version,
            input: [224, 224],
            stem_channels,
            stem_stride: 2,
            blocks,
            stages,
            last,
            classes: Some(1000),
            classifier_bias: true,
            padding: PaddingRule::Symmetric,
            activation: Activation::Relu6,
            batch_norm: Some(1e-5),
            conv_bias: false,
        }
    }

    /// For pictures of another height and width.
    #[must_use]
    pub fn with_input(mut self, input: [u32; 2]) -> Self {
        self.input = input;
        self
    }

    /// With another number of classes, or none: a backbone.
    #[must_use]
    pub fn with_classes(mut self, classes: Option<u32>) -> Self {
        self.classes = classes;
        self
    }

    /// With batch norm folded into the convolutions: a bias for each, no norm.
    #[must_use]
    pub fn folded(mut self) -> Self {
        self.batch_norm = None;
        self.conv_bias = true;
        self
    }

    /// With other strides: the stem's, then one a stage (V1: its 13 blocks; V2: its 7 stages, whose first block has
    /// it). V2's residuals are set anew, since they join only blocks of stride 1.
    ///
    /// # Errors
    /// [`Error::Option`] for another number of strides, or a stride of 0.
    pub fn with_strides(mut self, strides: &[u32]) -> Result<Self> {
        let error = |message: String| Error::Option { option: "strides", message };
        self.check_stages()?;
        if strides.len() != self.stages.len() + 1 {
            return Err(error(format!(
                "a {} of {} stages has {} strides (the stem's, then one a stage), not {}",
                self.version,
                self.stages.len(),
                self.stages.len() + 1,
                strides.len()
            )));
        }
        if strides.contains(&0) {
            return Err(error(format!("a stride is at least 1, found 0 in {strides:?}")));
        }
        self.stem_stride = strides[0];
        for (first, stride) in self.stage_starts().into_iter().zip(&strides[1..]) {
            self.blocks[first].stride = *stride;
        }
        self.join_residuals();
        Ok(self)
    }

    /// The strides as [`MobileNetConfig::with_strides`] takes them.
    pub fn strides(&self) -> Vec<u32> {
        let firsts = self.stage_starts();
        let firsts = firsts.into_iter().filter_map(|i| self.blocks.get(i)).map(|b| b.stride);
        std::iter::once(self.stem_stride).chain(firsts).collect()
    }

    /// Sets V2's residuals by its rule: stride 1 and as many channels out as in. A loader that knows channels and
    /// strides calls this last; V1 has none.
    pub fn join_residuals(&mut self) {
        let mut channels = self.stem_channels;
        for block in &mut self.blocks {
            block.residual = self.version == Version::V2 && block.stride == 1 && block.channels == channels;
            channels = block.channels;
        }
    }

    /// The width multiplier whose channels are nearest to these, in steps of 0.05: for people, nothing depends on it.
    pub fn width(&self) -> f32 {
        let channels = self.stage_channels();
        let distance = |width: f32| -> u64 {
            let ideal = if self.version == Version::V1 { Self::v1(width) } else { Self::v2(width) };
            ideal.stage_channels().iter().zip(&channels).map(|(a, b)| u64::from(a.abs_diff(*b))).sum()
        };
        // Where several widths round to the same channels, the published ones come first.
        let published = [1.0, 0.75, 0.5, 0.25, 0.35, 1.3, 1.4];
        let others = (1..=80).map(|i| i as f32 / 20.0);
        published.into_iter().chain(others).min_by_key(|w| distance(*w)).unwrap_or(1.0)
    }

    /// Index of the first block of each stage.
    fn stage_starts(&self) -> Vec<usize> {
        let sums = self.stages.iter().scan(0, |sum, repeats| {
            let first = *sum;
            *sum += *repeats as usize;
            Some(first)
        });
        sums.collect()
    }

    fn stage_channels(&self) -> Vec<u32> {
        let starts = self.stage_starts();
        starts.into_iter().filter_map(|i| self.blocks.get(i)).map(|b| b.channels).collect()
    }

    fn check_stages(&self) -> Result<()> {
        let total: u64 = self.stages.iter().map(|s| u64::from(*s)).sum();
        if total == self.blocks.len() as u64 && !self.stages.contains(&0) {
            return Ok(());
        }
        let message = format!("stages {:?} hold {total} blocks, but there are {}", self.stages, self.blocks.len());
        Err(Error::Option { option: "stages", message })
    }

    /// Refuses what no network can be: empty or absurd sizes, stages that do not add up, an expansion in V1.
    pub(super) fn check(&self) -> Result<()> {
        self.check_stages()?;
        let [height, width] = self.input;
        if self.input.iter().any(|n| !(1..=LARGEST_SIDE).contains(n)) {
            let message = format!("an input is 1x1 to {LARGEST_SIDE}x{LARGEST_SIDE} pixels, not {height}x{width}");
            return Err(Error::Option { option: "size", message });
        }
        let layers = self.blocks.iter().flat_map(|b| [Some(b.channels), b.expansion]);
        if let Some(bad) = layers.chain([Some(self.stem_channels), self.last]).flatten().find(|n| !(1..=LARGEST_LAYER).contains(n)) {
            let message = format!("a layer has 1 to {LARGEST_LAYER} channels, not {bad}; is the width multiplier right?");
            return Err(Error::Option { option: "channels", message });
        }
        if let Some(classes) = self.classes.filter(|n| !(1..=MOST_CLASSES).contains(n)) {
            let message = format!("a classifier has 1 to {MOST_CLASSES} classes, not {classes}");
            return Err(Error::Option { option: "classes", message });
        }
        if self.version == Version::V1 && self.blocks.iter().any(|b| b.expansion.is_some() || b.residual) {
            let message = "V1's blocks have neither expansion nor residual; use Version::V2".to_string();
            return Err(Error::Option { option: "version", message });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channels(config: &MobileNetConfig) -> Vec<u32> {
        config.stage_channels()
    }

    #[test]
    fn v1_channels_are_truncated() {
        let config = MobileNetConfig::v1(0.6);
        assert_eq!(config.stem_channels, 19);
        assert_eq!(channels(&config), [38, 76, 76, 153, 153, 307, 307, 307, 307, 307, 307, 614, 614]);
        assert_eq!(MobileNetConfig::v1(0.1).stem_channels, 8, "never fewer than 8");
    }

    #[test]
    fn v2_channels_are_multiples_of_8() {
        let config = MobileNetConfig::v2(0.35);
        assert_eq!((config.stem_channels, config.last), (16, Some(1280)));
        assert_eq!(channels(&config), [8, 8, 16, 24, 32, 56, 112]);
        let config = MobileNetConfig::v2(1.4);
        assert_eq!((config.stem_channels, config.last), (48, Some(1792)));
        assert_eq!(channels(&config), [24, 32, 48, 88, 136, 224, 448]);
        assert_eq!(config.blocks[0].expansion, None);
        assert_eq!(config.blocks[1].expansion, Some(24 * 6));
    }

    #[test]
    fn v2_has_ten_residuals() {
        assert_eq!(MobileNetConfig::v2(1.0).blocks.iter().filter(|b| b.residual).count(), 10);
        assert_eq!(MobileNetConfig::v1(1.0).blocks.iter().filter(|b| b.residual).count(), 0);
    }

    #[test]
    fn strides_go_by_stage() -> Result<()> {
        let config = MobileNetConfig::v2(0.35).with_strides(&[1, 1, 1, 2, 2, 1, 2, 1])?;
        assert_eq!(config.stem_stride, 1);
        assert_eq!(config.blocks.iter().map(|b| b.stride).collect::<Vec<_>>(), [1, 1, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1]);
        assert!(config.blocks[1].residual, "8 to 8 channels at stride 1");
        assert_eq!(config.strides(), [1, 1, 1, 2, 2, 1, 2, 1]);
        Ok(())
    }

    #[test]
    fn bad_strides_are_errors() {
        assert!(MobileNetConfig::v1(1.0).with_strides(&[2; 8]).is_err());
        assert!(MobileNetConfig::v2(1.0).with_strides(&[2, 1, 0, 2, 2, 1, 2, 1]).is_err());
    }

    #[test]
    fn width_is_recognised() {
        for width in [0.25, 0.35, 0.5, 0.6, 0.75, 1.0, 1.3, 1.4] {
            assert_eq!(MobileNetConfig::v1(width).width(), width);
            // V2's rounding makes 0.25 the same network as some others.
            let v2 = MobileNetConfig::v2(width);
            assert_eq!(channels(&MobileNetConfig::v2(v2.width())), channels(&v2));
        }
    }

    #[test]
    fn absurd_networks_are_errors() {
        for width in [f32::NAN, f32::INFINITY, 1e9, -1.0] {
            for config in [MobileNetConfig::v1(width), MobileNetConfig::v2(width)] {
                let _ = (config.check(), config.width());
            }
        }
        assert!(MobileNetConfig::v2(1e9).check().is_err());
        assert!(MobileNetConfig::v2(1.0).with_input([0, 224]).check().is_err());
        assert!(MobileNetConfig::v2(1.0).with_input([u32::MAX; 2]).check().is_err());
        assert!(MobileNetConfig::v2(1.0).with_classes(Some(0)).check().is_err());
    }

    #[test]
    fn survives_json() -> Result<(), serde_json::Error> {
        let config = MobileNetConfig::v2(0.5);
        assert_eq!(serde_json::from_str::<MobileNetConfig>(&serde_json::to_string(&config)?)?, config);
        Ok(())
    }
}
