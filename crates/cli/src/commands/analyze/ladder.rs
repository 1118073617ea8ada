//! A call as a ladder: a column for each address, an arrow for each message.

use std::fmt::Write as _;

use callwright_capture::analysis::{Call, Ladder, Row, RowKind};

use super::text::{BOLD, CYAN, DIM, YELLOW, paint, plain};

/// Columns of a terminal between two rungs.
const NARROWEST: usize = 22;
const WIDEST: usize = 46;
/// The first and the last rows shown when there are many.
const SHOWN: usize = 120;

/// The ladder of a call; with the messages themselves where the analysis kept them.
pub(super) fn draw(call: &Call, with_text: bool) -> String {
    let ladder = &call.ladder;
    if ladder.rows.is_empty() {
        return String::new();
    }
    let width = width_of(ladder);
    let mut out = format!(
        "\n{}  {}\n",
        paint(BOLD, format!("call {}", call.number)),
        paint(
            DIM,
            call.legs
                .iter()
                .map(|leg| plain(&leg.call_id))
                .collect::<Vec<_>>()
                .join(", ")
        )
    );
    let names = ladder
        .parties
        .iter()
        .map(|party| party.name.clone().unwrap_or_default());
    if ladder.parties.iter().any(|party| party.name.is_some()) {
        let _ = writeln!(out, "{}", paint(CYAN, heads(names, width).trim_end()));
    }
    let addresses = ladder.parties.iter().map(|party| party.address.to_string());
    let _ = writeln!(out, "{}", paint(CYAN, heads(addresses, width).trim_end()));
    let total = ladder.rows.len();
    for (place, row) in ladder.rows.iter().enumerate() {
        if total > SHOWN && place == SHOWN / 2 {
            let _ = writeln!(out, "{}", paint(DIM, format!("{MARGIN}… {} more", total - SHOWN)));
        }
        if total > SHOWN && (SHOWN / 2..total - SHOWN / 2).contains(&place) {
            continue;
        }
        let _ = writeln!(out, "{}", line(row, ladder.parties.len(), width));
        if with_text && let Some(text) = &row.text {
            for line in text.lines() {
                let _ = writeln!(out, "{}", paint(DIM, format!("{MARGIN}{}", plain(line))));
            }
        }
    }
    if ladder.rows_dropped > 0 {
        let _ = writeln!(
            out,
            "{}",
            paint(
                DIM,
                format!("{MARGIN}… {} further messages were not kept", ladder.rows_dropped)
            )
        );
    }
    out
}

/// Before the first rung: time and packet.
const MARGIN: &str = "                  ";

/// As wide as the longest label wants, within reason.
fn width_of(ladder: &Ladder) -> usize {
    let label = |row: &Row| label(row).chars().count() + 6;
    let wanted = ladder.rows.iter().map(label).max().unwrap_or(0);
    let heads = ladder
        .parties
        .iter()
        .map(|party| party.address.to_string().chars().count() + 2)
        .max()
        .unwrap_or(0);
    let widest = if ladder.parties.len() > 3 { 34 } else { WIDEST };
    wanted.clamp(NARROWEST, widest).max(heads)
}

fn heads(names: impl Iterator<Item = String>, width: usize) -> String {
    names.fold(MARGIN.to_owned(), |line, name| {
        let cut: String = plain(&name).chars().take(width - 1).collect();
        format!("{line}{cut:<width$}")
    })
}

fn label(row: &Row) -> String {
    match row.kind {
        RowKind::Request | RowKind::Stream => plain(&row.summary).into_owned(),
        // A response alone does not say to what.
        RowKind::Response => {
            let method = row.cseq.split_once(' ').map_or("", |(_, method)| method);
            format!("{} [{}]", plain(&row.summary), plain(method))
        }
    }
}

fn line(row: &Row, columns: usize, width: usize) -> String {
    let margin = format!("{:>9.3} {:>7} ", row.at.as_secs_f64(), row.packet);
    let (left, right) = (row.from.min(row.to), row.from.max(row.to));
    let mut text = paint(DIM, margin);
    for column in 0..columns {
        text.push(
            if row.kind == RowKind::Stream && (left..=right).contains(&column) {
                '┆'
            } else {
                '│'
            },
        );
        if column < left || column >= right {
            if column + 1 < columns {
                text += &" ".repeat(width - 1);
            }
        } else if column == left {
            text += &arrow(row, (right - left) * width - 1);
        }
        if column >= left && column < right {
            // The arrow runs over the rungs between.
            if column > left {
                text.pop();
            }
        }
    }
    if row.from == row.to {
        let _ = write!(text, " ↺ {}", label(row));
    }
    if row.again {
        text += &paint(YELLOW, " (again)");
    }
    if let Some(comment) = &row.comment {
        text += &paint(DIM, format!("  {}", plain(comment)));
    }
    text
}

/// A label in an arrow of this length, to the right or to the left.
fn arrow(row: &Row, length: usize) -> String {
    let dash = if row.kind == RowKind::Stream { '┄' } else { '─' };
    let room = length.saturating_sub(5);
    let mut label = label(row);
    if label.chars().count() > room {
        label = label.chars().take(room.saturating_sub(1)).collect();
        label.push('…');
    }
    let rest = length - 4 - label.chars().count();
    let dashes = |count: usize| dash.to_string().repeat(count);
    if row.from < row.to {
        format!("{dash} {label} {}>", dashes(rest))
    } else {
        format!("<{} {label} {dash}", dashes(rest))
    }
}
