//! Global average pool: the mean of each channel over a picture's pixels.

use super::rows;

/// `x` is `[N, P, C]`, `out` `[N, C]`; sums are f64, so that large pictures lose nothing.
pub(super) fn pool(x: &[f32], pixels: usize, channels: usize, out: &mut [f32]) {
    rows::for_each(out, channels, |n, means| {
        let mut sums = vec![0.0f64; channels];
        for pixel in x[n * pixels * channels..][..pixels * channels].chunks_exact(channels) {
            sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        means.iter_mut().zip(&sums).for_each(|(mean, sum)| *mean = (sum / pixels as f64) as f32);
    });
}
