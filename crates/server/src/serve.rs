//! The host as a process: one for each person, found by its socket.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};

use crate::connection::{Host, serve};
use crate::hub::{Hosts, Hub};
use crate::socket::Place;

/// Connections at a time: some are left for what sessions open.
const FACES: usize = 400;

/// Why there is no host.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another process is it.
    #[error("another process hosts the sessions of {0} already: `quire serve --stop` ends it")]
    Taken(PathBuf),
    /// The socket's folder cannot be used.
    #[error("cannot listen in {folder}: {error}")]
    Place {
        /// The folder.
        folder: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
}

/// A host that listens.
pub struct Daemon {
    place: Place,
    listener: UnixListener,
    host: Host,
    stop: mpsc::Receiver<Duration>,
}

impl Daemon {
    /// Takes the place of the one host and listens. `name` is the host's name and version; a session
    /// that nobody looks at and that does nothing stays at hand for `idle`.
    pub fn listen(
        folder: &Path,
        hosts: Arc<dyn Hosts>,
        name: String,
        idle: Duration,
    ) -> Result<Self, ServeError> {
        let place_error = |error| ServeError::Place {
            folder: folder.to_owned(),
            error,
        };
        let place = Place::take(folder).map_err(place_error)?;
        let place = place.ok_or_else(|| ServeError::Taken(folder.to_owned()))?;
        let listener = place.listen().map_err(place_error)?;
        let (sender, stop) = mpsc::channel(1);
        Ok(Self {
            place,
            listener,
            host: Host {
                hub: Hub::new(hosts, &folder.join("at-work.json"), idle),
                name,
                stop: sender,
            },
            stop,
        })
    }

    /// Goes on with what the last host left, and serves faces until one of them, or `stop`, asks it to
    /// end. `environment` is for the sessions that were left.
    pub async fn serve(
        mut self,
        environment: BTreeMap<String, String>,
        stop: impl Future<Output = Duration>,
    ) {
        let hub = Arc::clone(&self.host.hub);
        let taking_up = Arc::clone(&hub);
        tokio::spawn(async move { taking_up.take_up(environment).await });
        let patience = tokio::select! {
            patience = stop => patience,
            Some(patience) = self.stop.recv() => patience,
            () = accept(&self.listener, &self.host) => Duration::ZERO,
        };
        // Whoever comes from here on finds nobody, and waits for the next host.
        self.place.leave();
        drop(self.listener);
        hub.drain(patience).await;
        // What was told last is still on its way to the faces.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Serves whoever comes. Ends when the socket is of no more use.
async fn accept(listener: &UnixListener, host: &Host) {
    let mut faces = 0;
    let room = Arc::new(Semaphore::new(FACES));
    loop {
        // Whoever comes when there is none waits.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) if is_owner(&stream) => {
                faces += 1;
                let face = serve(stream, host.clone(), faces);
                tokio::spawn(async move {
                    face.await;
                    drop(place);
                });
            }
            // Nobody else is told anything.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
            // Out of files: some will be given back.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Whether the other side is a process of the same user.
fn is_owner(stream: &UnixStream) -> bool {
    let owner = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == owner)
}
