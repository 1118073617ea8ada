//! What is in audio that others decoded.

/// The power at one frequency of 8,000 samples a second, in blocks of 20 ms, for a stream may skip.
pub fn power_at(samples: &[f64], hz: f64) -> f64 {
    let step = std::f64::consts::TAU * hz / 8_000.0;
    let block = |block: &[f64]| {
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (at, sample) in block.iter().enumerate() {
            real += sample * (step * at as f64).cos();
            imaginary += sample * (step * at as f64).sin();
        }
        real * real + imaginary * imaginary
    };
    samples.chunks_exact(160).map(block).sum()
}
