//! The main process's side of the spawner: which cells there are, and the sandbox port.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, Weak};

use quire_protocol::{
    Command, Policy, Process, ProcessLimits, Sandbox, SandboxError, SandboxMode, SandboxReport,
    Wall,
};
use tokio::sync::Mutex;
use tokio::task::AbortHandle;

use crate::environment::{self, command_environment};
use crate::linux::ladder::{self, Order, Place, RUNGS, Verdict};
use crate::linux::landmarks::Landmarks;
use crate::linux::links::Reach;
use crate::linux::mounted::Breach;
use crate::linux::running::{Running, StartError};
use crate::linux::spare::Spare;
use crate::linux::sys::channel::{self, MESSAGE_BYTES, Wait};
use crate::linux::traps::{Traps, set_aside};
use crate::linux::wire::{self, CellAnswer, CommandOrder, MARKER};
use crate::linux::{PROXY_PORT, domains, proxy, trial};
use crate::options::Options;

/// How long a cell may take to be built, in milliseconds.
const BUILD_MS: i32 = 10_000;

/// How long a look at everything waits for more that ends, in milliseconds.
const LOOK_MS: i32 = 50;

/// What is told where nothing is left to be set aside.
const GONE_AGAIN: &str = "[quire: for a moment something made git here obey a configuration that a \
                          command wrote; it is gone again]\n";

/// How many idle cells are kept.
const CELLS: usize = 8;

/// Starts confined processes through a spawner process, which dies with this value; where it dies before, with all that
/// it confined, the next command has another one.
///
/// Its futures need a tokio runtime with IO.
pub struct Spawner {
    core: Arc<Core>,
    /// Least recently used first.
    homes: Mutex<Vec<(Key, Arc<Home>)>>,
}

/// What is shared with blocking work.
struct Core {
    options: Options,
    spawner: std::sync::Mutex<Born>,
    verdict: OnceLock<Verdict>,
}

/// A spawner process. It ends with this value.
struct Born {
    orders: OwnedFd,
    process: Child,
}

impl Born {
    fn start(options: &Options) -> std::io::Result<Self> {
        let (orders, theirs) = channel::pair()?;
        #[expect(clippy::disallowed_methods, reason = "this is where processes begin")]
        let process = std::process::Command::new(&options.program)
            .arg(MARKER)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { orders, process })
    }

    /// Whether it is still there. Something may have killed it, memory that ran out for one.
    fn lives(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }
}

/// What makes one cell differ from another.
#[derive(Clone, Debug, PartialEq)]
struct Key {
    wall: Wall,
    workspace: PathBuf,
    mode: SandboxMode,
    domains: Vec<String>,
    writable: Vec<PathBuf>,
    limits: ProcessLimits,
}

/// A cell as the main process knows it. Dropping it ends the cell.
pub(crate) struct Home {
    channel: OwnedFd,
    wall: Wall,
    traps: Traps,
    /// What is to be told with the end of a command.
    told: std::sync::Mutex<String>,
    /// What is to be told with the end of one in the cell that comes after this one.
    untold: std::sync::Mutex<String>,
    /// Whether everything is about to be looked at.
    look_is_due: AtomicBool,
    /// Whether a command brought something about that none may: everything in it ends then.
    condemned: AtomicBool,
    /// The channels of the commands that run in it.
    running: std::sync::Mutex<Vec<Weak<OwnedFd>>>,
    landmarks: Landmarks,
    temp: Option<PathBuf>,
    answer: CellAnswer,
    proxy: std::sync::Mutex<Option<AbortHandle>>,
    spare: Spare,
}

impl Home {
    /// Whether killing a command's supervisor kills the whole tree.
    pub(crate) fn contains_trees(&self) -> bool {
        self.wall == Wall::Cell
    }

    /// Notes a command that runs in it.
    pub(crate) fn runs(&self, answers: &Arc<OwnedFd>) {
        let mut running = unpoisoned(&self.running);
        running.retain(|answers| answers.strong_count() > 0);
        running.push(Arc::downgrade(answers));
    }

    /// Sets aside what commands may not leave behind, and says so. It cannot be told which command
    /// made it, so all that run here end.
    /// `breach` is what a command's supervisor noticed, perhaps only for a moment.
    pub(crate) fn disarm(&self, breach: Option<&Breach>) -> String {
        let reach = if self.looks_later() {
            Reach::Top
        } else {
            Reach::All
        };
        let mut told = self.traps.disarm(reach).concat();
        let is_first = !self.condemned.load(Ordering::Relaxed);
        match breach {
            Some(Breach::Trap) if told.is_empty() && is_first => GONE_AGAIN.clone_into(&mut told),
            Some(Breach::Trap) | None => {}
            Some(breach) => told.push_str(&opened(breach)),
        }
        if unpoisoned(&self.told).contains(&told) {
            // Another command's supervisor noticed it as well.
            told.clear();
        }
        if !told.is_empty() {
            self.condemn(&told);
        }
        if self.condemned.load(Ordering::Relaxed) {
            unpoisoned(&self.told).clone()
        } else {
            std::mem::take(&mut *unpoisoned(&self.told))
        }
    }

    /// Whether a look at everything is too long for the end of a command.
    pub(crate) fn looks_later(&self) -> bool {
        self.traps.are_many()
    }

    /// Whether somebody has to look again: nobody is about to do so.
    pub(crate) fn awaits_look(&self) -> bool {
        !self.look_is_due.swap(true, Ordering::Relaxed)
    }

    /// Looks at everything, after a moment in which more may end. What is set aside is told with the end of what runs, and of the next one.
    pub(crate) fn look_again(&self) {
        let _ = channel::poll(&[], LOOK_MS);
        self.look_is_due.store(false, Ordering::Relaxed);
        let told = self.traps.disarm(Reach::All).concat();
        if !told.is_empty() {
            unpoisoned(&self.untold).push_str(&told);
            self.condemn(&told);
        }
    }

    /// Ends everything that runs in it.
    fn condemn(&self, told: &str) {
        unpoisoned(&self.told).push_str(told);
        self.condemned.store(true, Ordering::Relaxed);
        channel::shut(self.channel.as_fd());
        for answers in unpoisoned(&self.running).drain(..) {
            if let Some(answers) = answers.upgrade() {
                channel::shut(answers.as_fd());
            }
        }
    }

    fn is_usable(&self) -> bool {
        self.landmarks.stand() && !self.condemned.load(Ordering::Relaxed)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        channel::shut(self.channel.as_fd());
        if let Ok(Some(task)) = self.proxy.get_mut().map(Option::take) {
            task.abort();
        }
        if let Some(folder) = &self.temp {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

impl Spawner {
    /// Starts the spawner process. Takes a millisecond or two and does not wait for it.
    ///
    /// # Errors
    /// [`SandboxError::Broken`] when it cannot be started.
    pub fn start(options: Options) -> Result<Self, SandboxError> {
        let spawner =
            Born::start(&options).map_err(|error| SandboxError::Broken(error.to_string()))?;
        let core = Core {
            options,
            spawner: std::sync::Mutex::new(spawner),
            verdict: OnceLock::new(),
        };
        Ok(Self {
            core: Arc::new(core),
            homes: Mutex::new(Vec::new()),
        })
    }

    async fn start_command(&self, command: Command) -> Result<Arc<dyn Process>, SandboxError> {
        let (key, workspace) = self.key(&command).await?;
        // A cell may have died since it was last used (its memory was used up): one new attempt.
        for last in [false, true] {
            let home = self.home(&key, &workspace, &command).await?;
            let started = match self.core.command_order(&command, &home) {
                Ok(order) => Running::start(&home, &order, command.streams).await,
                Err(reason) => Err(StartError::Program(reason)),
            };
            match started {
                Ok(running) => return Ok(Arc::new(running)),
                Err(StartError::Cell(_)) if !last => self.forget(&home).await,
                Err(StartError::Cell(reason) | StartError::Lost(reason)) => {
                    return Err(SandboxError::Broken(reason));
                }
                Err(StartError::Program(reason)) => {
                    let program = command.argv.first().cloned().unwrap_or_default();
                    return Err(SandboxError::NotStarted { program, reason });
                }
            }
        }
        Err(SandboxError::Broken("the cell died twice".to_owned()))
    }

    async fn key(&self, command: &Command) -> Result<(Key, PathBuf), SandboxError> {
        let wall = self.wall(command.policy.sandbox).await?;
        let workspace = command.workspace.canonicalize().map_err(|error| {
            SandboxError::Refused(format!("{}: {error}", command.workspace.display()))
        })?;
        let key = Key {
            wall,
            workspace: workspace.clone(),
            mode: command.policy.sandbox,
            domains: command.policy.domains.clone(),
            writable: command.policy.writable.clone(),
            limits: command.limits,
        };
        Ok((key, workspace))
    }

    async fn wall(&self, mode: SandboxMode) -> Result<Wall, SandboxError> {
        if mode == SandboxMode::Off {
            return Ok(Wall::Off);
        }
        let core = Arc::clone(&self.core);
        let verdict = match self.core.verdict.get() {
            Some(verdict) => verdict.clone(),
            None => blocking(move || core.verdict().clone()).await?,
        };
        if verdict.wall == Wall::Refused {
            let reasons = verdict.failures.iter();
            let reasons: Vec<String> = reasons
                .map(|(wall, reason)| format!("{wall:?}: {reason}"))
                .collect();
            return Err(SandboxError::Refused(reasons.join("; ")));
        }
        Ok(verdict.wall)
    }

    /// The cell for a key, made if need be.
    async fn home(
        &self,
        key: &Key,
        workspace: &Path,
        command: &Command,
    ) -> Result<Arc<Home>, SandboxError> {
        let mut homes = self.homes.lock().await;
        let mut untold = String::new();
        if let Some(place) = homes.iter().position(|(known, _)| known == key) {
            let found = homes.remove(place);
            if found.1.is_usable() {
                let home = Arc::clone(&found.1);
                homes.push(found);
                return Ok(home);
            }
            found.1.spare.retire();
            untold = std::mem::take(&mut *unpoisoned(&found.1.untold));
        }
        let (core, wall) = (Arc::clone(&self.core), key.wall);
        let (workspace, policy) = (workspace.to_path_buf(), command.policy.clone());
        let limits = command.limits;
        let (home, listener) = blocking(move || {
            let place = Place {
                workspace: &workspace,
                policy: &policy,
                limits,
            };
            core.build(wall, &place)
        })
        .await?
        .map_err(SandboxError::Refused)?;
        if let Some(listener) = listener {
            let task = proxy::serve(listener, command.policy.domains.clone())
                .map_err(|error| SandboxError::Broken(error.to_string()))?;
            *home
                .proxy
                .lock()
                .expect("nothing panics while it holds this lock") = Some(task);
        }
        unpoisoned(&home.told).push_str(&untold);
        let home = Arc::new(home);
        if homes.len() >= CELLS {
            homes.remove(0).1.spare.retire();
        }
        homes.push((key.clone(), Arc::clone(&home)));
        Ok(home)
    }

    async fn forget(&self, dead: &Arc<Home>) {
        let mut homes = self.homes.lock().await;
        homes.retain(|(_, home)| !Arc::ptr_eq(home, dead));
        dead.spare.retire();
    }
}

/// What is told of something that was not kept from commands any more; what one may have written is
/// set aside.
fn opened(breach: &Breach) -> String {
    let (Breach::Replaced(path) | Breach::Written(path)) = breach else {
        return String::new();
    };
    let replaced = format!(
        "[quire: {} was replaced from outside, and so could not be kept from what ran here; that \
         was ended",
        path.display()
    );
    if !matches!(breach, Breach::Written(_)) {
        return format!("{replaced}]\n");
    }
    match set_aside(path) {
        Ok(name) => format!("{replaced}. It was written then, and is set aside as {name}]\n"),
        Err(error) => format!(
            "{replaced}. It was written then, and stays, for it cannot be renamed: {error}. Look \
             at it before you use git there]\n"
        ),
    }
}

fn unpoisoned<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs what waits for the kernel beside the runtime.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SandboxError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| SandboxError::Broken(error.to_string()))
}

impl Sandbox for Spawner {
    fn report(&self, policy: &Policy) -> SandboxReport {
        let verdict = match policy.sandbox {
            SandboxMode::Off => Verdict {
                wall: Wall::Off,
                failures: Vec::new(),
                answer: None,
            },
            _ => self.core.verdict().clone(),
        };
        ladder::report(&verdict, policy)
    }

    fn spawn(
        &self,
        command: Command,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Arc<dyn Process>, SandboxError>> + Send + '_>>
    {
        Box::pin(self.start_command(command))
    }
}

impl Core {
    /// The strongest wall that really stands; tried once.
    fn verdict(&self) -> &Verdict {
        self.verdict.get_or_init(|| {
            let mut failures = Vec::new();
            let forced = self.options.force;
            let rungs: Vec<Wall> = forced.map_or_else(|| RUNGS.to_vec(), |wall| vec![wall]);
            for wall in rungs {
                match self.try_wall(wall) {
                    Ok(answer) => {
                        return Verdict {
                            wall,
                            failures,
                            answer: Some(answer),
                        };
                    }
                    Err(reason) => failures.push((wall, reason)),
                }
            }
            Verdict {
                wall: Wall::Refused,
                failures,
                answer: None,
            }
        })
    }

    /// Builds a cell behind this wall and runs a trivial command in it.
    fn try_wall(&self, wall: Wall) -> Result<CellAnswer, String> {
        if !RUNGS.contains(&wall) {
            return Err("not a wall of this system".to_owned());
        }
        let command = trial::command();
        let place = Place {
            workspace: &command.workspace,
            policy: &command.policy,
            limits: command.limits,
        };
        let (home, _) = self.build(wall, &place)?;
        let order = self.command_order(&command, &home)?;
        trial::run(home.channel(), &order)?;
        Ok(home.answer.clone())
    }

    /// Tells the spawner what to build; another one, if it has died.
    fn order(&self, cell: &[u8], theirs: &OwnedFd) -> std::io::Result<()> {
        let mut spawner = unpoisoned(&self.spawner);
        if !spawner.lives() {
            *spawner = Born::start(&self.options)?;
        }
        channel::send_long(spawner.orders.as_fd(), cell, &[theirs.as_fd()], Wait::Block)
    }

    /// Orders a cell and waits until it stands.
    fn build(&self, wall: Wall, place: &Place<'_>) -> Result<(Home, Option<OwnedFd>), String> {
        let Order {
            cell,
            landmarks,
            temp,
        } = ladder::order(wall, place, &self.options)?;
        let text = |error: std::io::Error| format!("the spawner: {error}");
        let (channel, theirs) = channel::pair().map_err(text)?;
        let bytes = wire::encode(&cell)?;
        // What an earlier run left, if it was killed, is set aside before anything runs.
        let left = cell.traps.disarm(Reach::All).concat();
        self.order(&bytes, &theirs).map_err(text)?;
        drop(theirs);
        let ready = channel::poll(&[channel.as_fd()], BUILD_MS).map_err(text)?;
        if !ready[0] {
            return Err("the cell was not built in time".to_owned());
        }
        let message =
            channel::receive(channel.as_fd(), MESSAGE_BYTES, Wait::Never).map_err(text)?;
        let message = message.ok_or("the cell died while it was built")?;
        let answer = match wire::decode(&message.bytes)? {
            CellAnswer::Failed(reason) => return Err(reason),
            ready @ CellAnswer::Ready { .. } => ready,
        };
        let home = Home {
            channel,
            wall,
            traps: cell.traps,
            told: std::sync::Mutex::new(left),
            untold: std::sync::Mutex::default(),
            look_is_due: AtomicBool::new(false),
            condemned: AtomicBool::new(false),
            running: std::sync::Mutex::default(),
            landmarks,
            temp,
            answer,
            proxy: std::sync::Mutex::new(None),
            spare: Spare::none(),
        };
        Ok((home, message.descriptors.into_iter().next()))
    }

    fn command_order(&self, command: &Command, home: &Home) -> Result<CommandOrder, String> {
        let mut environment = command_environment(&self.options.environment, command)?;
        let mut set = |name: &str, value: &str| environment::set(&mut environment, name, value);
        match (home.wall, &home.temp) {
            (_, Some(folder)) => set("TMPDIR", &folder.to_string_lossy()),
            (Wall::Off, None) => {}
            _ => set("TMPDIR", "/tmp"),
        }
        if home.wall == Wall::Cell && !command.policy.domains.is_empty() {
            let proxy = format!("http://127.0.0.1:{PROXY_PORT}");
            for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
                set(name, &proxy);
                set(&name.to_ascii_lowercase(), &proxy);
            }
            // A name of this machine means the cell itself, unless the policy names it.
            let named = &command.policy.domains;
            let is_own = |host: &&str| domains::judge(host, named) != domains::Verdict::Named;
            let own = ["localhost", "127.0.0.1", "::1"].into_iter().filter(is_own);
            let own = own.collect::<Vec<_>>().join(",");
            for name in ["NO_PROXY", "no_proxy"] {
                set(name, &own);
            }
        }
        let directory = command.directory.clone();
        Ok(CommandOrder {
            argv: command.argv.clone(),
            environment: environment
                .into_iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
            directory,
            limits: command.limits,
        })
    }
}

impl Home {
    /// The channel on which this cell takes orders.
    pub(crate) fn channel(&self) -> &OwnedFd {
        &self.channel
    }

    /// The supervisor that waits for its next command.
    pub(crate) fn spare(&self) -> &Spare {
        &self.spare
    }

    /// Has a supervisor made for its next command, unless one waits already.
    pub(crate) fn keep_spare(&self) {
        self.spare.keep(self.channel.as_fd());
    }
}

impl Drop for Born {
    fn drop(&mut self) {
        channel::shut(self.orders.as_fd());
        let _ = self.process.wait();
    }
}
