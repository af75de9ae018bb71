//! The bytes of a spool. A segment is a run of records at multiples of 64; each has a checksum, so that
//! one that was being written at the moment of death is known for what it is, and what is behind damage
//! is still found.

use quire_protocol::{CostSplit, Money, Usage};

use super::Rates;
use crate::UsageRow;
use crate::metering::ContextWindow;

/// Records begin at multiples of this.
const ALIGNMENT: usize = 64;
/// Magic, kind, length and checksum.
const HEAD: usize = 16;
/// No text contains this, as it is not UTF-8: none can pose as a record.
const MAGIC: [u8; 4] = [0xff, b'Q', b'S', 0xfe];
/// The bytes of a slot; a request under way has two.
pub(super) const SLOT_BYTES: usize = 64;
/// A text is cut to so many bytes.
const TEXT_BYTES: u16 = 2_048;
/// No record is longer.
const MOST_BYTES: usize = 64 * 1024;

const BEGUN: u8 = 1;
const ENDED: u8 = 2;

/// A request as it was when it began, and what is known of its progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    pub(super) row: UsageRow,
    pub(super) rates: Rates,
    pub(super) progress: Option<Usage>,
}

/// What a segment holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// A request under way.
    Begun(Box<Begun>),
    /// A request that was under way and is marked as ended.
    Marked,
    /// What is billed for one that ended.
    Ended(Box<UsageRow>),
}

/// Whether a slot says that its request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    UnderWay = 1,
    Ended = 2,
}

/// The progress of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// The slot with the higher one counts; 0 was never written.
    pub(super) generation: u32,
    pub(super) usage: Usage,
}

impl Slot {
    /// Its bytes, on the stack.
    pub(super) fn encode(&self, state: State) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        bytes[0..4].copy_from_slice(&self.generation.to_le_bytes());
        bytes[4] = state as u8;
        for (index, count) in counts(&self.usage).into_iter().enumerate() {
            let at = 8 + index * 8;
            bytes[at..at + 8].copy_from_slice(&count.to_le_bytes());
        }
        let sum = crc32fast::hash(&bytes[..56]);
        bytes[56..60].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<(Self, State)> {
        let sum = crc32fast::hash(bytes.get(..56)?);
        let mut reader = Reader(bytes);
        let generation = reader.u32()?;
        let state = match reader.u8()? {
            1 => State::UnderWay,
            2 => State::Ended,
            _ => return None,
        };
        reader.take(3)?;
        let usage = reader.usage()?;
        let whole = reader.u32()? == sum && generation > 0;
        whole.then_some((Self { generation, usage }, state))
    }
}

/// The record of a request that begins, and where in it the slots are.
pub(super) fn begun(row: &UsageRow, rates: &Rates) -> (Vec<u8>, u64) {
    let mut bytes = record(BEGUN, |bytes| {
        push_row(bytes, row);
        for rate in [
            rates.input,
            rates.cache_read,
            rates.cache_write_5m,
            rates.cache_write_1h,
            rates.output,
        ] {
            bytes.extend(rate.picos().to_le_bytes());
        }
    });
    let slots = bytes.len();
    bytes.resize(slots + 2 * SLOT_BYTES, 0);
    (bytes, slots as u64)
}

/// The record of what is billed in the end.
pub(super) fn ended(row: &UsageRow) -> Vec<u8> {
    record(ENDED, |bytes| {
        push_row(bytes, row);
        for part in row.split.iter().flat_map(CostSplit::parts) {
            bytes.extend(part.picos().to_le_bytes());
        }
    })
}

fn record(kind: u8, payload: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    bytes.extend(MAGIC);
    bytes.extend([kind, 0, 0, 0]);
    bytes.extend([0; 8]);
    payload(&mut bytes);
    let length = u32::try_from(bytes.len() - HEAD).unwrap_or(u32::MAX);
    bytes[8..12].copy_from_slice(&length.to_le_bytes());
    let sum = checksum(&bytes);
    bytes[12..16].copy_from_slice(&sum.to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    bytes
}

/// Of everything but itself.
fn checksum(record: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&record[..12]);
    hasher.update(&record[HEAD..]);
    hasher.finalize()
}

/// What the bytes of a segment hold, and how many of them could not be read.
pub(super) fn read(bytes: &[u8]) -> (Vec<Record>, u64) {
    let (mut records, mut torn) = (Vec::new(), 0);
    let mut at = 0;
    while at < bytes.len() {
        if let Some((record, length)) = one(&bytes[at..]) {
            records.push(record);
            at += length;
        } else {
            let end = bytes.len().min(at + ALIGNMENT);
            torn += (end - at) as u64;
            at = end;
        }
    }
    (records, torn)
}

/// The whole records at the beginning of a piece of a segment, and how many bytes they take.
pub(super) fn read_whole(bytes: &[u8]) -> (Vec<Record>, usize) {
    let (mut records, mut at) = (Vec::new(), 0);
    while let Some((record, length)) = one(&bytes[at..])
        && at + length <= bytes.len()
    {
        records.push(record);
        at += length;
    }
    (records, at)
}

/// The record at the beginning, and its length.
fn one(bytes: &[u8]) -> Option<(Record, usize)> {
    let mut head = Reader(bytes.get(..HEAD)?);
    if head.take(4)? != MAGIC {
        return None;
    }
    let kind = head.u8()?;
    head.take(3)?;
    let length = head.u32()? as usize;
    let sum = head.u32()?;
    if length > MOST_BYTES {
        return None;
    }
    let whole = bytes.get(..HEAD + length)?;
    if checksum(whole) != sum {
        return None;
    }
    let padded = (HEAD + length).next_multiple_of(ALIGNMENT);
    let mut payload = Reader(&whole[HEAD..]);
    let mut row = payload.row()?;
    if kind == ENDED {
        // Earlier versions wrote none.
        row.split = payload.split();
        return Some((Record::Ended(Box::new(row)), padded));
    }
    let rates = (kind == BEGUN).then(|| payload.rates()).flatten()?;
    // The slots of a record that was cut short there were never written.
    let slot = |index: usize| {
        let at = padded + index * SLOT_BYTES;
        Slot::decode(bytes.get(at..at + SLOT_BYTES)?)
    };
    let latest = [slot(0), slot(1)].into_iter().flatten();
    let latest = latest.max_by_key(|(slot, _)| slot.generation);
    let record = match latest {
        Some((_, State::Ended)) => Record::Marked,
        Some((slot, State::UnderWay)) => under_way(row, rates, Some(slot.usage)),
        None => under_way(row, rates, None),
    };
    Some((record, padded + 2 * SLOT_BYTES))
}

fn under_way(row: UsageRow, rates: Rates, progress: Option<Usage>) -> Record {
    Record::Begun(Box::new(Begun {
        row,
        rates,
        progress,
    }))
}

fn counts(usage: &Usage) -> [u64; 6] {
    [
        usage.input,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.output,
        usage.thinking,
    ]
}

fn push_row(bytes: &mut Vec<u8>, row: &UsageRow) {
    bytes.extend(row.at.to_le_bytes());
    for count in counts(&row.usage) {
        bytes.extend(count.to_le_bytes());
    }
    bytes.extend(row.web_searches.to_le_bytes());
    bytes.extend(row.cost.picos().to_le_bytes());
    bytes.extend(row.latency_ms.to_le_bytes());
    bytes.extend(row.status.to_le_bytes());
    let long = row.context_window == ContextWindow::Long;
    let flags = [row.batch, row.streamed, row.estimated, long];
    let flags = flags
        .iter()
        .rev()
        .fold(0, |all, flag| all << 1 | u8::from(*flag));
    bytes.push(flags);
    for text in [
        row.request.as_str(),
        row.organisation.as_str(),
        row.workspace.as_str(),
        row.key.as_str(),
        &row.model_asked,
        &row.model_served,
        &row.upstream,
        &row.api,
        &row.service_tier,
        &row.inference_geo,
        &row.speed,
    ] {
        let text = &text[..text.floor_char_boundary(TEXT_BYTES.into())];
        let length = u16::try_from(text.len()).unwrap_or(TEXT_BYTES);
        bytes.extend(length.to_le_bytes());
        bytes.extend(text.as_bytes());
    }
}

/// Takes values off the front of bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.u16()?;
        std::str::from_utf8(self.take(length.into())?).ok()
    }

    fn usage(&mut self) -> Option<Usage> {
        Some(Usage {
            input: self.u64()?,
            cache_read: self.u64()?,
            cache_write_5m: self.u64()?,
            cache_write_1h: self.u64()?,
            output: self.u64()?,
            thinking: self.u64()?,
        })
    }

    fn rates(&mut self) -> Option<Rates> {
        let split = self.split()?;
        Some(Rates {
            input: split.input,
            cache_read: split.cache_read,
            cache_write_5m: split.cache_write_5m,
            cache_write_1h: split.cache_write_1h,
            output: split.output,
        })
    }

    fn split(&mut self) -> Option<CostSplit> {
        let mut parts = [Money::ZERO; 5];
        for part in &mut parts {
            *part = Money::from_picos(self.i64()?);
        }
        Some(CostSplit::from_parts(parts))
    }

    fn row(&mut self) -> Option<UsageRow> {
        let (at, usage) = (self.i64()?, self.usage()?);
        let (web_searches, cost) = (self.u64()?, Money::from_picos(self.i64()?));
        let (latency_ms, status) = (self.u64()?, self.u16()?);
        let flags = self.u8()?;
        let flag = |bit: u8| flags >> bit & 1 == 1;
        Some(UsageRow {
            request: self.text()?.into(),
            at,
            organisation: self.text()?.into(),
            workspace: self.text()?.into(),
            key: self.text()?.into(),
            model_asked: self.text()?.to_owned(),
            model_served: self.text()?.to_owned(),
            upstream: self.text()?.to_owned(),
            api: self.text()?.to_owned(),
            usage,
            web_searches,
            cost,
            split: None,
            service_tier: self.text()?.to_owned(),
            inference_geo: self.text()?.to_owned(),
            speed: self.text()?.to_owned(),
            batch: flag(0),
            streamed: flag(1),
            estimated: flag(2),
            context_window: if flag(3) {
                ContextWindow::Long
            } else {
                ContextWindow::Short
            },
            status,
            latency_ms,
        })
    }
}

#[cfg(test)]
mod tests;
