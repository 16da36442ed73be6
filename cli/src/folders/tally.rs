//! Sums of an evaluation: how often the model was right, for which classes, and what it took for what.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How one picture went; a line of the record that a run is resumed from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Which picture of the list.
    pub picture: usize,
    /// The model's best outputs, at most five, the best first; empty if the picture could not be read.
    pub best: Vec<usize>,
    /// Probability of the best.
    pub probability: f32,
    /// Why it could not be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
}

/// The verdicts of a run, with the right classes.
pub struct Tally {
    classes: BTreeMap<usize, Class>,
    /// (right, taken for) with their number.
    confusions: BTreeMap<(usize, usize), u64>,
    mistakes: Vec<Mistake>,
    pub pictures: u64,
    pub errors: u64,
}

/// Sums of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Class {
    pub pictures: u64,
    pub top1: u64,
    pub top5: u64,
}

/// A picture that was taken for something else.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistake {
    pub picture: usize,
    pub right: usize,
    pub taken_for: usize,
    pub probability: f32,
}

/// Mistakes that are kept.
const MISTAKES: usize = 24;

impl Tally {
    pub fn new() -> Self {
        Self { classes: BTreeMap::new(), confusions: BTreeMap::new(), mistakes: Vec::new(), pictures: 0, errors: 0 }
    }

    /// Counts a class that has no pictures.
    pub fn add_empty(&mut self, class: usize) {
        self.classes.entry(class).or_default();
    }

    /// Adds the verdict on a picture whose class is `right`.
    pub fn add(&mut self, verdict: &Verdict, right: usize) {
        let Some(&best) = verdict.best.first() else {
            self.errors += 1;
            return;
        };
        self.pictures += 1;
        let class = self.classes.entry(right).or_default();
        class.pictures += 1;
        class.top1 += u64::from(best == right);
        class.top5 += u64::from(verdict.best.contains(&right));
        *self.confusions.entry((right, best)).or_default() += 1;
        if best != right {
            self.mistakes.push(Mistake { picture: verdict.picture, right, taken_for: best, probability: verdict.probability });
            if self.mistakes.len() >= 8 * MISTAKES {
                self.sort_mistakes();
            }
        }
    }

    fn sort_mistakes(&mut self) {
        self.mistakes.sort_by(|a, b| b.probability.total_cmp(&a.probability).then(a.picture.cmp(&b.picture)));
        self.mistakes.truncate(MISTAKES);
    }

    /// Share of pictures whose best output is right.
    pub fn top1(&self) -> f64 {
        self.share(|class| class.top1)
    }
    /// Share of pictures whose class is among the best five outputs.
    pub fn top5(&self) -> f64 {
        self.share(|class| class.top5)
    }
    fn share(&self, count: impl Fn(&Class) -> u64) -> f64 {
        self.classes.values().map(count).sum::<u64>() as f64 / self.pictures.max(1) as f64
    }

    /// The classes, with their sums; those that have no pictures only if they were counted.
    pub fn classes(&self) -> &BTreeMap<usize, Class> {
        &self.classes
    }
    /// How many pictures of class `right` were taken for `taken_for`.
    pub fn count(&self, right: usize, taken_for: usize) -> u64 {
        self.confusions.get(&(right, taken_for)).copied().unwrap_or(0)
    }
    /// All outputs that were right or taken for right, sorted: the rows and columns of the confusion matrix.
    pub fn outputs(&self) -> Vec<usize> {
        let mut outputs: Vec<usize> = self.confusions.keys().flat_map(|(right, taken_for)| [*right, *taken_for]).collect();
        outputs.sort_unstable();
        outputs.dedup();
        outputs
    }
    /// The most frequent mix-ups, (right, taken for, number).
    pub fn confusions(&self, most: usize) -> Vec<(usize, usize, u64)> {
        let mut all: Vec<_> =
            self.confusions.iter().filter(|((right, taken_for), _)| right != taken_for).map(|((r, t), n)| (*r, *t, *n)).collect();
        all.sort_by(|a, b| b.2.cmp(&a.2).then(a.cmp(b)));
        all.truncate(most);
        all
    }
    /// The mistakes of which the model was most sure.
    pub fn mistakes(&mut self) -> &[Mistake] {
        self.sort_mistakes();
        &self.mistakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(picture: usize, best: &[usize], probability: f32) -> Verdict {
        Verdict { picture, best: best.to_vec(), probability, error: None }
    }

    #[test]
    fn sums_add_up() {
        let mut tally = Tally::new();
        for (verdict, right) in [
            (verdict(0, &[3, 1], 0.9), 3),
            (verdict(1, &[1, 3], 0.6), 3),
            (verdict(2, &[1, 2], 0.8), 3),
            (verdict(3, &[7, 1], 0.5), 7),
            (verdict(4, &[], 0.0), 7),
        ] {
            tally.add(&verdict, right);
        }
        assert_eq!((tally.pictures, tally.errors), (4, 1));
        assert_eq!((tally.top1(), tally.top5()), (0.5, 0.75));
        assert_eq!(tally.classes()[&3], Class { pictures: 3, top1: 1, top5: 2 });
        assert_eq!((tally.confusions(9), tally.outputs()), (vec![(3, 1, 2)], vec![1, 3, 7]));
        assert_eq!(tally.mistakes().iter().map(|m| m.picture).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn only_the_worst_mistakes_are_kept() {
        let mut tally = Tally::new();
        (0..1000).for_each(|i| tally.add(&verdict(i, &[1], i as f32), 0));
        assert_eq!(tally.mistakes().iter().map(|m| m.picture).collect::<Vec<_>>(), (976..1000).rev().collect::<Vec<_>>());
    }
}
