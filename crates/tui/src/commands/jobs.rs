//! `/jobs`: what runs in the background.

use quire_protocol::{counted, duration};

use super::{answer, pair};
use crate::app::App;
use crate::look;
use crate::rows::safe;
use crate::wish::Wish;

pub(super) fn jobs(app: &mut App, _: &str) -> Result<Vec<Wish>, String> {
    let jobs = &app.conversation.jobs;
    if jobs.is_empty() {
        return Ok(answer(app, "no background job runs in this session"));
    }
    let now_ms = (app.now_ms)();
    let count = counted(jobs.len() as u64, "background job");
    let mut lines = vec![look::line(format!("{count} of this session"), look::BOLD)];
    lines.extend(jobs.iter().map(|(job, running)| {
        let took = now_ms.saturating_sub(running.begun_ms) / 1_000 * 1_000;
        let name = format!("job {job} · for {}", duration(took));
        pair(&name, &safe(&running.about))
    }));
    app.conversation.show(lines);
    Ok(Vec::new())
}
