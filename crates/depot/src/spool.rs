//! The spool: what is under way, on disk, so that what was streamed is billed once even if the server is
//! killed. It holds rows until they are in the database, whose ids make recording them twice harmless.
//!
//! Each process appends to segments of its own, under a lock that the system drops when the process
//! dies, however it dies. Against that death the page cache is enough, so nothing here syncs; a row
//! leaves its segment only once the database has it, synced.

mod record;
mod recover;
mod segment;

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quire_protocol::{CostSplit, Money, Usage};

use record::{Begun, Slot};
use segment::Segment;

use crate::metering::ContextWindow;
use crate::{Error, Metering, UsageRow};

pub use recover::Recovered;

/// So many rows are recorded in one transaction.
const ROWS: usize = 512;

/// What a token of each kind costs, every multiplier of the request included: by this a request that
/// never ended is billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// A token of the prompt.
    pub input: Money,
    /// A token that was read from a cache.
    pub cache_read: Money,
    /// A token that was written to a short cache.
    pub cache_write_5m: Money,
    /// A token that was written to a long cache.
    pub cache_write_1h: Money,
    /// A token of the reply.
    pub output: Money,
}

impl Rates {
    /// What so many tokens cost.
    pub fn cost(&self, usage: &Usage) -> CostSplit {
        CostSplit {
            input: self.input.times(usage.input),
            cache_read: self.cache_read.times(usage.cache_read),
            cache_write_5m: self.cache_write_5m.times(usage.cache_write_5m),
            cache_write_1h: self.cache_write_1h.times(usage.cache_write_1h),
            output: self.output.times(usage.output),
        }
    }
}

/// The spool of this process. Clones are handles of the same one.
#[derive(Clone, Debug)]
pub struct Spool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    owner: String,
    /// Tells other processes that this one lives.
    lock: File,
    state: Mutex<State>,
    /// One drain at a time.
    draining: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Oldest first; the last is the one that is written.
    segments: VecDeque<Arc<Segment>>,
    /// The number of the next segment.
    next: u64,
    /// Rows that the disk did not take, with the segments of their beginnings.
    stranded: Vec<(UsageRow, Arc<Segment>)>,
}

impl Spool {
    /// Opens a spool of this process's own in a folder that it may share with other processes.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let (owner, lock) = recover::become_owner(folder)?;
        Ok(Self(Arc::new(Shared {
            folder: folder.to_owned(),
            owner,
            lock,
            state: Mutex::default(),
            draining: tokio::sync::Mutex::default(),
        })))
    }

    /// Notes a request before anything of it goes upstream. The row is what is billed if nothing more is
    /// heard of it: its `usage` is that of the prompt, as estimated.
    pub fn begin(&self, row: UsageRow, rates: Rates) -> Result<Ticket, Error> {
        let (bytes, slots) = record::begun(&row, &rates);
        let (segment, at) = self.0.append(&bytes, Segment::begin)?;
        Ok(Ticket {
            open: Some(Open { row, rates }),
            slot: Slot {
                generation: 0,
                usage: Usage::default(),
            },
            at: at + slots,
            segment,
            shared: Arc::clone(&self.0),
        })
    }

    /// Moves rows of ended requests into the database and says how many were there. Call it about once a
    /// second; while the database cannot be reached it costs nothing but disk.
    pub async fn drain(&self, metering: &Metering) -> Result<u64, Error> {
        let _alone = self.0.draining.lock().await;
        let mut moved = 0;
        let segments: Vec<_> = self.0.lock().segments.iter().cloned().collect();
        for segment in segments {
            loop {
                let ended = segment::read_ended(&segment).await?;
                for some in ended.rows.chunks(ROWS) {
                    metering.record(some).await?;
                    moved += some.len() as u64;
                }
                segment.drained_to(ended.until);
                if ended.last {
                    break;
                }
            }
        }
        let stranded = std::mem::take(&mut self.0.lock().stranded);
        let rows: Vec<_> = stranded.iter().map(|(row, _)| row.clone()).collect();
        if let Err(error) = metering.record(&rows).await {
            self.0.lock().stranded.extend(stranded);
            return Err(error);
        }
        moved += rows.len() as u64;
        for (_, segment) in &stranded {
            segment.end();
        }
        self.0.free()?;
        Ok(moved)
    }

    /// Records what servers left that died. Call it at the start, and now and then.
    pub async fn recover(&self, metering: &Metering) -> Result<Recovered, Error> {
        recover::run(&self.0.folder, metering).await
    }

    /// Drains for the last time and leaves no file behind unless a request is still under way. Whatever
    /// begins afterwards is the next server's to recover.
    pub async fn finish(self, metering: &Metering) -> Result<u64, Error> {
        let moved = self.drain(metering).await?;
        let mut state = self.0.lock();
        if state.segments.iter().all(|segment| segment.is_done()) && state.stranded.is_empty() {
            for segment in state.segments.drain(..) {
                segment.delete()?;
            }
            recover::cease(&self.0.folder, &self.0.owner, &self.0.lock)?;
        }
        drop(state);
        Ok(moved)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a record to the segment that is written, a new one if that is full, and does something
    /// with the segment before another may.
    fn append(&self, bytes: &[u8], then: fn(&Segment)) -> Result<(Arc<Segment>, u64), Error> {
        let mut state = self.lock();
        let current = match state.segments.back() {
            Some(last) if last.has_room() => Arc::clone(last),
            Some(_) | None => {
                let new = Segment::create(&self.folder, &self.owner, state.next)?;
                state.next += 1;
                let new = Arc::new(new);
                state.segments.push_back(Arc::clone(&new));
                new
            }
        };
        let at = current.append(bytes)?;
        then(&current);
        Ok((current, at))
    }

    /// Deletes the segments that hold nothing any more.
    fn free(&self) -> Result<(), Error> {
        let mut state = self.lock();
        let Some(current) = state.segments.back().map(|last| last.number()) else {
            return Ok(());
        };
        let (done, kept): (VecDeque<_>, VecDeque<_>) = state
            .segments
            .drain(..)
            .partition(|segment| segment.number() != current && segment.is_done());
        state.segments = kept;
        drop(state);
        done.iter().try_for_each(|segment| segment.delete())
    }
}

/// A request under way. Dropping it without [`Ticket::close`] bills its progress, as estimated.
#[derive(Debug)]
pub struct Ticket {
    open: Option<Open>,
    slot: Slot,
    /// Where its two slots are.
    at: u64,
    segment: Arc<Segment>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Open {
    row: UsageRow,
    rates: Rates,
}

impl Ticket {
    /// Notes what was used so far, the prompt included. It costs a microsecond: call it with every chunk.
    pub fn progress(&mut self, usage: &Usage) -> Result<(), Error> {
        self.slot.generation += 1;
        self.slot.usage = *usage;
        self.write_slot(record::State::UnderWay)
    }

    /// Notes what is billed in the end. After an error the row is in memory alone, and is recorded with
    /// the next drain.
    pub fn close(mut self, row: &UsageRow) -> Result<(), Error> {
        self.open = None;
        self.end(row)
    }

    /// The end's record comes first: between the two writes the request is found ended and under way,
    /// and the end is what counts.
    fn end(&mut self, row: &UsageRow) -> Result<(), Error> {
        if let Err(error) = self.shared.append(&record::ended(row), |_| ()) {
            let stranded = (row.clone(), Arc::clone(&self.segment));
            self.shared.lock().stranded.push(stranded);
            return Err(error);
        }
        self.slot.generation += 1;
        // The end's record is enough; the mark spares the next server a look for it.
        let _ = self.write_slot(record::State::Ended);
        self.segment.end();
        Ok(())
    }

    /// Writes the two slots in turn, so that one of them is whole at any moment.
    fn write_slot(&self, state: record::State) -> Result<(), Error> {
        let bytes = self.slot.encode(state);
        let which = u64::from(self.slot.generation % 2);
        let at = self.at + which * record::SLOT_BYTES as u64;
        self.segment.write(&bytes, at)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            let progress = (self.slot.generation > 0).then_some(self.slot.usage);
            let row = Begun {
                row: open.row,
                rates: open.rates,
                progress,
            };
            // What the disk does not take waits in memory.
            let _ = self.end(&row.estimate());
        }
    }
}

impl Begun {
    /// What a request is billed whose end nobody knows.
    fn estimate(self) -> UsageRow {
        let usage = self.progress.unwrap_or(self.row.usage);
        let split = self.rates.cost(&usage);
        UsageRow {
            usage,
            cost: split.total(),
            split: Some(split),
            context_window: ContextWindow::of(usage.prompt()),
            estimated: true,
            ..self.row
        }
    }
}
