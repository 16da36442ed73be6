//! Whether a whole network gives what the reference gives.

use crate::engine::Outputs;
use crate::kernel::Precision;
use serde::{Deserialize, Serialize};

/// What a network with a user's kernels gives, held against the reference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Largest difference from the reference, in parts of its largest value.
    pub difference: f64,
    /// Whether that is rounding.
    pub agrees: bool,
}

impl Agreement {
    /// Of outputs with those of the reference, in the same order. A network's tolerance is ten times a kernel's
    /// ([`crate::measure::tolerance`]): its layers' rounding adds up.
    pub fn of(found: &Outputs, right: &Outputs, precision: Precision) -> Self {
        let mut difference = 0f64;
        for ((_, found), (_, right)) in found.tensors.iter().zip(&right.tensors) {
            let scale = right.data.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
            for (a, b) in found.data.iter().zip(&right.data) {
                let error = f64::from((a - b).abs() / scale);
                difference = difference.max(if error.is_nan() { f64::INFINITY } else { error });
            }
        }
        Self { difference, agrees: difference <= 10.0 * crate::measure::tolerance(precision) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tensor;
    use crate::graph::Shape;

    #[test]
    fn rounding_agrees_and_nothing_else_does() {
        let outputs = |values: [f32; 2]| Outputs {
            tensors: vec![("logits".into(), Tensor { batch: 1, shape: Shape::new(1, 1, 2), data: values.to_vec() })],
        };
        let of = |values| Agreement::of(&outputs(values), &outputs([1.0, 8.0]), Precision::F32).agrees;
        assert_eq!([of([1.0, 8.001]), of([1.0, 8.1]), of([f32::NAN, 8.0])], [true, false, false]);
    }
}
