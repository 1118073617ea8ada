//! A ladder as it is drawn.

use callwright_capture::analysis::{Call, LadderParty, RowKind};
use serde::Serialize;

use crate::verdict::user;

/// The width of the times on the left.
const TIMES: u32 = 84;
/// The distance between two columns.
const COLUMN: u32 = 250;
/// The distance between two rows.
const ROW: u32 = 30;
/// Where the first row is.
const TOP: u32 = 64;
/// What there is room for above an arrow, in characters.
const ROOM: usize = 34;

/// A ladder: columns with names, and arrows between them.
#[derive(Debug, Serialize)]
pub(super) struct Drawing {
    number: usize,
    width: u32,
    height: u32,
    columns: Vec<Column>,
    arrows: Vec<Arrow>,
    left_out: u64,
}

#[derive(Debug, Serialize)]
struct Column {
    x: u32,
    name: String,
    address: String,
}

#[derive(Debug, Serialize)]
struct Arrow {
    y: u32,
    from: u32,
    to: u32,
    /// The tip: three points.
    tip: String,
    middle: u32,
    kind: &'static str,
    time: String,
    label: String,
    /// All of it, for who points at it.
    title: String,
    again: bool,
}

impl Drawing {
    pub(super) fn of(call: &Call) -> Drawing {
        let ladder = &call.ladder;
        let x = |column: usize| TIMES + COLUMN / 2 + u32::try_from(column).unwrap_or(0) * COLUMN;
        let columns: Vec<Column> = ladder
            .parties
            .iter()
            .enumerate()
            .map(|(index, party)| Column {
                x: x(index),
                name: name_of(call, party),
                address: party.address.to_string(),
            })
            .collect();
        let arrows: Vec<Arrow> = ladder
            .rows
            .iter()
            .enumerate()
            .map(|(index, row)| {
                let (from, to) = (x(row.from), x(row.to));
                let y = TOP + u32::try_from(index).unwrap_or(0) * ROW + ROW;
                let back = if to >= from { to.saturating_sub(9) } else { to + 9 };
                let since = row.at.since(call.started).as_secs_f64();
                Arrow {
                    y,
                    from,
                    to,
                    tip: format!("{to},{y} {back},{} {back},{}", y - 4, y + 4),
                    middle: (from + to) / 2,
                    kind: match row.kind {
                        RowKind::Request => "request",
                        RowKind::Response => "response",
                        RowKind::Stream => "stream",
                    },
                    time: format!("{since:.3} s"),
                    label: shortened(&row.summary),
                    title: format!("packet {}: {} {}", row.packet, row.summary, row.cseq),
                    again: row.again,
                }
            })
            .collect();
        let rows = u32::try_from(arrows.len()).unwrap_or(0);
        let width = TIMES + COLUMN * u32::try_from(columns.len().max(2)).unwrap_or(2);
        Drawing {
            number: call.number,
            width,
            height: TOP + rows * ROW + ROW,
            columns,
            arrows,
            left_out: ladder.rows_dropped,
        }
    }
}

/// Who has this column: the customer, the call center, or whom it called.
fn name_of(call: &Call, party: &LadderParty) -> String {
    let mut legs = call.legs.iter();
    let first = legs.next();
    if first.is_some_and(|leg| leg.server == party.address) {
        return "call center".to_owned();
    }
    if first.is_some_and(|leg| leg.client == party.address) {
        return user(&call.caller).to_owned();
    }
    match legs.find(|leg| leg.server == party.address) {
        Some(leg) => user(&leg.dialled).to_owned(),
        None => party.name.clone().unwrap_or_default(),
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= ROOM {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(ROOM - 1).collect();
    short.push('…');
    short
}
