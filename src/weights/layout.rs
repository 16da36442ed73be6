//! Orders of a kernel's axes: which a file uses, and the one permutation to ours.
//!
//! An order is written as its letters: O and I output and input channels, H and W the kernel's height and width. An
//! axis that is not named has length 1. Depthwise kernels have their channels at O, and I of length 1.

use std::fmt;

/// What a tensor is, which decides the orders that it can have and the one that we want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Canonical `[H, W, I, O]`.
    Dense,
    /// Canonical `[H, W, O]`.
    Depthwise,
    /// Canonical `[I, O]`.
    Linear,
    /// Canonical `[O]`.
    Vector,
}

impl Kind {
    /// Orders found in checkpoints.
    pub fn layouts(self) -> &'static [Layout] {
        match self {
            Kind::Dense => &[Layout("OIHW"), Layout("HWIO"), Layout("OHWI")],
            Kind::Depthwise => {
                &[Layout("OIHW"), Layout("HWOI"), Layout("IHWO"), Layout("HWIO"), Layout("HWO"), Layout("OHW"), Layout("OHWI")]
            }
            Kind::Linear => &[Layout("OI"), Layout("IO"), Layout("OIHW"), Layout("HWIO"), Layout("OHWI")],
            Kind::Vector => &[Layout("O")],
        }
    }
    const fn canonical(self) -> &'static str {
        match self {
            Kind::Dense => "HWIO",
            Kind::Depthwise => "HWO",
            Kind::Linear => "IO",
            Kind::Vector => "O",
        }
    }
}

/// An order of axes, such as `OIHW`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout(pub &'static str);

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Lengths of a kernel's axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axes {
    pub o: usize,
    pub i: usize,
    pub h: usize,
    pub w: usize,
}

impl Axes {
    fn get(self, axis: char) -> usize {
        match axis {
            'O' => self.o,
            'I' => self.i,
            'H' => self.h,
            _ => self.w,
        }
    }
}

impl Layout {
    /// The axes of a tensor of `shape` in this order; `None` if the number of axes differs.
    pub fn axes(self, shape: &[usize]) -> Option<Axes> {
        if shape.len() != self.0.len() {
            return None;
        }
        let mut axes = Axes { o: 1, i: 1, h: 1, w: 1 };
        for (axis, length) in self.0.chars().zip(shape) {
            match axis {
                'O' => axes.o = *length,
                'I' => axes.i = *length,
                'H' => axes.h = *length,
                _ => axes.w = *length,
            }
        }
        Some(axes)
    }
    /// The shape in this order.
    pub fn shape(self, axes: Axes) -> Vec<usize> {
        self.0.chars().map(|axis| axes.get(axis)).collect()
    }
    /// The shape in the canonical order of `kind`.
    pub fn canonical_shape(self, kind: Kind, shape: &[usize]) -> Vec<usize> {
        self.axes(shape).map(|axes| Layout(kind.canonical()).shape(axes)).unwrap_or_else(|| shape.to_vec())
    }
    /// Values in the canonical order of `kind`.
    pub fn to_canonical(self, kind: Kind, shape: &[usize], values: Vec<f32>) -> Vec<f32> {
        let Some(axes) = self.axes(shape) else { return values };
        let stride = |axis: char| -> usize {
            let after = self.0.find(axis).map_or(0, |at| at + 1);
            self.0[after..].chars().map(|a| axes.get(a)).product()
        };
        // Steps in the file for each of H, W, I, O; an axis of length 1 is never stepped along.
        let (h, w, i, o) = (stride('H'), stride('W'), stride('I'), stride('O'));
        if kind == Kind::Vector || self.0 == kind.canonical() || (o == 1 && axes.h * axes.w == 1) {
            return values;
        }
        let mut out = vec![0.0; values.len()];
        let plane = axes.i * axes.o;
        for y in 0..axes.h {
            for x in 0..axes.w {
                let pixel = &mut out[(y * axes.w + x) * plane..][..plane];
                transpose(&values[y * h + x * w..], pixel, axes, [i, o]);
            }
        }
        out
    }
}

/// Fills `[I, O]` out of values with the given steps, in tiles that stay in the cache.
fn transpose(values: &[f32], out: &mut [f32], axes: Axes, [i_step, o_step]: [usize; 2]) {
    const TILE: usize = 32;
    for i0 in (0..axes.i).step_by(TILE) {
        for o0 in (0..axes.o).step_by(TILE) {
            for i in i0..(i0 + TILE).min(axes.i) {
                for o in o0..(o0 + TILE).min(axes.o) {
                    out[i * axes.o + o] = values[i * i_step + o * o_step];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every order gives the same canonical values.
    #[test]
    fn all_orders_lead_to_ours() {
        let axes = Axes { o: 5, i: 3, h: 2, w: 4 };
        for kind in [Kind::Dense, Kind::Depthwise, Kind::Linear] {
            let axes = match kind {
                Kind::Dense | Kind::Vector => axes,
                Kind::Depthwise => Axes { i: 1, ..axes },
                Kind::Linear => Axes { h: 1, w: 1, ..axes },
            };
            for layout in kind.layouts() {
                let shape = layout.shape(axes);
                let mut values = Vec::new();
                let mut at = vec![0; shape.len()];
                for _ in 0..shape.iter().product::<usize>() {
                    let part = |axis: char, times: usize| layout.0.find(axis).map_or(0, |k| at[k] * times);
                    values.push((part('H', 1000) + part('W', 100) + part('I', 10) + part('O', 1)) as f32);
                    for k in (0..shape.len()).rev() {
                        at[k] += 1;
                        if at[k] < shape[k] {
                            break;
                        }
                        at[k] = 0;
                    }
                }
                let out = layout.to_canonical(kind, &shape, values);
                let mut expected = Vec::new();
                for h in 0..axes.h {
                    for w in 0..axes.w {
                        for i in 0..axes.i {
                            expected.extend((0..axes.o).map(|o| (h * 1000 + w * 100 + i * 10 + o) as f32));
                        }
                    }
                }
                assert_eq!(out, expected, "{kind:?} {layout}");
            }
        }
    }
}
