//! A voice, for what must not be taken for tones or digits.

use callwright_media::tone::Noise;

const SECOND: usize = 8000;

/// A voice: pulses at a pitch that wanders as in speech, through two resonances that move from vowel to vowel.
pub(crate) fn voice(seed: u64, pitch_hz: f64, seconds: usize) -> Vec<i16> {
    let vowels = [
        [300.0, 870.0],
        [500.0, 1800.0],
        [730.0, 1090.0],
        [270.0, 2290.0],
        [440.0, 1020.0],
    ];
    let mut random = vec![0; seconds * SECOND / 1600 + 1];
    Noise::new(seed, 0.0).fill(&mut random);
    let random = |index: usize| f64::from(random[index]) / 16_000.0;
    let mut states = [[0.0f64; 2]; 2];
    let (mut phase, mut pitch, mut slope) = (0.0, pitch_hz, 0.0);
    let mut formants = vowels[0];
    let mut out = Vec::new();
    for n in 0..seconds * SECOND {
        if n % 1600 == 0 {
            // Each 200 ms another vowel and another slope, in Hz per second, of 30 at least.
            let step = random(n / 1600);
            slope = (30.0 + 60.0 * step.abs()) * if pitch > pitch_hz { -1.0 } else { 1.0 };
        }
        let target = vowels[(n / 1600 + seed as usize) % vowels.len()];
        for (formant, target) in formants.iter_mut().zip(target) {
            *formant += (target - *formant) / 400.0;
        }
        pitch += slope / 8000.0;
        phase += pitch / 8000.0;
        let mut sample = if phase >= 1.0 { 8000.0 } else { 0.0 };
        phase -= phase.floor();
        for ([one, two], hz) in states.iter_mut().zip(formants) {
            let radius = 0.975;
            let feedback = 2.0 * radius * (std::f64::consts::TAU * hz / 8000.0).cos();
            let output = 0.1 * sample + feedback * *one - radius * radius * *two;
            (*two, *one) = (*one, output);
            sample = output;
        }
        // Syllables: four a second.
        let loudness = 0.55 - 0.45 * (std::f64::consts::TAU * n as f64 / 2000.0).cos();
        out.push((sample * 20.0 * loudness).clamp(-32_000.0, 32_000.0) as i16);
    }
    out
}
