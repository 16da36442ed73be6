//! Weights as the kernels read them: padded to whole `vec4`s, in the order of the variant that reads them.

use super::Precision;
use serde::Serialize;

/// Order of dense filters in memory. Depthwise filters `[Ky][Kx][C4]` and vectors `[C4]` have one order each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Packing {
    /// `[Ky][Kx][Cin4 * 4][Cout4]`: a row for each input channel.
    Rows,
    /// `[ceil(Cout4 / 8)][Ky][Kx][Cin4 * 4][8]`: tiles of 32 output channels, each one stream; zeros past the end.
    Tiles32,
}

/// Canonical shape of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightShape {
    /// `[taps][Cin][Cout]`.
    Dense {
        /// Filter height times width.
        taps: u32,
        /// Input channels.
        cin: u32,
        /// Output channels.
        cout: u32,
    },
    /// `[taps][C]`; a vector has one tap.
    Depthwise {
        /// Filter height times width.
        taps: u32,
        /// Channels.
        channels: u32,
    },
}

impl WeightShape {
    /// Values in the canonical layout.
    pub const fn elements(&self) -> u64 {
        match *self {
            WeightShape::Dense { taps, cin, cout } => taps as u64 * cin as u64 * cout as u64,
            WeightShape::Depthwise { taps, channels } => taps as u64 * channels as u64,
        }
    }
    /// Values after packing.
    pub const fn packed(&self, packing: Packing) -> u64 {
        match *self {
            WeightShape::Dense { taps, cin, cout } => {
                let quads = cout.div_ceil(4) as u64;
                let columns = match packing {
                    Packing::Rows => quads,
                    Packing::Tiles32 => quads.div_ceil(8) * 8,
                };
                taps as u64 * cin.div_ceil(4) as u64 * 4 * columns * 4
            }
            WeightShape::Depthwise { taps, channels } => taps as u64 * channels.div_ceil(4) as u64 * 4,
        }
    }
}

/// Packs canonical values for a variant, in the storage type; `values` must have `shape.elements()` values.
pub fn pack(values: &[f32], shape: WeightShape, packing: Packing, precision: Precision) -> Vec<u8> {
    let mut packed = vec![0.0f32; shape.packed(packing) as usize];
    match shape {
        WeightShape::Depthwise { channels, .. } => {
            let padded = channels.div_ceil(4) as usize * 4;
            for (row, out) in values.chunks_exact(channels.max(1) as usize).zip(packed.chunks_exact_mut(padded.max(4))) {
                out[..row.len()].copy_from_slice(row);
            }
        }
        WeightShape::Dense { taps, cin, cout } => {
            let (cin, cout, padded_cin) = (cin as usize, cout as usize, cin.div_ceil(4) as usize * 4);
            let width = match packing {
                Packing::Rows => cout.div_ceil(4) * 4,
                Packing::Tiles32 => 32,
            };
            for (k, row) in values.chunks_exact(cout).enumerate() {
                let padded_row = (k / cin) * padded_cin + k % cin;
                for (tile, part) in row.chunks(width).enumerate() {
                    let start = (tile * taps as usize * padded_cin + padded_row) * width;
                    packed[start..start + part.len()].copy_from_slice(part);
                }
            }
        }
    }
    if precision.needs_f16() {
        let halves: Vec<half::f16> = packed.iter().map(|v| half::f16::from_f32(*v)).collect();
        bytemuck::cast_slice(&halves).to_vec()
    } else {
        bytemuck::cast_slice(&packed).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f32s(bytes: &[u8]) -> Vec<f32> {
        bytemuck::pod_collect_to_vec(bytes)
    }

    #[test]
    fn rows_pad_both_channels() {
        let shape = WeightShape::Dense { taps: 2, cin: 3, cout: 5 };
        let values: Vec<f32> = (0..30).map(|v| v as f32 + 1.0).collect();
        let packed = f32s(&pack(&values, shape, Packing::Rows, Precision::F32));
        assert_eq!(packed.len(), 2 * 4 * 8);
        assert_eq!(packed[..8], [1.0, 2.0, 3.0, 4.0, 5.0, 0.0, 0.0, 0.0]);
        assert_eq!(packed[3 * 8..4 * 8], [0.0; 8]);
        assert_eq!(packed[4 * 8], 16.0);
    }

    #[test]
    fn tiles_hold_32_channels_each() {
        let shape = WeightShape::Dense { taps: 1, cin: 4, cout: 40 };
        let values: Vec<f32> = (0..160).map(|v| v as f32).collect();
        let packed = f32s(&pack(&values, shape, Packing::Tiles32, Precision::F32));
        assert_eq!(packed.len(), 2 * 4 * 32);
        assert_eq!(packed[32], 40.0, "second row of the first tile");
        assert_eq!(packed[4 * 32], 32.0, "second tile begins with channel 32");
        assert_eq!(packed[4 * 32 + 8], 0.0, "zeros past the last channel");
    }
}
