//! From values to places on the page.

/// An axis, linear or logarithmic.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    log: bool,
}

impl Axis {
    /// From 0 to a round number not below `most`.
    pub fn linear(most: f64, from: f64, to: f64) -> Self {
        let step = step(most.max(1e-12));
        Self { low: 0.0, high: (most.max(1e-12) / step).ceil() * step, from, to, log: false }
    }

    /// Between round numbers around `low` and `high`, which are positive.
    pub fn log(low: f64, high: f64, from: f64, to: f64) -> Self {
        let (low, high) = (low.max(1e-12), high.max(1e-12));
        let power = |v: f64| 10f64.powf(v.log10().floor());
        let below = [5.0, 2.0, 1.0].into_iter().map(|t| t * power(low)).find(|v| *v <= low * 1.001).unwrap_or(low);
        let above = [1.0, 2.0, 5.0, 10.0].into_iter().map(|t| t * power(high)).find(|v| *v >= high * 0.999).unwrap_or(high);
        Self { low: below, high: above.max(2.0 * below), from, to, log: true }
    }

    /// Where a value is; what is beyond the ends is at them.
    pub fn at(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        let share = if self.log {
            (value / self.low).log10() / (self.high / self.low).log10()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + share * (self.to - self.from)
    }

    pub fn low_end(&self) -> f64 {
        self.from
    }

    pub fn high_end(&self) -> f64 {
        self.to
    }

    /// The lowest and highest value.
    pub fn range(&self) -> [f64; 2] {
        [self.low, self.high]
    }

    /// Values with their labels.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        if !self.log {
            let step = step(self.high);
            let count = (self.high / step).round() as u32;
            return (0..=count).map(|i| f64::from(i) * step).map(|v| (v, number(v))).collect();
        }
        let within: &[f64] = if self.high / self.low <= 101.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let values = (first..=last).flat_map(|d| within.iter().map(move |w| w * 10f64.powi(d)));
        values.filter(|v| (self.low * 0.999..=self.high * 1.001).contains(v)).map(|v| (v, number(v))).collect()
    }
}

/// A step of 1, 2 or 5 times a power of ten, some four to eight of which make `most`.
fn step(most: f64) -> f64 {
    let rough = most / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let times = [1.0, 2.0, 5.0, 10.0].into_iter().find(|t| t * power >= rough * 0.999).unwrap_or(10.0);
    times * power
}

fn number(v: f64) -> String {
    if v == 0.0 || v >= 0.999 { format!("{}", (v * 100.0).round() / 100.0) } else { format!("{}", (v * 1e4).round() / 1e4) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let labels = |axis: &Axis| axis.ticks().into_iter().map(|(_, label)| label).collect::<Vec<_>>();
        assert_eq!(labels(&Axis::linear(9.0, 0.0, 1.0)), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(labels(&Axis::log(0.3, 40.0, 0.0, 1.0)), ["1", "10"]);
        assert_eq!(labels(&Axis::log(0.9, 14.0, 0.0, 1.0)), ["0.5", "1", "2", "5", "10", "20"]);
        let axis = Axis::log(1.0, 100.0, 10.0, 30.0);
        assert!((axis.at(10.0) - 20.0).abs() < 1e-9);
        assert_eq!((axis.at(1e9), axis.at(0.0)), (30.0, 10.0));
    }
}
