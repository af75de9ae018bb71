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
use crate::talk::Start;

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
    /// Why something that was asked was not done.
    pub(crate) refused: UnboundedReceiver<ClientError>,
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
        let (ops, mut asked) = unbounded_channel();
        let (refusals, refused) = unbounded_channel();
        let (tell, news) = unbounded_channel();
        let (teller, whose) = (Arc::clone(&client), session.clone());
        // One thing after the other, so that the screen waits for none of it.
        let asking = tokio::spawn(async move {
            while let Some(op) = asked.recv().await {
                if let Err(error) = teller.submit(&whose, op).await {
                    let _ = refusals.send(error);
                }
            }
        });
        Ok(Self {
            client,
            session,
            frames,
            refused,
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

    /// The sessions of this session's folder.
    pub(crate) async fn sessions(&self, app: &App) -> Result<Vec<SessionHead>, ClientError> {
        let settings = app.conversation.settings.as_ref();
        let query = SessionQuery {
            workspace: settings.map(|settings| settings.workspace.to_string_lossy().into_owned()),
            id_prefix: None,
            limit: LISTED,
        };
        self.client.sessions(query).await
    }

    /// Does what was asked, and closes the session.
    pub(crate) async fn close(self) -> Result<SessionId, ClientError> {
        drop(self.ops);
        let _ = self.asking.await;
        self.client.close(&self.session).await?;
        Ok(self.session)
    }
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
    let mut lines = app.conversation.take_done();
    let hidden = lines.len().saturating_sub(AGAIN);
    lines.drain(..hidden);
    if hidden > 0 {
        let words =
            format!("· {hidden} earlier lines are not shown: `quire sessions show` has them");
        lines.insert(0, look::line(words, look::DIM));
    }
    app.conversation.show(lines);
    if let Some(repaired) = &opened.repaired {
        app.conversation.warn(repaired);
    }
}
