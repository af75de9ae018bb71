//! Background jobs and the job tool that polls and kills them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quire_protocol::{
    CallId, CommandEnd, JobEnd, JobId, Process, ToolInput, ToolOutcome, ToolSpec, ToolStatus,
};
use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::arguments::Arguments;
use crate::calls::{Stop, lock};
use crate::drive::{Ending, Live, drive};
use crate::spool::{Keeper, Shown, Spool};
use crate::text;

const SHAPE: &str = "{action: \"poll\" | \"kill\" | \"list\", job?: int, wait_s?: int}";
const MOST_RUNNING: usize = 32;
/// Jobs that are remembered after they ended.
const MOST_ENDED: usize = 64;
const MOST_WAIT_S: u64 = 600;

pub(crate) fn spec() -> ToolSpec {
    ToolSpec {
        name: "job".to_owned(),
        description: "Background jobs: poll for new output (wait_s waits for the end that long), \
                      kill, or list."
            .to_owned(),
        input: ToolInput::Json(json!({
            "type": "object",
            "properties": {
                "action": {"enum": ["poll", "kill", "list"]},
                "job": {"type": "integer"},
                "wait_s": {"type": "integer", "description": "At most 600"},
            },
            "required": ["action"],
        })),
    }
}

/// What a call of the job tool asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobRequest {
    List,
    Poll { job: JobId, wait: Duration },
    Kill { job: JobId },
}

impl JobRequest {
    pub(crate) fn parse(arguments: &str) -> Result<Self, String> {
        let arguments = Arguments::parse(arguments, SHAPE)?;
        let job = || {
            let number = arguments
                .count("job")?
                .ok_or_else(|| arguments.wrong("`job` is missing"))?;
            u32::try_from(number)
                .map(JobId)
                .map_err(|_| arguments.wrong("`job` is no job's number"))
        };
        match arguments.text(&["action"])?.as_str() {
            "list" => Ok(Self::List),
            "kill" => Ok(Self::Kill { job: job()? }),
            "poll" => Ok(Self::Poll {
                job: job()?,
                wait: Duration::from_secs(arguments.count("wait_s")?.unwrap_or(0).min(MOST_WAIT_S)),
            }),
            other => Err(arguments.wrong(&format!("`{other}` is no action"))),
        }
    }
}

/// A job.
struct Job {
    id: JobId,
    command: String,
    begun: Instant,
    spool: Mutex<Spool>,
    stop: Stop,
    /// How it ended; none while it runs.
    outcome: watch::Sender<Option<String>>,
    announced: Mutex<Announced>,
}

/// Who tells the engine of a job's end; it is told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Announced {
    NotYet,
    /// `stop_jobs` will.
    ByStop,
    /// `job_ended` does.
    ByItself,
}

impl Job {
    fn outcome(&self) -> Option<String> {
        self.outcome.borrow().clone()
    }

    async fn over(&self) -> String {
        let mut outcome = self.outcome.subscribe();
        let ended = outcome
            .wait_for(Option::is_some)
            .await
            .expect("the sender lives as long as `self`");
        ended.clone().unwrap_or_default()
    }
}

/// All jobs of a toolbox.
#[derive(Clone, Default)]
pub(crate) struct Jobs {
    table: Arc<Mutex<BTreeMap<JobId, Arc<Job>>>>,
    ended: Arc<EndedQueue>,
}

/// Ends that the engine has not been told of yet.
#[derive(Default)]
struct EndedQueue {
    ends: Mutex<VecDeque<JobEnd>>,
    more: Notify,
}

impl Jobs {
    /// Fails when too many jobs run.
    pub(crate) fn check_room(&self) -> Result<(), String> {
        let running = self
            .all()
            .iter()
            .filter(|job| job.outcome().is_none())
            .count();
        if running >= MOST_RUNNING {
            return Err(format!("{running} jobs run already: kill one first"));
        }
        Ok(())
    }

    /// Follows a process as a job from here on.
    pub(crate) fn begin(
        &self,
        id: JobId,
        command: &str,
        process: Arc<dyn Process>,
        deadline: Option<Instant>,
    ) {
        let job = Arc::new(Job {
            id,
            command: command.to_owned(),
            begun: Instant::now(),
            spool: Mutex::default(),
            stop: Stop::new(),
            outcome: watch::Sender::new(None),
            announced: Mutex::new(Announced::NotYet),
        });
        self.remember(Arc::clone(&job));
        let ended = Arc::clone(&self.ended);
        tokio::spawn(async move {
            let live = Live::none(CallId(id.0));
            let ending = drive(&*process, &job.spool, live, deadline, &job.stop).await;
            let outcome = match ending {
                Ending::Own(end) => CommandEnd::from(end).to_string(),
                Ending::TimedOut => "timed out and was killed".to_owned(),
                Ending::Stopped => "killed".to_owned(),
            };
            let mut announced = lock(&job.announced);
            job.outcome.send_replace(Some(outcome.clone()));
            if *announced == Announced::NotYet {
                *announced = Announced::ByItself;
                lock(&ended.ends).push_back(JobEnd { job: id, outcome });
                ended.more.notify_one();
            }
        });
    }

    fn remember(&self, job: Arc<Job>) {
        let mut table = lock(&self.table);
        table.insert(job.id, job);
        let ended: Vec<JobId> = table
            .values()
            .filter(|job| job.outcome().is_some())
            .map(|job| job.id)
            .collect();
        for id in ended.iter().take(ended.len().saturating_sub(MOST_ENDED)) {
            table.remove(id);
        }
    }

    fn all(&self) -> Vec<Arc<Job>> {
        lock(&self.table).values().cloned().collect()
    }

    fn find(&self, id: JobId) -> Result<Arc<Job>, String> {
        let table = lock(&self.table);
        table.get(&id).cloned().ok_or_else(|| {
            let known: Vec<String> = table.keys().map(ToString::to_string).collect();
            if known.is_empty() {
                format!("there is no job {id}, nor any other")
            } else {
                format!("there is no job {id}; there are: {}", known.join(", "))
            }
        })
    }

    /// Waits for the next end that `stop_all` does not answer for.
    pub(crate) async fn ended(self) -> JobEnd {
        loop {
            let more = self.ended.more.notified();
            if let Some(end) = lock(&self.ended.ends).pop_front() {
                return end;
            }
            more.await;
        }
    }

    /// Wants every job dead, without waiting.
    pub(crate) fn stop_all(&self) {
        for job in self.all() {
            job.stop.stop();
        }
    }

    /// Kills every job, waits until all are dead, and says how those ended that nobody was told
    /// of.
    pub(crate) async fn kill_all(self) -> Vec<JobEnd> {
        let mut claimed = Vec::new();
        let jobs = self.all();
        for job in &jobs {
            let mut announced = lock(&job.announced);
            if *announced == Announced::NotYet {
                *announced = Announced::ByStop;
                claimed.push(job.id);
            }
            drop(announced);
            job.stop.stop();
        }
        let mut ends = Vec::new();
        for job in jobs {
            let outcome = job.over().await;
            if claimed.contains(&job.id) {
                ends.push(JobEnd {
                    job: job.id,
                    outcome,
                });
            }
        }
        ends
    }

    /// Runs the job tool.
    pub(crate) async fn run(
        &self,
        request: JobRequest,
        keeper: Keeper<'_>,
        stop: &Stop,
    ) -> Result<ToolOutcome, String> {
        let Shown { text, lines } = match request {
            JobRequest::List => self.list(),
            JobRequest::Poll { job, wait } => {
                let job = self.find(job)?;
                tokio::select! {
                    _ = job.over() => {}
                    () = tokio::time::sleep(wait) => {}
                    () = stop.stopped() => {}
                }
                report(&job, keeper).await
            }
            JobRequest::Kill { job } => {
                let job = self.find(job)?;
                job.stop.stop();
                job.over().await;
                report(&job, keeper).await
            }
        };
        Ok(ToolOutcome {
            lines: Some(lines),
            ..ToolOutcome::text(ToolStatus::Done, text)
        })
    }

    fn list(&self) -> Shown {
        let lines: Vec<String> = self
            .all()
            .iter()
            .map(|job| format!("{}: {}", state(job), text::cut(&job.command, 200)))
            .collect();
        let text = if lines.is_empty() {
            "There are no jobs".to_owned()
        } else {
            lines.join("\n")
        };
        Shown {
            text,
            lines: lines.len() as u64,
        }
    }
}

/// A running job says for how long, so that polling it is never the same call with the same
/// result.
fn state(job: &Job) -> String {
    match job.outcome() {
        Some(outcome) => format!("Job {} ended: {outcome}", job.id),
        None => format!(
            "Job {} runs for {} s",
            job.id,
            job.begun.elapsed().as_secs()
        ),
    }
}

/// The job's state and what it printed since the last time.
async fn report(job: &Job, keeper: Keeper<'_>) -> Shown {
    let state = state(job);
    let spool = std::mem::take(&mut *lock(&job.spool));
    if spool.is_empty() {
        return Shown {
            text: format!("{state}\n(no new output)"),
            lines: 0,
        };
    }
    let Shown { text, lines } = spool.shown(keeper).await;
    Shown {
        text: format!("{state}\n{}", text.trim_end()),
        lines,
    }
}
