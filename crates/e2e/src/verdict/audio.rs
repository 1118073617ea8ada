//! What customers and agents heard of each other.

use std::time::Duration;

use callwright_capture::analysis::{Analysis, Side, Stream};
use callwright_wire::Time;

use crate::results::{AudioShown, CallShown, Criterion};

use super::{Evidence, Expected, Seen, criterion, skipped};

/// Below this nobody hears anything, in dBm0.
const AUDIBLE_DBM0: f64 = -50.0;
/// What a second without a packet reads.
const NOTHING_DBM0: f64 = -96.0;

/// Both sides of both legs were audible while they talked, and each heard the other's tone.
pub(super) fn heard(evidence: &Evidence<'_>, calls: &[Seen<'_>], shown: &[CallShown]) -> Criterion {
    const DEMANDS: &str = "audio was heard both ways";
    match evidence.expected() {
        Expected::Own => {
            return skipped(
                "audio",
                DEMANDS,
                "what calls are to become stands in SIPp's scenario",
            );
        }
        Expected::Silent => return skipped("audio", DEMANDS, "these calls have no audio"),
        Expected::Talk | Expected::Transfer => {}
    }
    let mut wrong = Vec::new();
    let (mut audible, mut all) = (0, 0);
    let (mut quietest, mut worst): (f64, Option<f64>) = (0.0, None);
    for call in shown.iter().filter(|call| call.agent.is_some()) {
        for audio in &call.audio {
            all += 1;
            if audio.heard {
                audible += 1;
            } else {
                let level = match (audio.packets, audio.level_dbm0) {
                    (0, _) => "no packet".to_owned(),
                    (_, Some(level)) if level > AUDIBLE_DBM0 => "less than half of the talk".to_owned(),
                    (_, Some(level)) => format!("{level:.0} dBm0"),
                    (_, None) => "nothing while they talked".to_owned(),
                };
                wrong.push(format!("call {}, {}: {level}", call.number, audio.direction));
            }
            quietest = audio.level_dbm0.map_or(quietest, |level| quietest.min(level));
            worst = match (worst, audio.mos) {
                (Some(worst), Some(mos)) => Some(worst.min(mos)),
                (worst, mos) => worst.or(mos),
            };
        }
    }
    if all == 0 {
        wrong.push("no call reached an agent".to_owned());
    }
    let taken = calls.iter().filter(|seen| seen.agent.is_some()).count();
    let observed = evidence.observed;
    let by_agents: u64 = observed.agents.iter().map(|agent| agent.heard).sum();
    let customers: Vec<_> = observed
        .customers
        .iter()
        .filter_map(|one| one.end.as_ref().map(|end| (one, end)))
        .collect();
    for (customer, end) in &customers {
        let is_taken = calls
            .iter()
            .any(|seen| seen.customer() == customer.name && seen.agent.is_some());
        if is_taken && !end.partner_heard {
            wrong.push(format!("{} never heard the tone of its agent", customer.name));
        }
    }
    if by_agents < taken as u64 && evidence.expected() == Expected::Talk {
        wrong.push(format!(
            "agents heard the tone of their customers in {by_agents} of {taken} calls"
        ));
    }
    let mut figures = format!("{audible} of {all} directions, the quietest at {quietest:.0} dBm0");
    if let Some(worst) = worst {
        figures.push_str(&format!(", MOS {worst:.1} at least"));
    }
    if observed.customers.is_empty() {
        figures.push_str(&format!("; customers' tone heard in {by_agents} calls"));
    } else {
        let by_customers = customers.iter().filter(|(_, end)| end.partner_heard).count();
        figures.push_str(&format!(
            "; tones heard by {by_customers} customers, by agents in {by_agents} calls"
        ));
    }
    criterion("audio", DEMANDS, figures, wrong)
}

/// The four directions of a call between a customer and an agent.
pub(super) fn directions(analysis: &Analysis, seen: &Seen<'_>) -> Vec<AudioShown> {
    let Some((agent, leg)) = seen.agent else {
        return Vec::new();
    };
    let from = leg.answered.unwrap_or(seen.call.started);
    let end = Time::ZERO + Duration::from_secs_f64(analysis.capture.duration_ms / 1_000.0);
    // Who was transferred talks on with somebody else when the customer is gone.
    let customers = seen.call.legs.first().and_then(|leg| leg.ended);
    let both = [leg.ended, customers].into_iter().flatten().min();
    let to = both.or(seen.call.ended).unwrap_or(end);
    let name = seen.agent_name().unwrap_or("agent");
    [
        (0, Side::Caller, format!("{} → server", seen.customer())),
        (agent, Side::Caller, format!("server → {name}")),
        (agent, Side::Callee, format!("{name} → server")),
        (0, Side::Callee, format!("server → {}", seen.customer())),
    ]
    .into_iter()
    .map(|(leg, side, direction)| {
        let streams: Vec<&Stream> = analysis
            .streams_of(seen.call)
            .filter(|stream| stream.leg == Some(leg) && stream.from == Some(side))
            .collect();
        show(&streams, direction, from, to)
    })
    .collect()
}

fn show(streams: &[&Stream], direction: String, from: Time, to: Time) -> AudioShown {
    let longest = streams.iter().max_by_key(|stream| stream.quality.packets);
    let heard: Vec<Heard> = streams
        .iter()
        .filter_map(|stream| heard_of(stream, from, to))
        .collect();
    let level = heard.iter().map(|heard| heard.mean_dbm0).reduce(f64::max);
    let audible: usize = heard.iter().map(|heard| heard.audible_seconds).sum();
    // Half of the talk at least: seconds that are cut by its ends do not count.
    let enough = audible > 0 && 2 * audible + 1 >= to.since(from).as_secs() as usize;
    // Of what is not decoded only the packets are known.
    let undecoded = streams
        .iter()
        .any(|stream| stream.level.is_none() && stream.ended > from && stream.started < to);
    AudioShown {
        direction,
        heard: enough || undecoded,
        codec: longest.and_then(|stream| stream.codec()).map(str::to_owned),
        packets: streams.iter().map(|stream| stream.quality.packets).sum(),
        level_dbm0: level,
        seconds_dbm0: longest
            .and_then(|stream| stream.level.as_ref())
            .map(|level| level.per_second_dbm0.clone())
            .unwrap_or_default(),
        loss_percent: streams
            .iter()
            .map(|stream| stream.quality.loss_percent)
            .fold(0.0, f64::max),
        jitter_ms: streams
            .iter()
            .filter_map(|stream| stream.quality.jitter_mean_ms)
            .reduce(f64::max),
        mos: streams
            .iter()
            .filter_map(|stream| stream.quality.mos)
            .reduce(f64::min),
    }
}

/// What is heard of a stream in some time.
struct Heard {
    mean_dbm0: f64,
    audible_seconds: usize,
}

/// Of the seconds within a time; of those that touch it where none is within.
fn heard_of(stream: &Stream, from: Time, to: Time) -> Option<Heard> {
    let level = stream.level.as_ref()?;
    let second = |index: usize| {
        let begins = stream.started + Duration::from_secs(index as u64);
        (begins, begins + Duration::from_secs(1))
    };
    let pick = |fits: &dyn Fn(Time, Time) -> bool| -> Vec<f64> {
        let seconds = level.per_second_dbm0.iter().enumerate();
        let within = seconds.filter(|(index, _)| {
            let (begins, ends) = second(*index);
            fits(begins, ends)
        });
        within.map(|(_, level)| f64::from(*level)).collect()
    };
    let mut picked = pick(&|begins, ends| begins >= from && ends <= to);
    if picked.is_empty() {
        picked = pick(&|begins, ends| ends > from && begins < to);
    }
    if picked.is_empty() {
        return None;
    }
    let power: f64 = picked.iter().map(|level| 10f64.powf(level / 10.0)).sum::<f64>() / picked.len() as f64;
    Some(Heard {
        mean_dbm0: (10.0 * power.log10()).max(NOTHING_DBM0),
        audible_seconds: picked.iter().filter(|level| **level > AUDIBLE_DBM0).count(),
    })
}
