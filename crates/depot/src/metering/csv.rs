//! Usage as CSV (RFC 4180), read in pieces so that a year of it needs no memory.

use std::fmt::Write as _;

use quire_protocol::Day;

use super::{UsageFilter, UsageRow, columns};
use crate::{Database, Error, OrganisationId, Statement};

/// So many rows are read at once.
const ROWS: u32 = 1_000;

const HEADER: &str = "time,request,workspace,key,model_asked,model_served,upstream,api,input,\
    cache_read,cache_write_5m,cache_write_1h,output,thinking,web_searches,cost_usd,service_tier,\
    inference_geo,speed,batch,context_window,status,streamed,latency_ms,estimated\r\n";

/// A CSV text that is read piece by piece.
#[derive(Debug)]
pub struct CsvRows {
    database: Database,
    organisation: OrganisationId,
    filter: UsageFilter,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Header,
    First,
    Behind(i64, String),
    End,
}

impl CsvRows {
    pub(super) fn new(
        database: Database,
        organisation: OrganisationId,
        filter: UsageFilter,
    ) -> Self {
        Self {
            database,
            organisation,
            filter,
            place: Place::Header,
        }
    }

    /// The next lines, the header first; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<String>, Error> {
        let from = self.filter.starting_at;
        let (at, request) = match &self.place {
            Place::Header => {
                self.place = Place::First;
                return Ok(Some(HEADER.to_owned()));
            }
            Place::First => (from, ""),
            Place::Behind(at, request) => (*at, request.as_str()),
            Place::End => return Ok(None),
        };
        let (conditions, values) =
            self.filter
                .conditions(&self.organisation, from, self.filter.ending_at);
        let next = values.len() + 1;
        let sql = format!(
            "SELECT {} FROM usage WHERE {conditions} AND (at, request) > (${next}, ${}) \
             ORDER BY at, request LIMIT {ROWS}",
            columns::COLUMNS,
            next + 1
        );
        let statement = values
            .into_iter()
            .fold(Statement::new(sql), Statement::bind);
        let rows = self
            .database
            .query(statement.bind(at).bind(request))
            .await?;
        let mut lines = String::new();
        let mut place = Place::End;
        for row in &rows {
            let row = columns::row(row)?;
            push_line(&mut lines, &row);
            place = Place::Behind(row.at, row.request.to_string());
        }
        self.place = place;
        Ok((!lines.is_empty()).then_some(lines))
    }
}

fn push_line(out: &mut String, row: &UsageRow) {
    let (tokens, texts) = (
        &row.usage,
        [
            row.request.as_str(),
            row.workspace.as_str(),
            row.key.as_str(),
            &row.model_asked,
            &row.model_served,
            &row.upstream,
            &row.api,
        ],
    );
    push_time(out, row.at);
    for text in texts {
        push_text(out, text);
    }
    let counts = [
        tokens.input,
        tokens.cache_read,
        tokens.cache_write_5m,
        tokens.cache_write_1h,
        tokens.output,
        tokens.thinking,
        row.web_searches,
    ];
    for count in counts {
        let _ = write!(out, ",{count}");
    }
    let _ = write!(out, ",{}", row.cost);
    for text in [&row.service_tier, &row.inference_geo, &row.speed] {
        push_text(out, text);
    }
    let _ = write!(
        out,
        ",{},{},{},{},{},{}\r\n",
        row.batch,
        row.context_window.as_str(),
        row.status,
        row.streamed,
        row.latency_ms,
        row.estimated
    );
}

/// RFC 3339, in UTC.
fn push_time(out: &mut String, at: i64) {
    let at = u64::try_from(at).unwrap_or(0);
    let (day, ms) = (Day::of(at), at % 86_400_000);
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    let _ = write!(
        out,
        "{day}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z",
        ms % 1_000
    );
}

/// A field of text, quoted where it must be. One that a spreadsheet would run as a formula gets an
/// apostrophe: the names of models are whatever clients send.
fn push_text(out: &mut String, text: &str) {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = format!("{}{text}", if formula { "'" } else { "" });
    if text.contains(['"', ',', '\n', '\r']) {
        let _ = write!(out, ",\"{}\"", text.replace('"', "\"\""));
    } else {
        let _ = write!(out, ",{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_no_formula_is_left() {
        for (text, field) in [
            ("opus", ",opus"),
            ("a,b", ",\"a,b\""),
            ("say \"hi\"", ",\"say \"\"hi\"\"\""),
            ("=1+1", ",'=1+1"),
            ("@SUM(1,2)", ",\"'@SUM(1,2)\""),
            ("two\nlines", ",\"two\nlines\""),
        ] {
            let mut out = String::new();
            push_text(&mut out, text);
            assert_eq!(out, field);
        }
    }

    #[test]
    fn times_are_those_of_utc() {
        let mut out = String::new();
        push_time(&mut out, 1_764_079_387_123);
        assert_eq!(out, "2025-11-25T14:03:07.123Z");
    }
}
