//! From what was seen to what is told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use callwright_wire::Time;

use super::analyzer::Analyzer;
use super::call::{Call, Digit, EndedBy, Ladder, LadderParty, Leg, Outcome, Row, RowKind, Side};
use super::joins::{Group, Sounds, groups};
use super::judgement::{Evidence, judge};
use super::legs::{LegState, Legs};
use super::metrics::{Delay, Metrics, Ratio};
use super::registration::Registration;
use super::stream::{AlsoOf, Stream};
use super::stream_state::StreamState;
use super::streams::{Key, Known};
use super::{Analysis, AnalysisConfig, SCHEMA};

/// Digits of one call that are listed.
const DIGITS: usize = 4_096;

pub(crate) fn report(analyzer: Analyzer) -> Analysis {
    let Analyzer {
        config,
        mut summary,
        legs,
        registers,
        addresses,
        streams,
        mut protocol,
        malformed,
        aliases,
        last,
        ..
    } = analyzer;
    protocol.finish(last);
    let (mut streams, doubted) = streams.finish(Known {
        addresses: &addresses,
        legs: &legs,
    });
    summary.rtp_packets -= doubted.min(summary.rtp_packets);
    summary.other_packets += doubted;
    let groups = groups(&legs, &sounds_of(&streams));
    let mut place_of = vec![(0, 0); legs.all.len()];
    for (call, group) in groups.iter().enumerate() {
        for (leg, state) in group.legs.iter().enumerate() {
            place_of[*state] = (call, leg);
        }
    }
    let mut calls: Vec<Call> = groups
        .iter()
        .enumerate()
        .map(|(place, group)| call_of(place + 1, group, &legs))
        .collect();
    let mut facts = Vec::new();
    let mut told = Vec::new();
    let listed = streams.iter().map(|(_, state)| state.hearing.listed()).sum();
    let mut spare = config.max_all_seconds.saturating_sub(listed);
    for (key, state) in &mut streams {
        let (stream, evidence) = stream_of(key, state, &place_of, &config, &mut spare);
        facts.push(evidence);
        told.push(stream);
    }
    let streams = told;
    for (place, stream) in streams.iter().enumerate() {
        let (Some(call), Some(leg)) = (stream.call, stream.leg) else {
            continue;
        };
        calls[call].streams.push(place);
        calls[call].legs[leg].streams.push(place);
        calls[call].digits.extend(stream.digits.iter().cloned());
        for also in &stream.also {
            calls[also.call].legs[also.leg].streams.push(place);
            if calls[also.call].streams.last() != Some(&place) {
                calls[also.call].streams.push(place);
                let digits = stream.digits.iter().map(|digit| Digit {
                    from: Some(also.from),
                    leg: Some(also.leg),
                    ..digit.clone()
                });
                calls[also.call].digits.extend(digits);
            }
        }
    }
    for (call, group) in calls.iter_mut().zip(&groups) {
        call.digits.sort_by_key(|digit: &Digit| (digit.at, digit.packet));
        call.digits.truncate(DIGITS);
        call.ladder = ladder_of(call, group, &legs, &streams, &aliases);
    }
    let metrics = metrics_of(&calls, &registers.all, last);
    let findings = judge(Evidence {
        config: &config,
        summary: &mut summary,
        legs: &legs,
        groups: &groups,
        place_of: &place_of,
        calls: &mut calls,
        registrations: &registers.all,
        streams: &streams,
        facts: &facts,
        hosts: hosts_of(&streams),
        protocol: &protocol,
        malformed: &malformed,
        last,
    });
    Analysis {
        schema: SCHEMA,
        capture: summary,
        calls,
        registrations: registers.all,
        streams,
        findings,
        metrics,
    }
}

/// What the judgement needs of a stream beside what is told of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamFacts {
    pub(crate) loss_packets: Vec<u64>,
    pub(crate) late_packets: Vec<u64>,
    pub(crate) duplicate_packets: Vec<u64>,
    /// Payload types that the receiver did not announce, and the first packet with each.
    pub(crate) unannounced: Vec<(u8, u64)>,
    pub(crate) is_audio: bool,
}

fn hosts_of(streams: &[Stream]) -> BTreeSet<IpAddr> {
    let ends = streams
        .iter()
        .flat_map(|stream| [stream.source.ip(), stream.destination.ip()]);
    ends.collect()
}

fn sounds_of(streams: &[(Key, StreamState)]) -> Sounds<'_> {
    let mut sounds = Sounds::new();
    for (_, stream) in streams {
        if let Some(owner) = stream.knowledge.owner
            && !stream.prints.kept.is_empty()
        {
            // What goes past a server is heard on all legs that announced it.
            for (leg, from) in [(owner.leg, owner.from)].iter().chain(&stream.others) {
                sounds.entry(*leg).or_default().push((*from, &stream.prints));
            }
        }
    }
    sounds
}

fn stream_of(
    key: &Key,
    state: &mut StreamState,
    place_of: &[(usize, usize)],
    config: &AnalysisConfig,
    spare_seconds: &mut usize,
) -> (Stream, StreamFacts) {
    let quality = state.quality();
    let owner = state.knowledge.owner;
    let place = owner.and_then(|owner| place_of.get(owner.leg).copied());
    let from = owner.map(|owner| owner.from);
    let mut digits = std::mem::take(&mut state.digits);
    for digit in &mut digits {
        digit.from = from;
        digit.leg = place.map(|(_, leg)| leg);
    }
    // The second that goes on is not listed yet.
    let listed = state.hearing.listed();
    let max_seconds = config.max_seconds.min(listed + (*spare_seconds).min(1));
    let level = std::mem::take(&mut state.hearing).finish(max_seconds);
    *spare_seconds -= level
        .as_ref()
        .map_or(0, |level| level.per_second_dbm0.len() - listed);
    let also = state.others.iter().filter_map(|(leg, from)| {
        let (call, leg) = *place_of.get(*leg)?;
        Some(AlsoOf {
            call,
            leg,
            from: *from,
        })
    });
    let facts = StreamFacts {
        loss_packets: std::mem::take(&mut state.loss_packets),
        late_packets: std::mem::take(&mut state.late_packets),
        duplicate_packets: std::mem::take(&mut state.duplicate_packets),
        unannounced: std::mem::take(&mut state.unannounced),
        is_audio: state.knowledge.is_audio,
    };
    let stream = Stream {
        ssrc: key.2,
        source: key.0,
        destination: key.1,
        call: place.map(|(call, _)| call),
        leg: place.map(|(_, leg)| leg),
        from,
        also: also.collect(),
        found_by: owner.map_or(super::FoundBy::Looks, |owner| owner.found_by),
        formats: state.formats(),
        encrypted: state.encrypted,
        started: state.first,
        ended: state.last,
        first_packet: state.first_packet,
        last_packet: state.last_packet,
        quality,
        level,
        digits,
        rtcp: state.rtcp.take(),
    };
    (stream, facts)
}

fn leg_of(state: &LegState) -> Leg {
    let ms = |from: Time, to: Time| (to - from).as_secs_f64() * 1_000.0;
    let bye = state.byes.first();
    let answered = state.answered.as_ref().map(|answer| answer.at);
    let refused = state.last_final.as_ref().filter(|last| last.status >= 300);
    let outcome = match (&state.answered, bye, refused) {
        (Some(_), Some(_), _) => Outcome::Completed,
        (None, Some(_), _) if state.begun_before => Outcome::Completed,
        (Some(_), None, _) => Outcome::Up,
        (None, None, _) if state.begun_before => Outcome::Up,
        (None, _, Some(last)) if state.cancelled.is_some() && last.status == 487 => Outcome::Cancelled,
        (None, _, Some(_)) => Outcome::Refused,
        (None, _, None) if state.cancelled.is_some() => Outcome::Cancelled,
        (None, _, None) => Outcome::Unanswered,
    };
    let ended = match outcome {
        Outcome::Completed => bye.map(|bye| bye.at),
        Outcome::Refused | Outcome::Cancelled => refused.map(|last| last.at).or(state.cancelled),
        Outcome::Up | Outcome::Unanswered => None,
    };
    let ended_by = match outcome {
        Outcome::Completed => bye.map(|bye| bye.by),
        Outcome::Cancelled => Some(Side::Caller),
        Outcome::Refused => Some(Side::Callee),
        Outcome::Up | Outcome::Unanswered => None,
    };
    // RFC 6076 §4.3: to the first response that is heard or seen; a final one where there is no other.
    let heard = state
        .ringing
        .or(answered)
        .or(refused.map(|last| last.at))
        .filter(|_| !state.begun_before);
    let bye_answered = state.byes.iter().find_map(|bye| {
        let answer = bye.answer.as_ref().filter(|answer| answer.status < 300)?;
        Some(ms(bye.at, answer.at))
    });
    Leg {
        call_id: state.call_id.to_string(),
        caller: state.caller.clone(),
        callee: state.callee.clone(),
        dialled: state.dialled.clone(),
        client: state.client,
        server: state.server,
        transport: state.transport,
        started: state.started,
        ringing: state.ringing,
        answered,
        ended,
        ended_by,
        outcome,
        status: state.last_final.as_ref().map(|last| last.status),
        reason: state.last_final.as_ref().map(|last| last.reason.clone()),
        session_request_delay_ms: heard.map(|heard| ms(state.started, heard)),
        session_disconnect_delay_ms: bye_answered,
        session_duration_ms: answered.zip(bye).map(|(answered, bye)| ms(answered, bye.at)),
        media: state.media.clone(),
        streams: Vec::new(),
        messages: state.messages,
        retransmissions: state.again,
    }
}

fn call_of(number: usize, group: &Group, legs: &Legs) -> Call {
    let states: Vec<&LegState> = group.legs.iter().map(|leg| &legs.all[*leg]).collect();
    let told: Vec<Leg> = states.iter().map(|state| leg_of(state)).collect();
    let first = &told[0];
    let answered_leg = told.iter().rev().find(|leg| leg.answered.is_some());
    let answered_by = answered_leg.map(|leg| leg.callee.clone());
    let of_leg = |(leg, state): (usize, &&LegState)| {
        let digits = state.digits.clone().into_iter();
        digits.map(move |digit| Digit {
            leg: Some(leg),
            ..digit
        })
    };
    let mut digits: Vec<Digit> = states.iter().enumerate().flat_map(of_leg).collect();
    digits.truncate(DIGITS);
    let (mut ended, mut ended_by) = (first.ended, first.ended_by.map(of_side));
    if first.outcome == Outcome::Completed {
        // The BYE that came first, of the legs that were up when the caller's was.
        let byes = states.iter().enumerate().filter_map(|(place, state)| {
            let bye = state.byes.first()?;
            Some((bye.at, bye.packet, place, bye.by))
        });
        let near = first.ended.unwrap_or(first.started);
        let byes = byes.filter(|(at, ..)| *at <= near && (near - *at).as_millis() <= 2_000);
        if let Some((at, _, place, by)) = byes.min() {
            ended = Some(at);
            ended_by = Some(match (place, by, told.len()) {
                (0, Side::Caller, _) => EndedBy::Caller,
                (0, Side::Callee, 1) => EndedBy::Callee,
                (0, Side::Callee, _) => EndedBy::Server,
                (_, Side::Callee, _) => EndedBy::Callee,
                (_, Side::Caller, _) => EndedBy::Server,
            });
        }
    }
    Call {
        number,
        caller: first.caller.clone(),
        callee: first.callee.clone(),
        dialled: first.dialled.clone(),
        answered_by: answered_by.filter(|_| first.answered.is_some()),
        started: first.started,
        ringing: first.ringing,
        answered: first.answered,
        ended,
        ended_by,
        outcome: first.outcome,
        status: first.status,
        reason: first.reason.clone(),
        joins: group.joins.clone(),
        ladder: Ladder::default(),
        streams: Vec::new(),
        digits,
        findings: Vec::new(),
        legs: told,
    }
}

const fn of_side(side: Side) -> EndedBy {
    match side {
        Side::Caller => EndedBy::Caller,
        Side::Callee => EndedBy::Callee,
    }
}

fn ladder_of(
    call: &Call,
    group: &Group,
    legs: &Legs,
    streams: &[Stream],
    aliases: &BTreeMap<SocketAddr, SocketAddr>,
) -> Ladder {
    let mut ladder = Ladder::default();
    let canonical = |address: SocketAddr| aliases.get(&address).copied().unwrap_or(address);
    let mut columns: BTreeMap<SocketAddr, usize> = BTreeMap::new();
    for (place, leg) in group.legs.iter().enumerate() {
        let state = &legs.all[*leg];
        ladder.rows_dropped += state.rows_dropped;
        for row in &state.rows {
            let [from, to] = [row.from, row.to].map(|address| {
                let address = canonical(address);
                *columns.entry(address).or_insert_with(|| {
                    ladder.parties.push(LadderParty { address, name: None });
                    ladder.parties.len() - 1
                })
            });
            ladder.rows.push(Row {
                at: row.at,
                packet: row.packet,
                leg: place,
                from,
                to,
                kind: row.kind,
                summary: row.summary.to_string(),
                cseq: row.cseq.to_string(),
                again: row.again,
                comment: row.comment.as_ref().map(ToString::to_string),
                text: row.text.as_ref().map(ToString::to_string),
            });
        }
    }
    // In the order of being seen, not leg by leg.
    let mut seen: Vec<usize> = Vec::new();
    ladder.rows.sort_by_key(|row| (row.at, row.packet));
    for row in &ladder.rows {
        for column in [row.from, row.to] {
            if !seen.contains(&column) {
                seen.push(column);
            }
        }
    }
    let mut place = vec![0; ladder.parties.len()];
    for (new, old) in seen.iter().enumerate() {
        place[*old] = new;
    }
    ladder.parties = seen.iter().map(|old| ladder.parties[*old].clone()).collect();
    for row in &mut ladder.rows {
        (row.from, row.to) = (place[row.from], place[row.to]);
    }
    let column = |address: SocketAddr| columns.get(&canonical(address)).map(|old| place[*old]);
    for (leg, told) in call.legs.iter().enumerate() {
        name_parties(&mut ladder, call, leg, column(told.client), column(told.server));
        add_streams(
            &mut ladder,
            told,
            (call.number - 1, leg),
            streams,
            column(told.client),
            column(told.server),
        );
    }
    ladder.rows.sort_by_key(|row| (row.at, row.packet));
    ladder
}

/// The ends of a call have the names of its users.
fn name_parties(ladder: &mut Ladder, call: &Call, leg: usize, client: Option<usize>, server: Option<usize>) {
    let told = &call.legs[leg];
    if leg == 0
        && let Some(client) = client
    {
        ladder.parties[client].name = user_of(&told.caller);
    }
    let goes_on = call.joins.iter().any(|join| join.to == leg);
    if let Some(server) = server.filter(|_| !goes_on) {
        ladder.parties[server]
            .name
            .get_or_insert_with(|| user_of(&told.callee).unwrap_or_else(|| told.callee.clone()));
    }
}

fn user_of(uri: &str) -> Option<String> {
    let uri: callwright_sip_message::Uri = uri.parse().ok()?;
    uri.user().map(str::to_owned)
}

fn add_streams(
    ladder: &mut Ladder,
    told: &Leg,
    (call, leg): (usize, usize),
    streams: &[Stream],
    client: Option<usize>,
    server: Option<usize>,
) {
    let (Some(client), Some(server)) = (client, server) else {
        return;
    };
    // Of several legs that it is of, the first one has its row.
    let own = told.streams.iter().map(|place| &streams[*place]);
    for stream in own.filter(|stream| stream.is_drawn_in(call, leg)) {
        let (from, to) = match stream.sender_in(call, leg) {
            Some(Side::Callee) => (server, client),
            Some(Side::Caller) | None => (client, server),
        };
        let codec = stream
            .codec()
            .map_or("RTP".to_owned(), |codec| format!("RTP {codec}"));
        ladder.rows.push(Row {
            at: stream.started,
            packet: stream.first_packet,
            leg,
            from,
            to,
            kind: RowKind::Stream,
            summary: format!(
                "{codec} {:.1} s, {} packets",
                stream.duration_ms() / 1_000.0,
                stream.quality.packets
            ),
            cseq: String::new(),
            again: false,
            comment: None,
            text: None,
        });
    }
}

fn metrics_of(calls: &[Call], registrations: &[Registration], last: Time) -> Metrics {
    let legs = || {
        let all = calls.iter().flat_map(|call| &call.legs);
        all.filter(|leg| !began_before(leg) && !is_pending(leg, last))
    };
    let count = |holds: &dyn Fn(&&Leg) -> bool| legs().filter(holds).count() as u64;
    let all = legs().count() as u64;
    let status = |leg: &Leg, of: &[u16]| leg.status.is_some_and(|status| of.contains(&status));
    let answered = |leg: &&Leg| leg.answered.is_some();
    let redirected = count(&|leg| matches!(leg.status, Some(300..=399)) && leg.answered.is_none());
    let attempts = || registrations.iter().flat_map(|one| &one.attempts);
    let failed = attempts().filter(|attempt| {
        // RFC 6076 §4.2: any failure but a challenge, and no answer at all.
        matches!(attempt.status, None | Some(300..)) && !is_open_challenge(attempt)
    });
    Metrics {
        registration_request_delay: Delay::over(
            attempts()
                .filter(|attempt| attempt.succeeded())
                .filter_map(|attempt| attempt.registration_request_delay_ms)
                .collect(),
        ),
        ineffective_registration_attempts: Ratio::new(failed.count() as u64, attempts().count() as u64),
        session_request_delay: Delay::over(
            legs()
                .filter(answered)
                .filter_map(|leg| leg.session_request_delay_ms)
                .collect(),
        ),
        failed_session_request_delay: Delay::over(
            legs()
                .filter(|leg| leg.outcome == Outcome::Refused && is_failure(leg.status))
                .filter_map(|leg| Some((leg.ended? - leg.started).as_secs_f64() * 1_000.0))
                .collect(),
        ),
        session_disconnect_delay: Delay::over(
            calls
                .iter()
                .flat_map(|call| &call.legs)
                .filter_map(|leg| leg.session_disconnect_delay_ms)
                .collect(),
        ),
        session_duration_time: Delay::over(legs().filter_map(|leg| leg.session_duration_ms).collect()),
        session_establishment_ratio: Ratio::new(count(&answered), all - redirected),
        session_establishment_effectiveness_ratio: Ratio::new(
            count(&|leg| answered(leg) || status(leg, &[480, 486, 600, 603])),
            all - redirected,
        ),
        ineffective_session_attempts: Ratio::new(
            count(&|leg| leg.answered.is_none() && status(leg, &[408, 500, 503, 504])),
            all,
        ),
        session_completion_ratio: Ratio::new(
            count(&|leg| leg.outcome == Outcome::Completed && leg.session_disconnect_delay_ms.is_some()),
            all,
        ),
    }
}

/// The attempt is not in the capture: without it, what is up or was ended was never seen to be answered.
fn began_before(leg: &Leg) -> bool {
    leg.answered.is_none() && matches!(leg.outcome, Outcome::Completed | Outcome::Up)
}

/// Nothing became of it yet when the capture ended: neither a success nor a failure. An INVITE without any response has 64·T1
/// (RFC 3261 §17.1.1.2), one that rings three minutes (timer C, §16.6).
fn is_pending(leg: &Leg, last: Time) -> bool {
    let (since, limit) = match leg.ringing {
        Some(ringing) => (ringing, 180),
        None => (leg.started, 32),
    };
    leg.outcome == Outcome::Unanswered && last < since + std::time::Duration::from_secs(limit)
}

/// RFC 6076 §4.3.2: 4xx but 401, 402 and 407, 5xx, 6xx.
fn is_failure(status: Option<u16>) -> bool {
    status.is_some_and(|status| status >= 400 && !matches!(status, 401 | 402 | 407))
}

/// Challenged, and not tried again: nothing failed, nothing succeeded.
pub(crate) fn is_open_challenge(attempt: &super::RegistrationAttempt) -> bool {
    matches!(attempt.status, Some(401 | 407)) && attempt.registration_request_delay_ms.is_none()
}
