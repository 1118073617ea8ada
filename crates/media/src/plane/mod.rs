//! The plane: the media sessions of many user agents, paced by one deadline.
//!
//! # The contract
//!
//! ```text
//! plane.handle_packet(now, socket, from, bytes)   or   plane.command(now, session, command)
//!                                                 or   plane.handle_timeout(now)
//! while let Some((socket, to, length)) = plane.poll_transmit(now, &mut buffer) { send }
//! while let Some((session, event)) = plane.poll_event() { tell whoever is above }
//! while let Some((recording, piece)) = plane.poll_recorded() { write it }
//! plane.poll_timeout()                            when to call `handle_timeout` next
//! ```
//!
//! - Sessions that are due in the same millisecond go out in one batch; their starts are spread over 20 ms.
//! - A session that is woken more than 60 ms late skips the samples it missed and counts them. Up to 60 ms late, it catches
//!   up. The lateness of each packet, sent or skipped, goes into [`Plane::lateness`].
//! - What crosses a bridge ([`Plane::bridge`]) waits for no interval: it goes out in the `poll_transmit` after the
//!   `handle_packet` that brought it.
//! - A packet, sent or received, allocates nothing; a session does so for what it keeps, when it needs it first.

mod agreement;
mod command;
mod event;
mod lateness;
mod relay;
mod stats;
mod wheel;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use callwright_wire::{Entropy, Epoch, NumberTable, SocketId, Time};

pub use self::command::{
    Announcement, Below, Command, CommandError, Dtmf, DtmfMode, Ports, Remote, SendFormat, Source, SrtpKeys,
    Start,
};
pub use self::event::Event;
pub use self::lateness::Lateness;
pub use self::stats::{Received, Refused, RemoteReport, Sent, Stats};
pub use crate::recording::{Piece, RecordingId, Track};
pub use crate::session::LastHeard;

pub(crate) use self::relay::{Cargo, Crossing, Relay};

use self::wheel::Wheel;
use crate::detect::{Strongest, strongest};
use crate::level::level;
use crate::recording::Recordings;
use crate::session::{Clear, Room, Session, Sink, Woken};

/// A media session, numbered by the plane. The generation tells it from one that had its place before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    index: u32,
    generation: u32,
}

/// What a plane needs to know about its world.
#[derive(Clone, Copy, Debug)]
pub struct PlaneConfig {
    /// When the world started: RTCP carries calendar time.
    pub epoch: Epoch,
}

/// The media sessions of many user agents.
#[derive(Debug)]
pub struct Plane {
    config: PlaneConfig,
    /// Sessions do not remember what they heard.
    keeps_nothing: bool,
    sessions: Vec<Option<Box<Session>>>,
    places: Vec<Place>,
    vacant: Vec<u32>,
    /// The session of each socket, by its index.
    sockets: NumberTable<()>,
    wheel: Wheel,
    /// Sessions that were started or roused, and are asked when they wake once all is done that is done with them now: one that is
    /// joined to another at once, or closed, has no use for its next interval.
    unplanned: Vec<SessionId>,
    /// Sessions whose interval is over, and which may have something to send.
    ready: VecDeque<SessionId>,
    events: VecDeque<(SessionId, Event)>,
    /// What closed sessions still have to say.
    goodbyes: VecDeque<Goodbye>,
    relay: Relay,
    recordings: Recordings,
    clear: Clear,
    lateness: Lateness,
    unknown_socket: u64,
}

/// What is left of a session that was closed.
#[derive(Clone, Debug, PartialEq)]
pub struct Closed {
    /// Its last figures.
    pub stats: Stats,
    /// The last three seconds that it heard.
    pub heard: LastHeard,
}

/// What is known of a session that not every packet needs: those that do find more of the rest in one line of the cache.
#[derive(Debug, Default)]
struct Place {
    generation: u32,
    /// The first deadline of a session that was started.
    phase: Option<Time>,
}

#[derive(Debug)]
struct Goodbye {
    socket: SocketId,
    to: SocketAddr,
    bytes: Box<[u8]>,
    /// What captures show of it, where it is encrypted.
    clear: Option<Box<[u8]>>,
}

impl Plane {
    /// A plane without sessions.
    pub fn new(now: Time, config: PlaneConfig) -> Self {
        Plane {
            config,
            keeps_nothing: false,
            sessions: Vec::new(),
            places: Vec::new(),
            vacant: Vec::new(),
            sockets: NumberTable::default(),
            wheel: Wheel::new(now),
            unplanned: Vec::new(),
            ready: VecDeque::new(),
            events: VecDeque::new(),
            goodbyes: VecDeque::new(),
            relay: Relay::default(),
            recordings: Recordings::default(),
            clear: Clear::new(),
            lateness: Lateness::default(),
            unknown_socket: 0,
        }
    }

    /// A plane that does not keep the last audio of its sessions, 24 kB each: [`Plane::recent_audio`] is empty, and what is made of it.
    #[must_use]
    pub fn without_recent_audio(mut self) -> Self {
        self.keeps_nothing = true;
        self
    }

    /// How many sessions are open.
    pub fn sessions(&self) -> usize {
        self.places.len() - self.vacant.len()
    }

    /// What was measured in a session; `None` when it is not open.
    pub fn stats(&self, id: SessionId) -> Option<Stats> {
        self.session(id).map(Session::stats)
    }

    /// The last audio heard, `span` of it and at most 3 s, oldest first: 8,000 samples a second. Empty when nothing was
    /// heard.
    pub fn recent_audio(&self, id: SessionId, span: Duration) -> Vec<i16> {
        self.session(id)
            .map(|session| session.ears().recent(span))
            .unwrap_or_default()
    }

    /// When the newest of the audio heard arrived: what is recent may be long ago.
    pub fn heard_at(&self, id: SessionId) -> Option<Time> {
        self.session(id)?.ears().last()
    }

    /// The strongest frequency in the last `span` heard (3 s at most), and its level; `None` when nothing was heard.
    pub fn strongest(&self, id: SessionId, span: Duration) -> Option<Strongest> {
        strongest(&self.recent_audio(id, span))
    }

    /// The level of the last `span` heard (3 s at most) in dBm0; `None` when nothing was heard.
    pub fn level(&self, id: SessionId, span: Duration) -> Option<f64> {
        let heard = self.recent_audio(id, span);
        (!heard.is_empty()).then(|| level(&heard))
    }

    /// How late packets were sent, or skipped, over all sessions, since this was reset.
    pub fn lateness(&self) -> &Lateness {
        &self.lateness
    }

    /// Hands over the lateness measured so far, and starts anew.
    pub fn take_lateness(&mut self) -> Lateness {
        std::mem::take(&mut self.lateness)
    }

    /// Datagrams for sockets that belong to no session.
    pub fn unknown_socket(&self) -> u64 {
        self.unknown_socket
    }

    /// The clear text of the packet that the last `handle_packet` took or `poll_transmit` gave, where that went encrypted
    /// and was authentic.
    pub fn clear_text(&self) -> Option<&[u8]> {
        self.clear.get()
    }

    /// Opens a session on a pair of sockets. SSRC, sequence numbers and the rest that is random come from `entropy`, the
    /// stream of the party that the session belongs to. Nothing is sent before [`Command::Start`].
    pub fn open(&mut self, ports: Ports, entropy: &mut Entropy) -> SessionId {
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            self.sessions.push(None);
            (self.places.len() - 1) as u32
        });
        let id = SessionId {
            index,
            generation: self.places[index as usize].generation,
        };
        let mut session = Box::new(Session::new(id, ports, self.config.epoch, entropy));
        if self.keeps_nothing {
            session.keep_nothing();
        }
        self.sessions[index as usize] = Some(session);
        for socket in [ports.rtcp, ports.rtp] {
            self.sockets.insert((), socket.0, index as usize);
        }
        id
    }

    /// Ends a session and gives its last figures; `None` when it is not open. Its recording comes out as events, its
    /// goodbye (RFC 3550 §6.6) by `poll_transmit`: drain both before the sockets are closed.
    pub fn close(&mut self, now: Time, id: SessionId) -> Option<Stats> {
        self.close_with_audio(now, id).map(|closed| closed.stats)
    }

    /// The same, and hands over what was heard last, which [`Plane::recent_audio`] no longer knows then.
    pub fn close_with_audio(&mut self, now: Time, id: SessionId) -> Option<Closed> {
        self.unbridge(id);
        let place = self.places.get_mut(id.index as usize)?;
        if place.generation != id.generation {
            return None;
        }
        let mut session = self.sessions[id.index as usize].take()?;
        place.generation = place.generation.wrapping_add(1);
        if let Some(phase) = place.phase.take() {
            self.wheel.leave(phase);
        }
        self.vacant.push(id.index);
        let ports = session.ports();
        for socket in [ports.rtp, ports.rtcp] {
            if self.sockets.get((), socket.0) == Some(id.index as usize) {
                self.sockets.remove((), socket.0);
            }
        }
        let mut buffer = [0; 512];
        let mut sink = Sink {
            session: id,
            events: &mut self.events,
            recordings: &mut self.recordings,
        };
        self.clear.forget();
        let goodbye = session.close(now, &mut buffer, &mut self.clear, &mut sink);
        if let Some((recording, track)) = session.take_track() {
            self.recordings.put(recording, track, None);
        }
        if let Some(goodbye) = goodbye {
            self.goodbyes.push_back(Goodbye {
                socket: goodbye.socket,
                to: goodbye.to,
                bytes: buffer[..goodbye.length].into(),
                clear: self.clear.get().map(Box::from),
            });
        }
        Some(Closed {
            stats: session.stats(),
            heard: session.into_heard(),
        })
    }

    /// Joins two sessions: what one receives the other sends, at once. Whatever they were joined to before is left alone.
    ///
    /// Only packets of agreed formats cross, from where the session listens to, while it receives. Audio goes on byte for
    /// byte where the other side sends that codec, and is transcoded where it does not; telephone-events get the payload type
    /// of the other side. SSRC is the sending session's own; sequence numbers and timestamps follow those that came in. What
    /// a joined session plays, and digits that it shall send, wait until it is joined no more; muting does not hold up what
    /// crosses, and a recording has it only from the side that received it.
    ///
    /// # Errors
    /// When one of them is not open, or both are the same.
    pub fn bridge(&mut self, one: SessionId, other: SessionId) -> Result<(), CommandError> {
        if one == other {
            return Err(CommandError::BridgeToItself);
        }
        if self.session(one).is_none() || self.session(other).is_none() {
            return Err(CommandError::NoSuchSession);
        }
        for (id, peer) in [(one, other), (other, one)] {
            if self.bridged_to(id) != Some(peer) {
                self.unbridge(id);
            }
        }
        for (id, peer) in [(one, other), (other, one)] {
            if let Some(session) = self.session_mut(id) {
                session.join(Some(peer));
            }
            self.rouse(id);
        }
        Ok(())
    }

    /// Parts a session from the one that it is joined to; nothing happens when it is not.
    pub fn unbridge(&mut self, id: SessionId) {
        let Some(peer) = self.bridged_to(id) else { return };
        for end in [id, peer] {
            if let Some(session) = self.session_mut(end) {
                session.join(None);
            }
            self.rouse(end);
        }
    }

    /// A session may have a use for its next interval.
    fn rouse(&mut self, id: SessionId) {
        if self.session_mut(id).is_some_and(Session::rouse_from_nap) {
            self.unplanned.push(id);
        }
    }

    /// The session that this one is joined to.
    pub fn bridged_to(&self, id: SessionId) -> Option<SessionId> {
        self.session(id).and_then(Session::bridge)
    }

    /// Packets that did not cross a bridge because those before them were not taken out by `poll_transmit`.
    pub fn relay_dropped(&self) -> u64 {
        self.relay.dropped()
    }

    /// Begins to record a conversation, which lasts from `now` to [`Plane::end_recording`]. Nobody is on its tracks yet.
    pub fn begin_recording(&mut self, now: Time) -> RecordingId {
        self.recordings.begin(now)
    }

    /// Puts what a session receives on a track from now on, or nobody. Whoever was on it leaves it, and so does the session
    /// the track that it was on before. A session that is closed leaves by itself; the track is silent then.
    ///
    /// Where its packets stand is told by their timestamps and by when they arrived, so that both tracks are in step within
    /// 20 ms whatever the jitter; what is lost, on hold or later than 400 ms leaves silence in its place.
    ///
    /// # Errors
    /// When the recording has ended, or the session is not open.
    pub fn record_from(
        &mut self,
        recording: RecordingId,
        track: Track,
        session: Option<SessionId>,
    ) -> Result<(), CommandError> {
        if !self.recordings.is_open(recording) {
            return Err(CommandError::NoSuchRecording);
        }
        if session.is_some_and(|id| self.session(id).is_none()) {
            return Err(CommandError::NoSuchSession);
        }
        if self.recordings.sources(recording)[track.index()] == session {
            return Ok(());
        }
        if let Some((other, other_track)) = session.and_then(|id| self.session_mut(id)?.take_track()) {
            self.recordings.put(other, other_track, None);
        }
        if let Some(before) = self.recordings.put(recording, track, session)
            && let Some(before) = self.session_mut(before)
        {
            before.take_track();
        }
        if let Some(session) = session.and_then(|id| self.session_mut(id)) {
            session.put_on((recording, track));
        }
        Ok(())
    }

    /// Ends a recording, and gives how many frames it has; `None` when it has ended. What is left of it comes out of
    /// [`Plane::poll_recorded`].
    pub fn end_recording(&mut self, now: Time, recording: RecordingId) -> Option<u64> {
        let sources = self.recordings.sources(recording);
        let frames = self.recordings.end(now, recording)?;
        for source in sources.into_iter().flatten() {
            if let Some(session) = self.session_mut(source) {
                session.take_track();
            }
        }
        Some(frames)
    }

    /// The next piece of a recording; `None` when there is none for now. Those that are not taken are bounded: see
    /// [`Piece::Missing`].
    pub fn poll_recorded(&mut self) -> Option<(RecordingId, Piece)> {
        self.recordings.poll()
    }

    /// How many recordings go on.
    pub fn recordings(&self) -> usize {
        self.recordings.len()
    }

    /// Asks something of a session.
    ///
    /// # Errors
    /// Why it cannot be carried out; the session is as it was then.
    pub fn command(&mut self, now: Time, id: SessionId, command: Command) -> Result<(), CommandError> {
        let session = session_at(&mut self.sessions, id).ok_or(CommandError::NoSuchSession)?;
        let mut first = Time::NEVER;
        if session.rouse() {
            self.unplanned.push(id);
        }
        if matches!(command, Command::Start(_)) && !session.is_started() {
            first = self.wheel.phase(now);
            self.places[id.index as usize].phase = Some(first);
            self.unplanned.push(id);
        }
        let mut sink = Sink {
            session: id,
            events: &mut self.events,
            recordings: &mut self.recordings,
        };
        session.command(now, command, first, &mut sink)
    }

    /// Takes a datagram that arrived on a media socket at `now`. That may be before the time of other calls: only what was
    /// received is measured by it.
    pub fn handle_packet(&mut self, now: Time, socket: SocketId, from: SocketAddr, packet: &[u8]) {
        self.clear.forget();
        let index = self.sockets.get((), socket.0);
        let Some(session) = index.and_then(|index| self.sessions[index].as_mut()) else {
            self.unknown_socket += 1;
            return;
        };
        let id = session.id();
        let mut sink = Sink {
            session: id,
            events: &mut self.events,
            recordings: &mut self.recordings,
        };
        let mut room = Room {
            clear: &mut self.clear,
            relay: &mut self.relay,
        };
        let is_rtcp = socket != session.ports().rtp;
        session.receive(now, from, is_rtcp, packet, &mut room, &mut sink);
        if session.rouse() {
            self.unplanned.push(id);
        }
    }

    /// Sets the next deadline of sessions that were started or roused.
    fn plan(&mut self, now: Time) {
        for id in self.unplanned.drain(..) {
            if let Some(session) = session_at(&mut self.sessions, id) {
                session.wake_up(now);
                if let Some(at) = session.wakes_next() {
                    session.wakes_in(self.wheel.set(id, at));
                }
            }
        }
    }

    /// Makes sessions ready whose time has come; before the deadline it does nothing.
    pub fn handle_timeout(&mut self, now: Time) {
        self.plan(now);
        let (ready, unplanned, sessions) = (&mut self.ready, &mut self.unplanned, &mut self.sessions);
        self.wheel.advance(now, |slot, id| {
            match session_at(sessions, id).map_or(Woken::No, |session| session.woken(slot, now)) {
                Woken::No => {}
                Woken::InTime => ready.push_back(id),
                Woken::Early => unplanned.push(id),
            }
        });
        self.plan(now);
        self.recordings.advance(now);
    }

    /// The next datagram to send, written into `buffer` (at least 1,500 bytes): socket, destination, length. `None` when
    /// there is none for now.
    pub fn poll_transmit(&mut self, now: Time, buffer: &mut [u8]) -> Option<(SocketId, SocketAddr, usize)> {
        self.clear.forget();
        if let Some(goodbye) = self.goodbyes.pop_front() {
            let length = goodbye.bytes.len();
            buffer.get_mut(..length)?.copy_from_slice(&goodbye.bytes);
            if let Some(clear) = &goodbye.clear {
                self.clear.keep(clear);
            }
            return Some((goodbye.socket, goodbye.to, length));
        }
        while let Some(crossing) = self.relay.pop() {
            let sent = self.send_on(&crossing, buffer);
            self.relay.give_back(crossing.payload);
            if sent.is_some() {
                return sent;
            }
        }
        self.plan(now);
        while let Some(&id) = self.ready.front() {
            if let Some(session) = session_at(&mut self.sessions, id) {
                let mut sink = Sink {
                    session: id,
                    events: &mut self.events,
                    recordings: &mut self.recordings,
                };
                if let Some(transmit) =
                    session.transmit(now, buffer, &mut self.clear, &mut self.lateness, &mut sink)
                {
                    return Some((transmit.socket, transmit.to, transmit.length));
                }
                if let Some(at) = session.wakes_next() {
                    session.wakes_in(self.wheel.set(id, at));
                }
            }
            self.ready.pop_front();
        }
        None
    }

    /// The next event; `None` when there is none for now.
    pub fn poll_event(&mut self) -> Option<(SessionId, Event)> {
        self.events.pop_front()
    }

    /// When to call [`Plane::handle_timeout`] next, and the name of the timer.
    pub fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        // Whoever drives the plane may do something else before it takes everything out.
        let waits = !self.unplanned.is_empty() || !self.ready.is_empty();
        if waits || !self.goodbyes.is_empty() || !self.relay.is_empty() {
            return Some((Time::ZERO, "packets that wait to be sent"));
        }
        let packets = self.wheel.next().map(|time| (time, "RTP packet interval"));
        let recorded = self.recordings.next().map(|time| (time, "recorded audio"));
        [packets, recorded].into_iter().flatten().min()
    }

    /// Writes a packet that crossed a bridge.
    fn send_on(&mut self, crossing: &Crossing, buffer: &mut [u8]) -> Option<(SocketId, SocketAddr, usize)> {
        let session = session_at(&mut self.sessions, crossing.to)?;
        let transmit = session.send_on(crossing, buffer, &mut self.clear)?;
        Some((transmit.socket, transmit.to, transmit.length))
    }

    fn session_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        session_at(&mut self.sessions, id)
    }

    fn session(&self, id: SessionId) -> Option<&Session> {
        let session = self.sessions.get(id.index as usize)?.as_deref()?;
        (session.id() == id).then_some(session)
    }
}

/// The session of a number: one that was closed meanwhile leaves its place to another generation.
fn session_at(sessions: &mut [Option<Box<Session>>], id: SessionId) -> Option<&mut Session> {
    let session = sessions.get_mut(id.index as usize)?.as_deref_mut()?;
    (session.id() == id).then_some(session)
}
