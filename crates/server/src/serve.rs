//! The host as a process: one for each person, found by its socket.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;

use crate::connection::{Host, serve};
use crate::hub::{Hosts, Hub};
use crate::pipe;
use crate::socket::Place;
use crate::web::{Gate, Token};
use crate::wire;

/// Connections at a time: some are left for what sessions open.
const FACES: usize = 400;
/// Connections over TCP at a time: they take no room from the socket's.
const FACES_OF_WEB: usize = 100;
/// Connections over TCP that have not said yet who they are. The one that has been silent for longest goes when there
/// are more, so that nobody who knows the token waits for those who do not.
const STRANGERS: usize = 64;

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
    /// The address cannot be listened at.
    #[error("cannot listen at {address}: {error}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        error: io::Error,
    },
    /// The token cannot be read or made.
    #[error("cannot use the token in {file}: {error}")]
    Token {
        /// Its file.
        file: PathBuf,
        /// What is wrong with it.
        error: io::Error,
    },
}

/// A host that listens.
pub struct Daemon {
    place: Place,
    listener: UnixListener,
    web: Option<(TcpListener, Arc<Gate>)>,
    host: Host,
    stop: mpsc::Receiver<Duration>,
}

impl Daemon {
    /// Takes the place of the one host and listens. `name` is the host's name and version, `environment`
    /// its own, for sessions that were left and for faces that bring none; a session that nobody looks
    /// at and that does nothing stays at hand for `idle`.
    pub fn listen(
        folder: &Path,
        hosts: Arc<dyn Hosts>,
        name: String,
        environment: BTreeMap<String, String>,
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
            web: None,
            host: Host {
                hub: Hub::new(hosts, &folder.join("at-work.json"), idle),
                name,
                environment: Arc::new(environment),
                stop: sender,
            },
            stop,
        })
    }

    /// Listens at an address as well, for those who know the token that is in the same folder, and for
    /// pages of these sites. Gives the address, whose port was chosen where it was 0.
    pub async fn listen_at(
        &mut self,
        address: SocketAddr,
        origins: Vec<String>,
    ) -> Result<SocketAddr, ServeError> {
        let folder = self.place.folder();
        let token = Token::keep(folder).map_err(|error| ServeError::Token {
            file: Token::file(folder),
            error,
        })?;
        let address_error = |error| ServeError::Address { address, error };
        let listener = TcpListener::bind(address).await.map_err(address_error)?;
        let bound = listener.local_addr().map_err(address_error)?;
        // As browsers write them.
        let origins = origins
            .iter()
            .map(|origin| origin.trim_end_matches('/').to_lowercase());
        let origins = origins.collect();
        self.web = Some((listener, Arc::new(Gate { token, origins })));
        Ok(bound)
    }

    /// Goes on with what the last host left, and serves faces until one of them, or `stop`, asks it to
    /// end.
    pub async fn serve(mut self, stop: impl Future<Output = Duration>) {
        let hub = Arc::clone(&self.host.hub);
        let environment = BTreeMap::clone(&self.host.environment);
        tokio::spawn(hub.take_up(environment));
        let web = self.web.map(|(listener, gate)| {
            let host = self.host.clone();
            tokio::spawn(async move { accept_web(&listener, &gate, &host).await })
        });
        let patience = tokio::select! {
            patience = stop => patience,
            Some(patience) = self.stop.recv() => patience,
            () = accept(&self.listener, &self.host) => Duration::ZERO,
        };
        // Whoever comes from here on finds nobody, and waits for the next host.
        self.place.leave();
        drop(self.listener);
        if let Some(web) = web {
            web.abort();
        }
        hub.drain(patience).await;
        // What was told last is still on its way to the faces.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Serves whoever comes. Ends when the socket is of no more use.
async fn accept(listener: &UnixListener, host: &Host) {
    let room = Arc::new(Semaphore::new(FACES));
    loop {
        // Whoever comes when there is none waits.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) if is_owner(&stream) => {
                let face = serve(pipe::of_socket(stream, wire::LONGEST), host.clone());
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

/// The same over TCP, for whoever knows the token.
async fn accept_web(listener: &TcpListener, gate: &Arc<Gate>, host: &Host) {
    let room = Arc::new(Semaphore::new(FACES_OF_WEB));
    let mut strangers: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let entering = enter(stream, Arc::clone(gate), Arc::clone(&room), host.clone());
                strangers.retain(|entering| !entering.is_finished());
                if strangers.len() >= STRANGERS
                    && let Some(oldest) = strangers.pop_front()
                {
                    oldest.abort();
                }
                strangers.push_back(tokio::spawn(entering).abort_handle());
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Serves somebody, once he has said that he knows the token.
async fn enter(stream: TcpStream, gate: Arc<Gate>, room: Arc<Semaphore>, host: Host) {
    // Who was not let in was told why.
    let Ok(ends) = gate.admit(stream).await else {
        return;
    };
    if let Ok(place) = room.acquire_owned().await {
        // He is no stranger any more.
        tokio::spawn(async move {
            serve(ends, host).await;
            drop(place);
        });
    }
}

/// Whether the other side is a process of the same user.
fn is_owner(stream: &UnixStream) -> bool {
    let owner = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == owner)
}
