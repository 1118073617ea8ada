//! Who may ask how often: sources that flood, guess passwords or try addresses are slowed, and then not heard for a while.
//!
//! A source is an IPv4 address, or the first half of an IPv6 one. Requests inside of calls pass always: who shares an address
//! with somebody who is banned keeps the call that is up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use callwright_sip_message::Message;
use callwright_wire::Time;

use crate::fact::{Ban, BannedBecause, Event};

/// What one source may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// INVITEs. Default 100 a second, 1,000 at once; `None`: any number.
    pub invites: Option<Rate>,
    /// Other requests outside of calls, REGISTER before all. Default 100 a second, 1,000 at once; `None`: any number.
    pub others: Option<Rate>,
    /// Calls at once that a source placed. Default 500; an INVITE beyond is answered 503.
    pub calls: usize,
    /// Guesses (wrong passwords, and addresses that nobody has or where nobody is) within [`Protection::window`] after which answers
    /// to further ones are held back. Default 5.
    pub slow_after: u32,
    /// Challenges in a row without one right password from the source, after which each further one counts as a guess: who only asks
    /// looks for names. Default 200, which as many phones behind one address ask for when they all start at once; 0: never.
    pub unanswered: u32,
    /// For how long they are. Default 2 s.
    pub slow: Duration,
    /// Guesses within the window after which the source is not heard. Default 20; 0: never.
    pub ban_after: u32,
    /// For how long it is not. Default 5 minutes.
    pub ban: Duration,
    /// After how long without a guess those before are forgotten. Default 10 minutes.
    pub window: Duration,
}

/// A rate of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many a second; 0 counts as 1.
    pub per_second: u32,
    /// How many at once.
    pub burst: u32,
}

impl Default for Protection {
    fn default() -> Self {
        let rate = Rate {
            per_second: 100,
            burst: 1_000,
        };
        Protection {
            invites: Some(rate),
            others: Some(rate),
            calls: 500,
            slow_after: 5,
            unanswered: 200,
            slow: Duration::from_secs(2),
            ban_after: 20,
            ban: Duration::from_secs(300),
            window: Duration::from_secs(600),
        }
    }
}

impl Protection {
    /// Nobody is slowed or banned: for closed tests, and behind a proxy that sees to it.
    pub fn off() -> Protection {
        Protection {
            invites: None,
            others: None,
            calls: usize::MAX,
            slow_after: u32::MAX,
            unanswered: 0,
            ban_after: 0,
            ..Protection::default()
        }
    }
}

/// A source that is known for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceSnapshot {
    /// Its address; of an IPv6 address the first half.
    pub address: IpAddr,
    /// Calls of it that are up.
    pub calls: usize,
    /// Wrong passwords and unknown addresses, within the window.
    pub guesses: u32,
    /// Requests that were not heard or refused, because there were too many of them.
    pub limited: u64,
    /// Until when it is not heard.
    pub banned_until: Option<Time>,
}

/// What a source asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Invite,
    Other,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Heard,
    TooMany,
    Banned,
}

/// What becomes of the answer to a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    AtOnce,
    Late(Duration),
}

#[derive(Clone, Copy, Debug, Default)]
struct Source {
    /// When the next INVITE would come if they came evenly (generic cell rate algorithm).
    invites: Time,
    others: Time,
    calls: usize,
    /// Challenges since the last right password.
    challenged: u32,
    guesses: u32,
    guessed: Time,
    limited: u64,
    banned_until: Option<Time>,
    seen: Time,
}

/// All sources that asked for something lately.
#[derive(Debug)]
pub(crate) struct Guard {
    protection: Protection,
    limit: usize,
    sources: BTreeMap<IpAddr, Source>,
    /// The same, those first that were heard of for the longest time.
    by_age: BTreeSet<(Time, IpAddr)>,
    /// Those that are banned, by the end of that.
    bans: BTreeSet<(Time, IpAddr)>,
    bans_changed: bool,
    /// Bans that began and ended, and were not told of.
    news: VecDeque<Event>,
}

impl Guard {
    pub(crate) fn new(protection: Protection, limit: usize) -> Guard {
        Guard {
            protection,
            limit: limit.max(1),
            sources: BTreeMap::new(),
            by_age: BTreeSet::new(),
            bans: BTreeSet::new(),
            bans_changed: false,
            news: VecDeque::new(),
        }
    }

    /// Counts a request outside of calls.
    pub(crate) fn hear(&mut self, now: Time, from: IpAddr, kind: Kind) -> Verdict {
        let protection = self.protection;
        let source = self.source(now, from);
        if source.banned_until.is_some_and(|until| until > now) {
            source.limited += 1;
            return Verdict::Banned;
        }
        let (rate, next) = match kind {
            Kind::Invite => (protection.invites, &mut source.invites),
            Kind::Other => (protection.others, &mut source.others),
        };
        let Some(rate) = rate else { return Verdict::Heard };
        let interval = Duration::from_nanos(1_000_000_000 / u64::from(rate.per_second.max(1)));
        let then = (*next).max(now) + interval;
        if then.since(now) > interval * rate.burst.max(1) {
            source.limited += 1;
            return Verdict::TooMany;
        }
        *next = then;
        Verdict::Heard
    }

    /// A source gave a wrong password, or asked for an address that nobody has.
    pub(crate) fn guess(&mut self, now: Time, from: IpAddr) -> Answer {
        self.suspect(now, from, BannedBecause::Guessed)
    }

    fn suspect(&mut self, now: Time, from: IpAddr, because: BannedBecause) -> Answer {
        let protection = self.protection;
        let source = self.source(now, from);
        if now.since(source.guessed) > protection.window {
            source.guesses = 0;
        }
        source.guessed = now;
        source.guesses = source.guesses.saturating_add(1);
        let bans = protection.ban_after > 0 && source.guesses >= protection.ban_after;
        if bans {
            source.guesses = 0;
        }
        let banned = bans || source.banned_until.is_some_and(|until| until > now);
        let slow = banned || source.guesses > protection.slow_after;
        if bans {
            self.ban(now + protection.ban, network(from), because);
        }
        if slow {
            Answer::Late(protection.slow)
        } else {
            Answer::AtOnce
        }
    }

    fn ban(&mut self, until: Time, source: IpAddr, because: BannedBecause) {
        let known = self.sources.get_mut(&source);
        let before = known.and_then(|known| known.banned_until.replace(until));
        let longer = before.is_some_and(|before| self.bans.remove(&(before, source)));
        self.bans.insert((until, source));
        self.bans_changed = true;
        if !longer {
            let ban = Ban {
                source,
                because,
                until,
            };
            self.news.push_back(Event::Banned(ban));
        }
    }

    fn end_ban(&mut self, until: Time, source: IpAddr) {
        if self.bans.remove(&(until, source)) {
            self.bans_changed = true;
            self.news.push_back(Event::BanOver { source });
        }
    }

    /// Ends the bans whose time is over.
    pub(crate) fn end_bans(&mut self, now: Time) {
        while let Some((until, source)) = self.bans.first().copied().filter(|(until, _)| *until <= now) {
            self.end_ban(until, source);
            if let Some(known) = self.sources.get_mut(&source) {
                known.banned_until = None;
            }
        }
    }

    /// When the next ban is over.
    pub(crate) fn next_end(&self) -> Option<Time> {
        self.bans.first().map(|(until, _)| *until)
    }

    /// Whether another end may be the next one than when this was asked before.
    pub(crate) fn bans_changed(&mut self) -> bool {
        std::mem::take(&mut self.bans_changed)
    }

    /// The next ban that began or ended.
    pub(crate) fn poll_news(&mut self) -> Option<Event> {
        self.news.pop_front()
    }

    /// A source is asked for a password.
    pub(crate) fn challenge(&mut self, now: Time, from: IpAddr) -> Answer {
        let limit = self.protection.unanswered;
        let source = self.source(now, from);
        source.challenged = source.challenged.saturating_add(1);
        if limit > 0 && source.challenged > limit {
            return self.suspect(now, from, BannedBecause::NoPassword);
        }
        Answer::AtOnce
    }

    /// A source gave a right password.
    pub(crate) fn prove(&mut self, from: IpAddr) {
        if let Some(source) = self.sources.get_mut(&network(from)) {
            source.challenged = 0;
        }
    }

    /// A source places a call; false when it has too many.
    pub(crate) fn place(&mut self, now: Time, from: IpAddr) -> bool {
        let limit = self.protection.calls;
        let source = self.source(now, from);
        if source.calls >= limit {
            source.limited += 1;
            return false;
        }
        source.calls += 1;
        true
    }

    /// A call of a source is over.
    pub(crate) fn clear(&mut self, from: IpAddr) {
        if let Some(source) = self.sources.get_mut(&network(from)) {
            source.calls = source.calls.saturating_sub(1);
        }
    }

    /// A source is heard again. False when it was not banned.
    pub(crate) fn pardon(&mut self, now: Time, from: IpAddr) -> bool {
        let address = network(from);
        let Some(source) = self.sources.get_mut(&address) else {
            return false;
        };
        let Some(until) = source.banned_until.filter(|until| *until > now) else {
            return false;
        };
        source.banned_until = None;
        source.guesses = 0;
        self.end_ban(until, address);
        true
    }

    /// Those that are known for something.
    pub(crate) fn snapshots(&self, now: Time) -> Vec<SourceSnapshot> {
        let window = self.protection.window;
        let snapshot = |(address, source): (&IpAddr, &Source)| SourceSnapshot {
            address: *address,
            calls: source.calls,
            guesses: if now.since(source.guessed) > window {
                0
            } else {
                source.guesses
            },
            limited: source.limited,
            banned_until: source.banned_until.filter(|until| *until > now),
        };
        self.sources.iter().map(snapshot).collect()
    }

    /// What is known of a source. Where there is no room for a new one, that goes which was not heard of for the longest time, and
    /// has no call and no ban where one like that is near.
    fn source(&mut self, now: Time, from: IpAddr) -> &mut Source {
        /// How many of the oldest are looked at.
        const LOOK: usize = 16;
        let address = network(from);
        if let Some(known) = self.sources.get(&address) {
            self.by_age.remove(&(known.seen, address));
        } else if self.sources.len() >= self.limit {
            let idle = |(_, address): &&(Time, IpAddr)| {
                let source = self.sources.get(address);
                source.is_none_or(|source| {
                    source.calls == 0 && source.banned_until.is_none_or(|until| until <= now)
                })
            };
            let oldest = self.by_age.iter().take(LOOK).find(idle).or(self.by_age.first());
            if let Some(oldest) = oldest.copied() {
                self.by_age.remove(&oldest);
                let forgotten = self.sources.remove(&oldest.1);
                if let Some(until) = forgotten.and_then(|source| source.banned_until) {
                    self.end_ban(until, oldest.1);
                }
            }
        }
        self.by_age.insert((now, address));
        let source = self.sources.entry(address).or_default();
        source.seen = now;
        source
    }
}

/// What counts as one source.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// Whether the bytes of a datagram begin a request outside of calls, and which; `None` for all others. Only looked at: whatever it is, it
/// is read later.
pub(crate) fn outside_request(bytes: &[u8]) -> Option<Kind> {
    let bytes = &bytes[Message::start_of(bytes)?..];
    let method = bytes.split(|byte| *byte == b' ').next()?;
    let kind = match method {
        b"INVITE" => Kind::Invite,
        b"REGISTER" | b"OPTIONS" | b"MESSAGE" | b"SUBSCRIBE" | b"PUBLISH" | b"REFER" | b"NOTIFY" => {
            Kind::Other
        }
        _ => return None,
    };
    (!has_to_tag(bytes)).then_some(kind)
}

/// Whether To has a tag: then it belongs to a dialog, or claims to.
fn has_to_tag(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let to = lines.find_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = line[..colon].trim_ascii();
        let is_to = name.eq_ignore_ascii_case(b"to") || name.eq_ignore_ascii_case(b"t");
        is_to.then(|| &line[colon..])
    });
    to.is_some_and(|to| to.windows(5).any(|window| window.eq_ignore_ascii_case(b";tag=")))
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Guard {
        fn is_banned(&self, now: Time, from: IpAddr) -> bool {
            let known = self.snapshots(now).into_iter();
            known
                .filter(|source| source.banned_until.is_some())
                .any(|source| source.address == network(from))
        }
    }

    const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn guard() -> Guard {
        let rate = Some(Rate {
            per_second: 10,
            burst: 5,
        });
        let protection = Protection {
            invites: rate,
            others: rate,
            ..Protection::default()
        };
        Guard::new(protection, 3)
    }

    #[test]
    fn a_burst_passes_and_then_as_many_as_the_rate_allows() {
        let mut guard = guard();
        let mut heard =
            |millis: u64| guard.hear(Time::from_millis(millis), SOURCE, Kind::Invite) == Verdict::Heard;
        assert_eq!((0..8).filter(|_| heard(0)).count(), 5);
        assert!(!heard(99));
        assert!(heard(100));
        assert!(!heard(100));
        assert_eq!((0..8).filter(|_| heard(10_000)).count(), 5);
        assert_eq!(
            guard.hear(Time::from_secs(10), OTHER, Kind::Invite),
            Verdict::Heard
        );
        assert_eq!(
            guard.hear(Time::from_secs(10), SOURCE, Kind::Other),
            Verdict::Heard
        );
    }

    #[test]
    fn a_ban_that_becomes_longer_ends_later_and_once() {
        let mut guard = guard();
        let (first, second) = (Time::from_secs(100), Time::from_secs(200));
        guard.hear(Time::ZERO, SOURCE, Kind::Other);
        guard.ban(first, SOURCE, BannedBecause::Guessed);
        assert!(guard.bans_changed());
        guard.ban(second, SOURCE, BannedBecause::Guessed);
        assert!(guard.bans_changed(), "the alarm is to be set anew");
        assert_eq!(guard.next_end(), Some(second));
        guard.end_bans(first);
        assert!(!guard.bans_changed());
        guard.end_bans(second);
        assert!(guard.bans_changed());
        assert_eq!(guard.next_end(), None);
        let told: Vec<_> = std::iter::from_fn(|| guard.poll_news()).collect();
        assert!(
            matches!(told[..], [Event::Banned(_), Event::BanOver { .. }]),
            "{told:?}"
        );
    }

    #[test]
    fn line_ends_before_a_request_hide_it_from_no_ban() {
        let request = "REGISTER sip:a.example SIP/2.0\r\nTo: <sip:a@a.example>\r\n\r\n";
        for before in ["", "\r\n", "\n\r\n\r\n"] {
            let bytes = format!("{before}{request}");
            assert_eq!(outside_request(bytes.as_bytes()), Some(Kind::Other), "{before:?}");
        }
        assert_eq!(outside_request(b"\r\n\r\n"), None);
    }

    #[test]
    fn guesses_are_slowed_and_then_banned_for_a_while() {
        let mut guard = guard();
        let now = Time::from_secs(1_000);
        let slow = Answer::Late(Duration::from_secs(2));
        for guess in 1..20 {
            let expected = if guess > 5 { slow } else { Answer::AtOnce };
            assert_eq!(guard.guess(now, SOURCE), expected, "{guess}");
            assert_eq!(
                guard.hear(now, OTHER, Kind::Other),
                if guess > 5 {
                    Verdict::TooMany
                } else {
                    Verdict::Heard
                }
            );
        }
        assert!(!guard.is_banned(now, SOURCE));
        guard.guess(now, SOURCE);
        assert_eq!(guard.hear(now, SOURCE, Kind::Other), Verdict::Banned);
        let later = now + Duration::from_secs(299);
        assert!(guard.is_banned(later, SOURCE));
        assert!(!guard.is_banned(later + Duration::from_secs(2), SOURCE));
        assert!(guard.pardon(later, SOURCE));
        assert!(!guard.is_banned(later, SOURCE));
    }

    #[test]
    fn who_is_asked_for_passwords_and_never_has_one_is_guessing() {
        let mut guard = guard();
        let now = Time::from_secs(1_000);
        for _ in 0..3 {
            for _ in 0..200 {
                assert_eq!(guard.challenge(now, SOURCE), Answer::AtOnce);
            }
            guard.prove(SOURCE);
        }
        for _ in 0..219 {
            guard.challenge(now, SOURCE);
        }
        assert!(!guard.is_banned(now, SOURCE));
        assert_eq!(guard.challenge(now, SOURCE), Answer::Late(Duration::from_secs(2)));
        assert!(guard.is_banned(now, SOURCE));
    }

    #[test]
    fn guesses_are_forgotten_after_a_while() {
        let mut guard = guard();
        for hour in 1..100 {
            assert_eq!(guard.guess(Time::from_secs(hour * 3_600), SOURCE), Answer::AtOnce);
        }
    }

    #[test]
    fn a_full_table_forgets_who_was_not_heard_of_and_keeps_who_is_banned() {
        let mut guard = guard();
        let source = |number: u8| IpAddr::from([10, 0, 0, number]);
        for _ in 0..20 {
            guard.guess(Time::ZERO, source(1));
        }
        for number in 2..200 {
            guard.hear(Time::from_secs(number.into()), source(number), Kind::Other);
        }
        assert_eq!(guard.snapshots(Time::from_secs(1)).len(), 3);
        assert!(guard.is_banned(Time::from_secs(200), source(1)));
    }

    #[test]
    fn half_an_ipv6_address_is_one_source() {
        let mut guard = guard();
        for number in 0..20 {
            let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, number);
            guard.guess(Time::ZERO, address.into());
        }
        let other = Ipv6Addr::new(0x2001, 0xdb8, 0, 2, 0, 0, 0, 1);
        let same = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 9, 9, 9, 9);
        assert!(guard.is_banned(Time::ZERO, same.into()));
        assert!(!guard.is_banned(Time::ZERO, other.into()));
    }

    #[test]
    fn what_belongs_to_a_call_is_told_from_what_does_not() {
        let request =
            |line: &str, to: &str| format!("{line} sip:a@b SIP/2.0\r\nVia: x\r\n{to}\r\n\r\n").into_bytes();
        assert_eq!(
            outside_request(&request("INVITE", "To: <sip:a@b>")),
            Some(Kind::Invite)
        );
        assert_eq!(
            outside_request(&request("REGISTER", "t:<sip:a@b>")),
            Some(Kind::Other)
        );
        assert_eq!(outside_request(&request("INVITE", "to : <sip:a@b>;TAG=1")), None);
        assert_eq!(outside_request(&request("BYE", "To: <sip:a@b>")), None);
        assert_eq!(outside_request(b"SIP/2.0 200 OK\r\n\r\n"), None);
        assert_eq!(outside_request(b""), None);
    }
}
