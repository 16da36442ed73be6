//! What a picture shows, with what probability.

use crate::labels::Labels;
use serde::{Deserialize, Serialize};

/// A class and its probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The model's own output index; a background class counts.
    pub index: usize,
    /// The class's name, or `class INDEX` where nobody named it.
    pub label: String,
    /// WordNet id, of ImageNet's classes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub wnid: Option<String>,
    /// In 0..1; those of all classes add up to 1.
    pub probability: f32,
}

impl Prediction {
    /// The `top` greatest of `probabilities`, the greatest first and, of equal ones, the one with the smaller index.
    pub fn best(probabilities: &[f32], labels: &Labels, top: usize) -> Vec<Self> {
        let mut order: Vec<usize> = (0..probabilities.len()).collect();
        let by_probability = |a: &usize, b: &usize| probabilities[*b].total_cmp(&probabilities[*a]).then(a.cmp(b));
        if top < order.len() && top > 0 {
            order.select_nth_unstable_by(top - 1, by_probability);
        }
        order.truncate(top);
        order.sort_unstable_by(by_probability);
        let prediction = |index: usize| {
            let (label, wnid) = labels.get(index);
            Self { index, label: label.into_owned(), wnid: wnid.map(str::to_string), probability: probabilities[index] }
        };
        order.into_iter().map(prediction).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_come_first() {
        let labels = Labels::new(["a", "b", "c", "d"]);
        let shown = |top| Prediction::best(&[0.1, 0.4, 0.4, 0.1], &labels, top).into_iter().map(|p| p.label).collect::<Vec<_>>();
        assert_eq!(shown(0), Vec::<String>::new());
        assert_eq!(shown(1), ["b"]);
        assert_eq!(shown(3), ["b", "c", "a"]);
        assert_eq!(shown(9), ["b", "c", "a", "d"]);
    }
}
