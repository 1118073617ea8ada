//! Announcements over what a session plays: the music waits or goes on quietly, and comes back when they are over.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::plane::{Announcement, Below};

/// How long the music takes to go down or to come back: 100 ms.
const FADE: f32 = 800.0;

/// What is being announced, and how loud the music is meanwhile.
#[derive(Debug)]
pub(crate) struct Announcer {
    clips: VecDeque<Arc<[i16]>>,
    /// Samples of the first clip that are out.
    position: usize,
    below: Below,
    /// The level of the music as a factor, now.
    level: f32,
}

impl Default for Announcer {
    fn default() -> Self {
        Announcer {
            clips: VecDeque::new(),
            position: 0,
            below: Below::Waits,
            level: 1.0,
        }
    }
}

impl Announcer {
    /// Announces this instead of what is left of the announcement before.
    pub(crate) fn announce(&mut self, announcement: Announcement) {
        self.clips = announcement
            .clips
            .into_iter()
            .filter(|clip| !clip.is_empty())
            .collect();
        self.position = 0;
        self.below = announcement.below;
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.clips.is_empty() && self.level >= 1.0
    }

    /// Whether what plays stands still: it has gone down, and waits.
    pub(crate) fn holds_music(&self) -> bool {
        self.below == Below::Waits && !self.clips.is_empty() && self.level <= 0.0
    }

    /// Puts the announcement over the music in `frame`; true when it came to its end with it.
    pub(crate) fn mix(&mut self, frame: &mut [i16]) -> bool {
        let speaking = !self.clips.is_empty();
        for sample in frame {
            let wanted = if self.clips.is_empty() {
                1.0
            } else {
                self.below.factor()
            };
            self.level += (wanted - self.level).clamp(-1.0 / FADE, 1.0 / FADE);
            let music = (f32::from(*sample) * self.level) as i16;
            *sample = music.saturating_add(self.next().unwrap_or(0));
        }
        speaking && self.clips.is_empty()
    }

    /// Goes on by `count` samples that nobody hears; true when it came to its end with them.
    pub(crate) fn skip(&mut self, mut count: usize) -> bool {
        let speaking = !self.clips.is_empty();
        while let Some(clip) = self.clips.front() {
            let left = clip.len() - self.position;
            if count < left {
                self.position += count;
                break;
            }
            count -= left;
            self.position = 0;
            self.clips.pop_front();
        }
        speaking && self.clips.is_empty()
    }

    fn next(&mut self) -> Option<i16> {
        let clip = self.clips.front()?;
        let sample = clip[self.position];
        self.position += 1;
        if self.position == clip.len() {
            self.position = 0;
            self.clips.pop_front();
        }
        Some(sample)
    }
}

impl Below {
    fn factor(self) -> f32 {
        match self {
            Below::Waits => 0.0,
            Below::Quieter { db } => 10f32.powf(-db.max(0.0) / 20.0),
        }
    }
}
