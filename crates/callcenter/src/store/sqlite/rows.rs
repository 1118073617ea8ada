//! Statements, each in one place.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use callwright_acd::{AgentState, Binding, CallKey, CallRecord, Config, NotReadyReason, Strategy};
use callwright_sip_message::Uri;
use callwright_wire::{Flow, Time, Transport};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::event::{Calendar, EventRow, StateRow, Unix, reason_of, signed};
use crate::store::keeps_wish;

/// What is read, or what of it cannot be understood.
pub(super) type Understood<T> = Result<T, String>;

pub(super) fn put_event(to: &Transaction<'_>, row: &EventRow<'_>) -> rusqlite::Result<()> {
    let mut statement = to.prepare_cached(
        "INSERT INTO call_events (at, kind, call, queue, agent, party, target, outcome, reason, number)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    statement.execute(params![
        row.at,
        row.kind,
        row.call,
        row.queue,
        row.agent,
        row.party,
        row.target,
        row.outcome,
        row.reason,
        row.number,
    ])?;
    Ok(())
}

/// Reads events in their order, from a number on, until it is enough.
pub(super) fn each_event(
    from: &Connection,
    since: i64,
    mut take: impl FnMut(i64, EventRow<'_>) -> ControlFlow<()>,
) -> rusqlite::Result<()> {
    let mut statement = from.prepare_cached(
        "SELECT seq, at, kind, call, queue, agent, party, target, outcome, reason, number
         FROM call_events WHERE seq >= ?1 ORDER BY seq",
    )?;
    let mut rows = statement.query([since])?;
    while let Some(row) = rows.next()? {
        if take(row.get(0)?, event(row, 1)?).is_break() {
            break;
        }
    }
    Ok(())
}

/// Reads the events of a call in their order.
pub(super) fn each_event_of(
    from: &Connection,
    call: i64,
    mut take: impl FnMut(EventRow<'_>),
) -> rusqlite::Result<()> {
    let mut statement = from.prepare_cached(
        "SELECT at, kind, call, queue, agent, party, target, outcome, reason, number
         FROM call_events WHERE call = ?1 ORDER BY seq",
    )?;
    let mut rows = statement.query([call])?;
    while let Some(row) = rows.next()? {
        take(event(row, 0)?);
    }
    Ok(())
}

/// The numbers of the first and the last event of a time; `None` where there are none.
pub(super) fn events_within(from: &Connection, times: &Range<i64>) -> rusqlite::Result<Option<(i64, i64)>> {
    let mut statement =
        from.prepare_cached("SELECT min(seq), max(seq) FROM call_events WHERE at >= ?1 AND at < ?2")?;
    statement.query_row([times.start, times.end], |row| {
        let (first, last): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
        Ok(first.zip(last))
    })
}

/// The columns of an event, from one on.
fn event(row: &Row<'_>, at: usize) -> rusqlite::Result<EventRow<'static>> {
    let text = |at: usize| -> rusqlite::Result<Option<Cow<'static, str>>> {
        Ok(row.get::<_, Option<String>>(at)?.map(Cow::Owned))
    };
    Ok(EventRow {
        at: row.get(at)?,
        kind: Cow::Owned(row.get(at + 1)?),
        call: row.get(at + 2)?,
        queue: text(at + 3)?,
        agent: text(at + 4)?,
        party: text(at + 5)?,
        target: text(at + 6)?,
        outcome: text(at + 7)?,
        reason: text(at + 8)?,
        number: row.get(at + 9)?,
    })
}

/// Puts the row of a call in the place of the one before; times of the record count from 1970.
pub(super) fn put_call(to: &Transaction<'_>, record: &CallRecord, settled: bool) -> rusqlite::Result<()> {
    let mut statement = to.prepare_cached(
        "INSERT INTO calls (number, caller, dialled, queue, agent, callee, arrived_at, answered_at, ended_at, cause,
                            presentations, transfers, wait, ring, talk, agent_talk, wrap, settled)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
         ON CONFLICT (number) DO UPDATE SET
            caller = excluded.caller, dialled = excluded.dialled, queue = excluded.queue, agent = excluded.agent,
            callee = excluded.callee, answered_at = excluded.answered_at, ended_at = excluded.ended_at,
            cause = excluded.cause, presentations = excluded.presentations, transfers = excluded.transfers,
            wait = excluded.wait, ring = excluded.ring, talk = excluded.talk, agent_talk = excluded.agent_talk,
            wrap = excluded.wrap, settled = excluded.settled",
    )?;
    let span = |span: Option<std::time::Duration>| {
        span.map(|span| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))
    };
    let last = record.answers.last();
    let wrapped = record.answers.iter().any(|answer| answer.wrap_up.is_some());
    let wrap = record.wrap().filter(|_| wrapped);
    statement.execute(params![
        signed(record.call.0),
        record.caller,
        record.dialled,
        record.queue(),
        record.agent(),
        last.map(|answer| &answer.callee),
        Unix.unix(record.arrived),
        record.answered().map(|answer| Unix.unix(answer.at)),
        record.ended.map(|ended| Unix.unix(ended.at)),
        record.cause(),
        record.presentations.len() as i64,
        record.transfers.len() as i64,
        span(record.wait()),
        span(record.ring()),
        span(record.talk()),
        span(record.agent_talk()),
        span(wrap),
        settled,
    ])?;
    Ok(())
}

pub(super) fn put_recording(
    to: &Transaction<'_>,
    call: CallKey,
    file: &str,
    at: i64,
    samples: Option<u64>,
) -> rusqlite::Result<()> {
    let mut statement = to.prepare_cached(
        "INSERT INTO recordings (call, file, started_at, ended_at, samples) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (call, file) DO UPDATE SET ended_at = excluded.ended_at, samples = excluded.samples",
    )?;
    let ended = samples.map(|_| at);
    statement.execute(params![signed(call.0), file, at, ended, samples.map(signed)])?;
    Ok(())
}

/// The recordings whose end was not stored.
pub(super) fn unfinished_recordings(from: &Connection) -> rusqlite::Result<Vec<(CallKey, String)>> {
    let mut statement =
        from.prepare_cached("SELECT call, file FROM recordings WHERE samples IS NULL ORDER BY call, file")?;
    let rows = statement.query_map([], |row| {
        Ok((CallKey(row.get::<_, i64>(0)?.unsigned_abs()), row.get(1)?))
    })?;
    rows.collect()
}

/// When a recording began; `None` where it is not known.
pub(super) fn recording_started(
    from: &Connection,
    call: CallKey,
    file: &str,
) -> rusqlite::Result<Option<i64>> {
    let mut statement =
        from.prepare_cached("SELECT started_at FROM recordings WHERE call = ?1 AND file = ?2")?;
    let found = statement.query_row(params![signed(call.0), file], |row| row.get(0));
    found.optional()
}

/// Whether there is a record of a call.
pub(super) fn knows_call(from: &Connection, call: CallKey) -> rusqlite::Result<bool> {
    let mut statement = from.prepare_cached("SELECT 1 FROM calls WHERE number = ?1")?;
    statement.exists([signed(call.0)])
}

pub(super) fn put_agent(
    to: &Transaction<'_>,
    agent: &str,
    state: &AgentState,
    at: Time,
    calendar: &impl Calendar,
) -> rusqlite::Result<()> {
    let mut statement = to.prepare_cached(
        "INSERT INTO agents (name, state, reason, note, until, changed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (name) DO UPDATE SET state = excluded.state, reason = excluded.reason, note = excluded.note,
            until = excluded.until, changed_at = excluded.changed_at,
            afterwards = iif(?7, afterwards, NULL), afterwards_note = iif(?7, afterwards_note, NULL)",
    )?;
    let row = StateRow::of(state, calendar);
    statement.execute(params![
        agent,
        row.state,
        row.reason,
        row.note,
        row.until,
        calendar.unix(at),
        keeps_wish(state),
    ])?;
    Ok(())
}

/// What an agent wants to be afterwards; it is known by what it did before.
pub(super) fn put_wish(
    to: &Transaction<'_>,
    agent: &str,
    afterwards: Option<&NotReadyReason>,
) -> rusqlite::Result<()> {
    let reason = afterwards.map(NotReadyReason::as_str);
    let note = afterwards.and_then(NotReadyReason::note);
    to.prepare_cached("UPDATE agents SET afterwards = ?2, afterwards_note = ?3 WHERE name = ?1")?
        .execute(params![agent, reason, note])?;
    Ok(())
}

/// What agents want to be afterwards.
pub(super) fn wishes(from: &Connection) -> rusqlite::Result<Understood<BTreeMap<String, NotReadyReason>>> {
    let mut statement = from.prepare_cached(
        "SELECT name, afterwards, afterwards_note FROM agents WHERE afterwards IS NOT NULL",
    )?;
    let mut rows = statement.query([])?;
    let mut wishes = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (name, reason, note): (String, String, Option<String>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        match reason_of(&reason, note.as_deref()) {
            Some(reason) => wishes.insert(name, reason),
            None => {
                return Ok(Err(format!(
                    "what the agent {name} wants to be afterwards, {reason:?}"
                )));
            }
        };
    }
    Ok(Ok(wishes))
}

pub(super) fn agents(
    from: &Connection,
    calendar: &impl Calendar,
) -> rusqlite::Result<Understood<BTreeMap<String, AgentState>>> {
    let mut statement = from.prepare_cached("SELECT name, state, reason, note, until FROM agents")?;
    let mut rows = statement.query([])?;
    let mut agents = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let (state, reason, note): (String, Option<String>, Option<String>) =
            (row.get(1)?, row.get(2)?, row.get(3)?);
        let columns = StateRow {
            state: &state,
            reason: reason.as_deref(),
            note: note.as_deref(),
            until: row.get(4)?,
        };
        match columns.state(calendar) {
            Some(state) => agents.insert(name, state),
            None => return Ok(Err(format!("the state {state:?} of the agent {name}"))),
        };
    }
    Ok(Ok(agents))
}

/// Puts the bindings of a user in the place of those before.
pub(super) fn put_bindings(
    to: &Transaction<'_>,
    user: &str,
    bindings: &[Binding],
    calendar: &impl Calendar,
) -> rusqlite::Result<()> {
    to.prepare_cached("DELETE FROM bindings WHERE user = ?1")?
        .execute([user])?;
    let mut statement = to.prepare_cached(
        "INSERT INTO bindings (user, position, contact, q_thousandths, expires_at, path, transport, local, remote,
                               call_id, cseq, instance, reg_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    for (position, binding) in bindings.iter().enumerate() {
        let path: Vec<_> = binding.path.iter().map(Uri::to_string).collect();
        statement.execute(params![
            user,
            position as i64,
            binding.contact.to_string(),
            binding.q_thousandths,
            calendar.unix(binding.expires),
            path.join("\n"),
            binding.flow.transport.via_token(),
            binding.flow.local.to_string(),
            binding.flow.remote.to_string(),
            binding.call_id,
            binding.cseq,
            binding.instance.as_ref().map(|(instance, _)| instance),
            binding.instance.as_ref().map(|(_, reg_id)| reg_id),
        ])?;
    }
    Ok(())
}

pub(super) fn bindings(
    from: &Connection,
    calendar: &impl Calendar,
) -> rusqlite::Result<Understood<BTreeMap<String, Vec<Binding>>>> {
    let mut statement = from.prepare_cached(
        "SELECT user, contact, q_thousandths, expires_at, path, transport, local, remote, call_id, cseq, instance, reg_id
         FROM bindings ORDER BY user, position",
    )?;
    let mut rows = statement.query([])?;
    let mut users: BTreeMap<String, Vec<Binding>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let user: String = row.get(0)?;
        match binding(row, calendar)? {
            Some(binding) => users.entry(user).or_default().push(binding),
            None => return Ok(Err(format!("a binding of the user {user}"))),
        }
    }
    Ok(Ok(users))
}

fn binding(row: &Row<'_>, calendar: &impl Calendar) -> rusqlite::Result<Option<Binding>> {
    let text = |at: usize| row.get::<_, String>(at);
    let path = text(4)?;
    let path: Option<Vec<Uri>> = path.split_terminator('\n').map(|uri| uri.parse().ok()).collect();
    let instance: Option<String> = row.get(10)?;
    let reg_id: Option<u32> = row.get(11)?;
    let flow = |transport: Transport, local: String, remote: String| {
        Some(Flow {
            transport,
            local: local.parse().ok()?,
            remote: remote.parse().ok()?,
        })
    };
    let flow = match Transport::from_token(&text(5)?) {
        Some(transport) => flow(transport, text(6)?, text(7)?),
        None => None,
    };
    let (Some(path), Some(flow), Ok(contact)) = (path, flow, text(1)?.parse()) else {
        return Ok(None);
    };
    Ok(Some(Binding {
        contact,
        q_thousandths: row.get(2)?,
        expires: calendar.time(row.get(3)?),
        path,
        flow,
        call_id: text(8)?,
        cseq: row.get(9)?,
        instance: instance.zip(reg_id),
    }))
}

/// The first event of the calls to which something is to come.
pub(super) fn first_unsettled(from: &Connection) -> rusqlite::Result<Option<i64>> {
    from.query_row(
        "SELECT min(seq) FROM call_events WHERE call IN (SELECT number FROM calls WHERE settled = 0)",
        [],
        |row| row.get(0),
    )
}

/// The time of the last event of a process, and where the call has later ones, of the call; 0 where there is none.
///
/// The last is not always the latest: the clock of the machine may have been set back between two processes. What is told of
/// recordings after a crash comes last, and may be older.
pub(super) fn last_known(from: &Connection, call: CallKey) -> rusqlite::Result<i64> {
    let mut statement = from.prepare_cached(
        "SELECT max(
            coalesce((SELECT at FROM call_events WHERE kind NOT IN ('recording_started', 'recording_ended')
                      ORDER BY seq DESC LIMIT 1), 0),
            coalesce((SELECT max(at) FROM call_events WHERE call = ?1), 0)
         )",
    )?;
    statement.query_row([signed(call.0)], |row| row.get(0))
}

/// The number of the latest call; 0 where there is none.
pub(super) fn last_call(from: &Connection) -> rusqlite::Result<i64> {
    from.query_row("SELECT coalesce(max(number), 0) FROM calls", [], |row| row.get(0))
}

/// Writes what changes nothing.
pub(super) fn probe(to: &mut Connection) -> rusqlite::Result<()> {
    let version: u32 = to.pragma_query_value(None, "user_version", |row| row.get(0))?;
    to.pragma_update(None, "user_version", version)
}

pub(super) fn configure(to: &Transaction<'_>, config: &Config, now: i64) -> rusqlite::Result<()> {
    to.execute_batch("DELETE FROM queue_members; DELETE FROM queues; DELETE FROM agent_skills;")?;
    for agent in &config.agents {
        to.prepare_cached(
            "INSERT INTO agents (name, state, changed_at) VALUES (?1, 'logged_out', ?2) ON CONFLICT (name) DO NOTHING",
        )?
        .execute(params![agent.name, now])?;
        for (skill, level) in &agent.skills {
            to.prepare_cached("INSERT INTO agent_skills (agent, skill, level) VALUES (?1, ?2, ?3)")?
                .execute(params![agent.name, skill, level])?;
        }
    }
    for queue in &config.queues {
        let service_level = i64::try_from(queue.service_level.as_nanos()).unwrap_or(i64::MAX);
        to.prepare_cached("INSERT INTO queues (name, strategy, service_level) VALUES (?1, ?2, ?3)")?
            .execute(params![queue.name, strategy(queue.strategy), service_level])?;
        let all = || config.agents.iter().map(|agent| agent.name.clone()).collect();
        let members: Vec<String> = queue.members.clone().unwrap_or_else(all);
        for (position, agent) in members.iter().enumerate() {
            to.prepare_cached("INSERT INTO queue_members (queue, agent, position) VALUES (?1, ?2, ?3)")?
                .execute(params![queue.name, agent, position as i64])?;
        }
    }
    Ok(())
}

fn strategy(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::RoundRobin => "round_robin",
        Strategy::LongestIdle => "longest_idle",
        Strategy::FewestCalls => "fewest_calls",
        Strategy::LeastTalkTime => "least_talk_time",
        Strategy::Linear => "linear",
        Strategy::Random => "random",
        Strategy::RingAll => "ring_all",
    }
}
