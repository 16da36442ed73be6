//! Softmax over the channels: `exp(x) / sum(exp(x))`.

/// For each `channels` values of `x`; the largest is subtracted first, so that nothing overflows.
pub(super) fn softmax(mut x: Vec<f32>, channels: usize) -> Vec<f32> {
    for row in x.chunks_exact_mut(channels.max(1)) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = row.iter().map(|v| f64::from(v - largest).exp()).sum();
        row.iter_mut().for_each(|v| *v = (f64::from(*v - largest).exp() / sum) as f32);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::softmax;

    #[test]
    fn large_logits_do_not_overflow() {
        let out = softmax(vec![1000.0, 1000.0, 0.0, -1e30, 0.0, 3.0f32.ln()], 2);
        assert_eq!(out[..4], [0.5, 0.5, 1.0, 0.0]);
        assert!((out[5] - 0.75).abs() < 1e-6);
    }
}
