//! The papers' own claim, measured: a depthwise-separable layer against the standard convolution of the same shape, and
//! time against the two multipliers (arXiv 1704.04861, equations 2 to 7).

use super::sweep::{Here, Rung, SweepBench};
use crate::graph::passes;
use crate::kernel::{Case, OpKind, Variant};
use crate::model::{MobileNetConfig, Separable};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// A separable layer of MobileNet V1 and what stands for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeparableLayer {
    /// The block, such as `block3`.
    pub name: String,
    /// The standard 3x3 convolution of the same shape.
    pub standard: Case,
    /// The depthwise part.
    pub depthwise: Case,
    /// The pointwise part.
    pub pointwise: Case,
    /// Both in one dispatch.
    pub fused: Case,
}

impl SeparableLayer {
    /// Its cost by the paper's equations 2 and 5.
    pub fn cost(&self) -> Separable {
        let taps = u64::from(self.depthwise.kernel[0] * self.depthwise.kernel[1]);
        let (inputs, outputs) = (self.standard.input.channels, self.standard.output.channels);
        Separable::new(taps, inputs.into(), outputs.into(), self.standard.output.pixels())
    }
}

/// The separable layers of MobileNet V1 at a width and resolution, in order.
///
/// # Errors
/// [`Error::Option`] for a width or resolution that gives no network.
pub fn separable_layers(width: f32, resolution: u32, batch: u32) -> Result<Vec<SeparableLayer>> {
    if !(0.01..=8.0).contains(&width) || !(8..=4096).contains(&resolution) {
        let message = format!("a width of 0.01 to 8 and a resolution of 8 to 4096 were expected, not {width} and {resolution}");
        return Err(Error::Option { option: "separable", message });
    }
    let graph = passes::run(&MobileNetConfig::v1(width).with_input([resolution; 2]).graph()?, &[] as &[&str]);
    let mut layers = Vec::new();
    for pair in graph.nodes().windows(2) {
        let [before, after] = pair else { continue };
        let (Some(depthwise), Some(pointwise)) = (Case::of(&graph, before, batch), Case::of(&graph, after, batch)) else { continue };
        if (depthwise.op, pointwise.op) != (OpKind::Depthwise, OpKind::Pointwise) {
            continue;
        }
        let whole = Case { output: pointwise.output, activation: pointwise.activation, ..depthwise };
        layers.push(SeparableLayer {
            name: before.name.split('.').next().unwrap_or(&before.name).to_string(),
            standard: Case { op: OpKind::Convolution, ..whole },
            fused: Case { op: OpKind::Separable, hidden: depthwise.input.channels, hidden_activation: depthwise.activation, ..whole },
            depthwise,
            pointwise,
        });
    }
    Ok(layers)
}

/// The fastest right kernel of a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fastest {
    /// Its name.
    pub variant: String,
    /// Nanoseconds.
    pub ns: f64,
}

/// A separable layer as it was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeparableTimes {
    /// The layer.
    pub layer: SeparableLayer,
    /// MACs of the separable layer in parts of the standard one's: `1/N + 1/Dk^2`.
    pub mac_ratio: f64,
    /// MACs of the standard convolution.
    pub standard_macs: u64,
    /// The standard convolution.
    pub standard: Option<Fastest>,
    /// The depthwise part.
    pub depthwise: Option<Fastest>,
    /// The pointwise part.
    pub pointwise: Option<Fastest>,
    /// Both in one dispatch.
    pub fused: Option<Fastest>,
}

impl SeparableTimes {
    /// Of a layer, with nothing measured yet.
    pub fn new(layer: SeparableLayer) -> Self {
        let cost = layer.cost();
        let (standard, depthwise, pointwise, fused) = Default::default();
        Self { mac_ratio: cost.ratio, standard_macs: cost.standard_macs, layer, standard, depthwise, pointwise, fused }
    }
    /// Nanoseconds of both parts, each in its own dispatch.
    pub fn separate_ns(&self) -> Option<f64> {
        Some(self.depthwise.as_ref()?.ns + self.pointwise.as_ref()?.ns)
    }
    /// Nanoseconds of the faster way, separate or fused.
    pub fn pair_ns(&self) -> Option<f64> {
        let fused = self.fused.as_ref().map(|f| f.ns);
        match (self.separate_ns(), fused) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
    /// Time of the separable layer in parts of the standard convolution's.
    pub fn time_ratio(&self) -> Option<f64> {
        Some(self.pair_ns()? / self.standard.as_ref()?.ns)
    }
}

/// Sums over the layers for which both were measured: MAC ratio, time ratio, nanoseconds of the separable and of the
/// standard ones.
pub fn separable_totals(layers: &[SeparableTimes]) -> Option<[f64; 4]> {
    let both = || layers.iter().filter_map(|l| Some((l, l.pair_ns()?, l.standard.as_ref()?.ns)));
    let (pair, standard) = both().fold((0.0, 0.0), |(a, b), (_, pair, standard)| (a + pair, b + standard));
    let (macs, all) = both().fold((0.0, 0.0), |(a, b), (l, ..)| (a + l.mac_ratio * l.standard_macs as f64, b + l.standard_macs as f64));
    (standard > 0.0).then(|| [macs / all, pair / standard, pair, standard])
}

/// All separable layers of a network at one width and resolution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MultiplierPoint {
    /// Width multiplier.
    pub width: f32,
    /// Side of the input.
    pub resolution: u32,
    /// MACs by equation 7, without rounding of channels and sizes, in parts of those at width 1 and 224.
    pub equation: f64,
    /// MACs of the network as it is, in the same parts.
    pub macs: f64,
    /// Nanoseconds, the fastest kernels of all layers added up.
    pub ns: f64,
}

/// Measures separable layers: each distinct case once, the fastest right kernel of ours counts.
#[derive(Debug)]
pub struct SeparableBench<'a> {
    bench: Here<'a>,
    rounds: u32,
    budget: Duration,
    start: Instant,
    known: Vec<(Case, Option<Fastest>)>,
    /// Cases for which no time was left.
    pub left_out: usize,
}

impl<'a> SeparableBench<'a> {
    /// With so many samples of each kernel; after `budget`, from now on, no further case is begun.
    pub fn new(bench: Here<'a>, rounds: u32, budget: Duration) -> Self {
        Self { bench, rounds, budget, start: Instant::now(), known: Vec::new(), left_out: 0 }
    }

    /// The separable layers of MobileNet V1 against standard convolutions of the same shapes.
    ///
    /// # Errors
    /// As [`separable_layers`]; of the device, as it reports them.
    pub fn layers(&mut self, width: f32, resolution: u32, batch: u32) -> Result<Vec<SeparableTimes>> {
        let mut measured = Vec::new();
        for layer in separable_layers(width, resolution, batch)? {
            let mut times = self.parts(layer)?;
            times.fused = self.fastest(&times.layer.fused)?;
            times.standard = self.fastest(&times.layer.standard)?;
            measured.push(times);
        }
        Ok(measured)
    }

    /// The separable layers of MobileNet V1, added up: at each of the widths with the largest resolution, and at each of the
    /// resolutions with the largest width. A network of which a layer could not be measured is left out.
    ///
    /// # Errors
    /// As [`SeparableBench::layers`].
    pub fn multipliers(&mut self, widths: &[f32], resolutions: &[u32], batch: u32) -> Result<Vec<MultiplierPoint>> {
        let widest = widths.iter().copied().fold(0.0, f32::max);
        let largest = resolutions.iter().copied().max().unwrap_or_default();
        let smaller = resolutions.iter().filter(|r| **r != largest);
        let mut points = Vec::new();
        for (width, resolution) in widths.iter().map(|w| (*w, largest)).chain(smaller.map(|r| (widest, *r))) {
            let [equation, macs] = multiplied(width, resolution)?;
            let mut ns = Some(0.0);
            for layer in separable_layers(width, resolution, batch)? {
                ns = ns.zip(self.parts(layer)?.separate_ns()).map(|(sum, layer)| sum + layer);
            }
            points.extend(ns.map(|ns| MultiplierPoint { width, resolution, equation, macs, ns }));
        }
        Ok(points)
    }

    /// A layer whose two parts are measured.
    fn parts(&mut self, layer: SeparableLayer) -> Result<SeparableTimes> {
        let mut times = SeparableTimes::new(layer);
        times.depthwise = self.fastest(&times.layer.depthwise)?;
        times.pointwise = self.fastest(&times.layer.pointwise)?;
        Ok(times)
    }

    /// The fastest right kernel of a case, if one applies and is right, and time was left.
    fn fastest(&mut self, case: &Case) -> Result<Option<Fastest>> {
        if let Some((_, known)) = self.known.iter().find(|(c, _)| c == case) {
            return Ok(known.clone());
        }
        let budget = self.budget.saturating_sub(self.start.elapsed());
        if budget.is_zero() {
            self.left_out += 1;
            return Ok(None);
        }
        let (engine, precision) = (self.bench.engine, self.bench.precision);
        let applies = |v: &&Variant| v.op == case.op && v.check(case, precision, engine.profile()).is_ok();
        let candidates: Vec<&Variant> = engine.variants().iter().filter(applies).collect();
        let mut found = None;
        if !candidates.is_empty() {
            let entry = self.bench.measure(&Rung { case: *case, candidates, rounds: self.rounds, budget })?;
            found = entry.result.best().and_then(|c| Some(Fastest { variant: c.label(), ns: c.ns()? }));
        }
        self.known.push((*case, found.clone()));
        Ok(found)
    }
}

/// MACs of all separable layers at a width and a resolution in parts of those at width 1 and 224: by equation 7, and of the
/// network as it is with its rounding.
///
/// # Errors
/// As [`separable_layers`].
pub fn multiplied(width: f32, resolution: u32) -> Result<[f64; 2]> {
    let sum = |layers: &[SeparableLayer]| layers.iter().map(|l| l.cost().macs as f64).sum::<f64>();
    let own = separable_layers(width, resolution, 1)?;
    Ok([equation(f64::from(width), f64::from(resolution)), sum(&own) / sum(&separable_layers(1.0, 224, 1)?)])
}

/// Equation 7 over all separable layers of V1, in parts of what it gives at width 1 and 224.
pub(super) fn equation(width: f64, resolution: f64) -> f64 {
    let whole = separable_layers(1.0, 224, 1).unwrap_or_default();
    let sum = |a: f64, r: f64| whole.iter().map(|l| l.cost().scaled_macs(a, r)).sum::<f64>();
    sum(width, resolution / 224.0) / sum(1.0, 1.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn v1_has_thirteen_separable_layers() {
        let layers = separable_layers(1.0, 224, 1).unwrap();
        assert_eq!(layers.len(), 13);
        let standard: u64 = layers.iter().map(|l| l.standard.macs()).sum();
        let pair: u64 = layers.iter().map(|l| l.depthwise.macs() + l.pointwise.macs()).sum();
        // Table 4 of the paper: 4866 million with standard convolutions, stem and classifier among them.
        assert!((4_840_000_000..4_866_000_000).contains(&standard), "{standard}");
        assert_eq!(pair, layers.iter().map(|l| l.fused.macs()).sum::<u64>());
        assert_eq!(layers[0].cost().standard_macs, layers[0].standard.macs());
        assert!((layers[12].cost().ratio - (1.0 / 1024.0 + 1.0 / 9.0)).abs() < 1e-12);
        assert!(separable_layers(0.0, 224, 1).is_err());
    }

    #[test]
    fn the_multipliers_follow_the_equation() {
        let [equation, own] = multiplied(0.5, 128).unwrap();
        assert!((equation - own).abs() < 0.02 * equation, "{equation} {own}");
        assert!((multiplied(1.0, 224).unwrap()[1] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn ratios_are_of_the_faster_way() {
        let layer = separable_layers(0.25, 32, 1).unwrap().swap_remove(0);
        let fastest = |ns| Some(Fastest { variant: "x".into(), ns });
        let mut times = SeparableTimes::new(layer);
        assert_eq!((times.pair_ns(), times.time_ratio()), (None, None));
        (times.standard, times.depthwise, times.pointwise) = (fastest(100.0), fastest(10.0), fastest(20.0));
        assert_eq!(times.time_ratio(), Some(0.3));
        times.fused = fastest(25.0);
        assert_eq!(separable_totals(&[times]).map(|t| t[1]), Some(0.25));
    }
}
