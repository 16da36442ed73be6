//! How the two passes of a resize are cut up, so that each buffer fits the device: a value, made without one.
//!
//! The crop's rows are taken in groups; what the first pass makes for a group is held at once. The picture's rows that
//! a group needs arrive in bands. For all but huge pictures that is one group of one band.

use std::ops::Range;

use super::resample::Coefficients;
use crate::{Error, Result};

/// What a buffer and a dispatch may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BandLimits {
    /// Bytes of one storage binding.
    pub binding: u64,
    /// Rows of one dispatch.
    pub rows: u32,
}

impl BandLimits {
    /// Bands beyond this gain nothing, and a smaller one leaves memory for others.
    const MOST: u64 = 64 << 20;

    pub fn of(limits: &wgpu::Limits) -> Self {
        let binding = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(Self::MOST);
        Self { binding, rows: limits.max_compute_workgroups_per_dimension.saturating_mul(8) }
    }
    /// Rows of `width` packed pixels that fit.
    fn rows_of(self, width: u32) -> u32 {
        let fit = self.binding / (u64::from(width) * 4).max(1);
        u32::try_from(fit).unwrap_or(u32::MAX).min(self.rows)
    }
    fn too_small(self, what: &str, width: u32, rows: u32) -> Error {
        Error::Limit {
            node: "input".into(),
            limit: "max_storage_buffer_binding_size",
            needed: u64::from(width) * u64::from(rows) * 4,
            available: self.binding,
            hint: format!("{what} must fit; make the picture smaller before it is given to the network"),
        }
    }
}

/// Rows of the crop that are made together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Rows of the crop.
    pub outputs: Range<u32>,
    /// Rows of the picture that they need.
    pub inputs: Range<u32>,
    /// `inputs`, cut up.
    pub bands: Vec<Range<u32>>,
}

/// Cuts up the resize of `columns` columns of a picture to a crop of `width`, whose rows `down` makes.
pub(super) fn groups(down: &Coefficients, columns: u32, width: u32, limits: BandLimits) -> Result<Vec<Group>> {
    let most_inputs = limits.rows_of(width);
    let most_band = limits.rows_of(columns);
    if most_band == 0 {
        return Err(limits.too_small("a row of the picture", columns, 1));
    }
    let mut groups: Vec<Group> = Vec::new();
    for (row, [first, count]) in (0u32..).zip(&down.bounds) {
        if *count > most_inputs {
            return Err(limits.too_small("the rows that become one", width, *count));
        }
        let end = first + count;
        match groups.last_mut() {
            Some(group) if end.max(group.inputs.end) - group.inputs.start <= most_inputs && row - group.outputs.start < limits.rows => {
                group.outputs.end = row + 1;
                group.inputs.end = group.inputs.end.max(end);
            }
            _ => groups.push(Group { outputs: row..row + 1, inputs: *first..end, bands: Vec::new() }),
        }
    }
    for group in &mut groups {
        let Range { start, end } = group.inputs;
        group.bands = (start..end).step_by(most_band as usize).map(|top| top..top.saturating_add(most_band).min(end)).collect();
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::picture::Interpolation;

    fn down(input: u32, output: u32) -> Coefficients {
        Coefficients::new(Interpolation::Bilinear, input, output, 0..output)
    }

    #[test]
    fn an_ordinary_picture_is_one_band() {
        let limits = BandLimits { binding: 128 << 20, rows: 65535 * 8 };
        let groups = groups(&down(3000, 256), 3000, 224, limits).unwrap();
        assert_eq!(groups, [Group { outputs: 0..256, inputs: 0..3000, bands: std::iter::once(0..3000).collect() }]);
    }

    #[test]
    fn bands_and_groups_cover_all_rows_within_the_limits() {
        let limits = BandLimits { binding: 1000, rows: 24 };
        let down = down(300, 40);
        let groups = groups(&down, 50, 10, limits).unwrap();
        assert!(groups.len() > 1);
        assert_eq!(groups.iter().flat_map(|group| group.outputs.clone()).collect::<Vec<_>>(), (0..40).collect::<Vec<_>>());
        for group in &groups {
            assert!(group.inputs.len() <= 24 && group.bands.len() > 1);
            assert_eq!(group.bands.iter().cloned().flatten().collect::<Vec<_>>(), group.inputs.clone().collect::<Vec<_>>());
            assert!(group.bands.iter().all(|band| band.len() * 50 * 4 <= 1000));
            for row in group.outputs.clone() {
                let [first, count] = down.bounds[row as usize];
                assert!(group.inputs.start <= first && first + count <= group.inputs.end);
            }
        }
    }

    #[test]
    fn what_cannot_fit_is_an_error() {
        let limits = BandLimits { binding: 100, rows: 24 };
        assert!(groups(&down(300, 40), 50, 2, limits).unwrap_err().to_string().contains("a row of the picture"));
        assert!(groups(&down(300, 4), 10, 10, limits).unwrap_err().to_string().contains("the rows that become one"));
    }
}
