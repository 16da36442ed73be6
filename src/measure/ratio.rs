//! One time in parts of another, and whether that is more than noise: what `bench --compare` and `lab compare` say.

use super::{Comparison, Times};
use serde::{Deserialize, Serialize};

/// A ratio of times with an interval that holds the true one with about 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Time of the second in parts of the first's; above 1 the second is slower.
    pub ratio: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Ratio {
    /// Of two measurements that were not made in turn. What the samples of each say of its median is widened by `noise`, a
    /// share such as 0.05: between two measurements a machine changes by more than within one.
    pub fn of(base: &Times, new: &Times, noise: f64) -> Self {
        let ratio = new.typical() / base.typical();
        // The standard error of a median is 1.25 times the mean's; p90 - p10 is 2.56 standard deviations.
        let error = |t: &Times| 1.253 * (t.p90 - t.p10) / 2.563 / t.median / f64::from(t.samples.max(1)).sqrt();
        let reach = (1.96 * error(base).hypot(error(new)) + noise.max(0.0)).exp();
        Self { ratio, low: ratio / reach, high: ratio * reach }
    }

    /// The ratio with the first's times multiplied by `factor`, for instance to compare pictures and not batches.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self { ratio: self.ratio * factor, low: self.low * factor, high: self.high * factor }
    }

    /// Whether the second is slower by more than noise.
    pub fn is_slower(&self) -> bool {
        self.low > 1.0
    }

    /// Whether the second is faster by more than noise.
    pub fn is_faster(&self) -> bool {
        self.high < 1.0
    }

    /// Whether the difference is more than noise.
    pub fn differs(&self) -> bool {
        self.is_slower() || self.is_faster()
    }
}

impl From<&Comparison> for Ratio {
    fn from(c: &Comparison) -> Self {
        Self { ratio: c.ratio, low: c.low, high: c.high }
    }
}

impl std::fmt::Display for Ratio {
    /// `ratio 1.234 (95 %: 1.200 to 1.270): the second takes 1.234 times as long`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { ratio, low, high } = self;
        write!(f, "ratio {ratio:.3} (95 %: {low:.3} to {high:.3}): ")?;
        match () {
            () if self.is_slower() => write!(f, "the second takes {ratio:.3} times as long"),
            () if self.is_faster() => write!(f, "the second is {:.3} times as fast", 1.0 / ratio),
            () => write!(f, "no difference beyond noise"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_no_difference() {
        let times = |ns: f64| Times::of(&[0.99 * ns, ns, 1.01 * ns, 1.005 * ns, 0.995 * ns], 1).unwrap();
        let of = |new: f64| Ratio::of(&times(100.0), &times(new), 0.05);
        assert!(!of(100.0).differs() && !of(104.0).differs());
        assert!(of(130.0).is_slower() && of(70.0).is_faster());
        assert!(of(130.0).to_string().contains("1.300 times as long") && of(101.0).to_string().contains("no difference"));
        assert!((of(130.0).scaled(0.5).ratio - 0.65).abs() < 1e-9);
    }
}
