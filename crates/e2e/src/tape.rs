//! A recording of the call center, and who is heard in it.

use std::path::Path;

use callwright_media::detect::ToneDetector;

use crate::plan::{AGENT_HZ, CUSTOMER_HZ};

/// Samples a second.
const RATE: f64 = 8_000.0;
/// 16 bits, two channels.
const FRAME: usize = 4;

/// A recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tape {
    pub(crate) length_ms: f64,
    /// The customer's tone is in the left channel.
    pub(crate) customer_left: bool,
    /// The agent's tone is in the right channel.
    pub(crate) agent_right: bool,
}

impl Tape {
    /// Reads a WAV file of two channels, 16 bits and 8,000 Hz, as the call center writes it.
    pub(crate) fn read(path: &Path) -> Result<Tape, String> {
        let shown = path.display();
        let bytes = std::fs::read(path).map_err(|error| format!("{shown}: {error}"))?;
        let data = data(&bytes).ok_or_else(|| format!("{shown} is no WAV file"))?;
        let channel = |offset: usize| -> Vec<i16> {
            let sample = |frame: &[u8]| i16::from_le_bytes([frame[offset], frame[offset + 1]]);
            data.chunks_exact(FRAME).map(sample).collect()
        };
        let has = |samples: &[i16], hz: f64| {
            ToneDetector::new(hz).is_ok_and(|mut detector| detector.push(samples).is_some())
        };
        Ok(Tape {
            length_ms: (data.len() / FRAME) as f64 / RATE * 1_000.0,
            customer_left: has(&channel(0), CUSTOMER_HZ),
            agent_right: has(&channel(2), AGENT_HZ),
        })
    }
}

/// The samples of a RIFF file: its chunk `data`.
fn data(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WAVE")?;
    loop {
        let (name, after) = rest.split_at_checked(4)?;
        let (length, after) = after.split_at_checked(4)?;
        let length = usize::try_from(u32::from_le_bytes(length.try_into().ok()?)).ok()?;
        if name == b"data" {
            return Some(&after[..length.min(after.len())]);
        }
        // Chunks begin at even places.
        rest = after.get(length + length % 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use callwright_media::tone::Tones;
    use callwright_media::wav::Recorder;

    use super::*;

    fn tone(hz: f64) -> Vec<i16> {
        let mut samples = vec![0; 8_000];
        Tones::single(hz, -10.0).expect("a tone").fill(&mut samples);
        samples
    }

    #[test]
    fn each_side_is_heard_in_its_channel_and_nowhere_else() {
        let path = std::env::temp_dir().join(format!("callwright-tape-{}.wav", std::process::id()));
        for (left, right, heard) in [(CUSTOMER_HZ, AGENT_HZ, true), (AGENT_HZ, CUSTOMER_HZ, false)] {
            let mut wav = Recorder::new(File::create(&path).expect("a file")).expect("a header");
            wav.push(&tone(left), &tone(right)).expect("samples");
            wav.finish().expect("an end");
            let tape = Tape::read(&path).expect("a recording");
            assert_eq!(tape.length_ms, 1_000.0);
            assert_eq!((tape.customer_left, tape.agent_right), (heard, heard));
        }
        std::fs::remove_file(path).expect("it can go");
    }
}
