//! A session that is open: what it tells, and what it is asked, in order.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use quire_protocol::{
    Client, ClientError, Frame, Op, Opened, Seq, SessionHead, SessionId, SessionQuery,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::app::App;
use crate::look;
use crate::setup::{Room, Start};
use crate::travel::{Arrived, Journey};

/// Lines of an earlier conversation that are shown again.
const AGAIN: usize = 200;
/// Sessions that are listed.
const LISTED: usize = 15;

/// An open session.
pub(crate) struct Link {
    client: Arc<dyn Client>,
    session: SessionId,
    /// What is recorded, and what happens live.
    pub(crate) frames: BoxStream<'static, Frame>,
    /// What was asked and not done, and why.
    pub(crate) refused: UnboundedReceiver<(Op, ClientError)>,
    /// What came of journeys.
    pub(crate) arrived: UnboundedReceiver<Arrived>,
    arrivals: UnboundedSender<Arrived>,
    /// What was worked out meanwhile, to be shown.
    pub(crate) news: UnboundedReceiver<String>,
    tell: UnboundedSender<String>,
    ops: UnboundedSender<Op>,
    asking: JoinHandle<()>,
}

impl Link {
    /// Opens a session and folds what was recorded of it; its last lines are shown again.
    pub(crate) async fn open(
        client: Arc<dyn Client>,
        start: Start,
        app: &mut App,
    ) -> Result<Self, ClientError> {
        let (session, opened) = begin(&*client, start).await?;
        let mut frames = client.watch(&session, Seq(0));
        if let Some(opened) = &opened {
            catch_up(app, &mut frames, opened).await;
        }
        // Commands may be about the settings, which is what every journal begins with.
        while app.conversation.settings.is_none() {
            match frames.next().await {
                Some(Frame::Record(record)) => app.conversation.record(&record),
                Some(Frame::Delta(_)) => {}
                None => break,
            }
        }
        let (ops, mut asked) = unbounded_channel::<Op>();
        let (refusals, refused) = unbounded_channel();
        let (tell, news) = unbounded_channel();
        let (teller, whose) = (Arc::clone(&client), session.clone());
        // One thing after the other, so that the screen waits for none of it.
        let asking = tokio::spawn(async move {
            while let Some(op) = asked.recv().await {
                if let Err(error) = teller.submit(&whose, op.clone()).await {
                    let _ = refusals.send((op, error));
                }
            }
        });
        let (arrivals, arrived) = unbounded_channel();
        Ok(Self {
            client,
            session,
            frames,
            refused,
            arrived,
            arrivals,
            news,
            tell,
            ops,
            asking,
        })
    }

    /// Asks something of the session.
    pub(crate) fn ask(&self, op: Op) {
        // Who does not listen any more died with the session, which `frames` tells.
        let _ = self.ops.send(op);
    }

    /// Asks about the past; the answer arrives later.
    pub(crate) fn travel(&self, journey: Journey, app: &App) {
        let (client, session) = (Arc::clone(&self.client), self.session.clone());
        let arrivals = self.arrivals.clone();
        let workspace = workspace(app);
        tokio::spawn(async move {
            let arrived = go(&*client, session, workspace, journey).await;
            // Nobody waits for it on a screen that is gone.
            let _ = arrivals.send(arrived.unwrap_or_else(Arrived::Refused));
        });
    }

    /// Which session it is.
    pub(crate) fn session(&self) -> &SessionId {
        &self.session
    }

    /// Where sessions live.
    pub(crate) fn client(&self) -> Arc<dyn Client> {
        Arc::clone(&self.client)
    }

    /// Shows what comes of something, once it does.
    pub(crate) fn show_later(&self, work: impl Future<Output = String> + Send + 'static) {
        let tell = self.tell.clone();
        tokio::spawn(async move {
            // The screen may be gone by then.
            let _ = tell.send(work.await);
        });
    }

    /// The sessions of this session's folder in which something was said.
    pub(crate) async fn sessions(&self, app: &App) -> Result<Vec<SessionHead>, ClientError> {
        let query = SessionQuery {
            workspace: workspace(app),
            id_prefix: None,
            limit: 0,
        };
        let mut heads = self.client.sessions(query).await?;
        heads.retain(SessionHead::is_listed);
        heads.truncate(LISTED);
        Ok(heads)
    }

    /// Does what was asked, and closes the session.
    pub(crate) async fn close(self) -> Result<SessionId, ClientError> {
        drop(self.ops);
        let _ = self.asking.await;
        self.client.close(&self.session).await?;
        Ok(self.session)
    }
}

fn workspace(app: &App) -> Option<String> {
    let settings = app.conversation.settings.as_ref();
    settings.map(|settings| settings.workspace.to_string_lossy().into_owned())
}

async fn go(
    client: &dyn Client,
    session: SessionId,
    workspace: Option<String>,
    journey: Journey,
) -> Result<Arrived, ClientError> {
    Ok(match journey {
        Journey::Fork(before) => {
            let (message, content) = before.map(|said| (said.message, said.content)).unzip();
            let session = client.fork(&session, message).await?;
            let content = content.unwrap_or_default();
            Arrived::Forked { session, content }
        }
        Journey::TakeBack {
            to,
            conflicts,
            then,
        } => {
            let taken = client.take_back(&session, to.clone(), conflicts).await?;
            Arrived::TakenBack { taken, to, then }
        }
        Journey::Changes(since) => Arrived::Changed(client.changes(&session, since).await?),
        Journey::Tree => {
            let query = SessionQuery {
                workspace,
                ..SessionQuery::default()
            };
            let heads = client.sessions(query).await?;
            Arrived::Tree {
                heads,
                here: session,
            }
        }
    })
}

async fn begin(
    client: &dyn Client,
    start: Start,
) -> Result<(SessionId, Option<Opened>), ClientError> {
    match start {
        Start::New(settings) => Ok((client.start(settings).await?, None)),
        Start::Open { session, adapt } => {
            let opened = client.open(&session).await?;
            let recorded = opened.settings.clone();
            let settings = adapt(recorded.clone()).map_err(ClientError::Settings)?;
            if settings != recorded {
                client.submit(&session, Op::Configure { settings }).await?;
            }
            Ok((session, Some(opened)))
        }
    }
}

/// Folds what was recorded before; its last lines are shown again.
async fn catch_up(app: &mut App, frames: &mut BoxStream<'static, Frame>, opened: &Opened) {
    while app.conversation.seq < opened.last {
        match frames.next().await {
            Some(Frame::Record(record)) => app.conversation.record(&record),
            Some(Frame::Delta(_)) => {}
            None => break,
        }
    }
    if app.room == Room::Inline {
        show_last(app);
    }
    if let Some(repaired) = &opened.repaired {
        app.conversation.warn(repaired);
    }
}

/// Shows the last lines of what was recorded; a screen of its own keeps more by itself.
fn show_last(app: &mut App) {
    let mut lines = app.conversation.take_done();
    let hidden = lines.len().saturating_sub(AGAIN);
    lines.drain(..hidden);
    if hidden > 0 {
        let words =
            format!("· {hidden} earlier lines are not shown: `quire sessions show` has them");
        lines.insert(0, look::line(words, look::DIM));
    }
    app.conversation.show(lines);
}
