//! Weights as the kernels read them: padded to whole `vec4`s, in the order of the variant that reads them.

use super::Precision;
use crate::graph::quads;
use serde::Serialize;

/// Order of dense filters in memory. Depthwise filters `[Ky][Kx][C4]` and vectors `[C4]` have one order each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Packing {
    /// `[Ky][Kx][Cin4 * 4][Cout4]`: a row for each input channel.
    Rows,
    /// `[ceil(Cout4 / 8)][Ky][Kx][Cin4 * 4][8]`: tiles of 32 output channels, each one stream; zeros past the end.
    Tiles32,
    /// As [`Packing::Tiles32`] with two input channels interleaved, `[ceil(Cout4 / 8)][Ky][Kx][Cin4 * 2][32][2]`: a load of 64 bits
    /// has the weights of both. f32 only.
    Tiles32Pairs,
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
                let columns = match packing {
                    Packing::Rows => quads(cout),
                    Packing::Tiles32 | Packing::Tiles32Pairs => quads(cout).div_ceil(8) * 8,
                };
                taps as u64 * quads(cin) as u64 * 4 * columns as u64 * 4
            }
            WeightShape::Depthwise { taps, channels } => taps as u64 * quads(channels) as u64 * 4,
        }
    }
}

/// Packs canonical values for a variant, in the storage type; `values` must have `shape.elements()` values.
pub fn pack(values: &[f32], shape: WeightShape, packing: Packing, precision: Precision) -> Vec<u8> {
    let mut packed = vec![0.0f32; shape.packed(packing) as usize];
    match shape {
        WeightShape::Depthwise { channels, .. } => {
            let padded = quads(channels) as usize * 4;
            for (row, out) in values.chunks_exact(channels.max(1) as usize).zip(packed.chunks_exact_mut(padded.max(4))) {
                out[..row.len()].copy_from_slice(row);
            }
        }
        WeightShape::Dense { taps, cin, cout } => {
            let (cin, cout, padded_cin) = (cin as usize, cout as usize, quads(cin) as usize * 4);
            let width = match packing {
                Packing::Rows => quads(cout as u32) as usize * 4,
                Packing::Tiles32 | Packing::Tiles32Pairs => 32,
            };
            for (k, row) in values.chunks_exact(cout).enumerate() {
                let padded_row = (k / cin) * padded_cin + k % cin;
                for (tile, part) in row.chunks(width).enumerate() {
                    let rows = tile * taps as usize * padded_cin + padded_row;
                    // Rows are padded to fours, so that an even one always has a partner.
                    let (start, step) = match packing {
                        Packing::Tiles32Pairs => (rows / 2 * 2 * width + rows % 2, 2),
                        _ => (rows * width, 1),
                    };
                    part.iter().zip(packed[start..].iter_mut().step_by(step)).for_each(|(value, out)| *out = *value);
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

    #[test]
    fn pairs_hold_two_input_channels_of_each_output_channel() {
        let shape = WeightShape::Dense { taps: 2, cin: 3, cout: 40 };
        let values: Vec<f32> = (0..240).map(|v| v as f32 + 1.0).collect();
        let packed = f32s(&pack(&values, shape, Packing::Tiles32Pairs, Precision::F32));
        let tiles = f32s(&pack(&values, shape, Packing::Tiles32, Precision::F32));
        assert_eq!(packed.len() as u64, shape.packed(Packing::Tiles32Pairs));
        assert_eq!(packed[..4], [1.0, 41.0, 2.0, 42.0], "channels 0 and 1 of the input for channel 0 of the output, then for channel 1");
        assert_eq!(packed[64..68], [81.0, 0.0, 82.0, 0.0], "the third channel of the input has zeros for a partner");
        for (i, pair) in tiles.chunks_exact(64).enumerate() {
            let (even, odd) = pair.split_at(32);
            let woven: Vec<f32> = even.iter().zip(odd).flat_map(|(a, b)| [*a, *b]).collect();
            assert_eq!(packed[64 * i..64 * (i + 1)], woven, "rows {} and {}", 2 * i, 2 * i + 1);
        }
    }
}
