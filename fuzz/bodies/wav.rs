//! What is done with arbitrary bytes that are taken for a WAV file.

use std::io::{self, Read};

use callwright_media::resample::MIN_RATE;
use callwright_media::wav;

/// A file: it is read the same however it comes in pieces, and takes no more memory than its bytes make audio.
pub(crate) fn wav(data: &[u8]) {
    let whole = wav::read(data);
    let dribbled = wav::read(Dribble(data));
    match (whole, dribbled) {
        (Ok(whole), Ok(dribbled)) => {
            assert!(!whole.is_empty());
            assert_eq!(whole, dribbled);
            // A frame takes a byte at least, and the lowest rate makes eight samples of it.
            let most = data.len() * (8_000 / MIN_RATE as usize);
            assert!(
                whole.len() <= most,
                "{} samples of {} bytes",
                whole.len(),
                data.len()
            );
        }
        (Err(whole), Err(dribbled)) => assert_eq!(whole.to_string(), dribbled.to_string()),
        (whole, dribbled) => panic!("{whole:?} whole, {dribbled:?} in pieces"),
    }
}

/// A reader that gives few bytes at a time.
struct Dribble<'a>(&'a [u8]);

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(1 + self.0.len() % 3);
        self.0.read(&mut buffer[..count])
    }
}
