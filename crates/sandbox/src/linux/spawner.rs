//! The spawner: a small process of one thread that makes cells, and takes them with it when the
//! main process is gone. It is this same program, started with a private first argument.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::linux::cell::{self, Cell};
use crate::linux::cgroup::{self, Cgroup};
use crate::linux::held::{self, Held};
use crate::linux::host;
use crate::linux::links::Reach;
use crate::linux::sys::channel::{self, MESSAGE_BYTES, Wait};
use crate::linux::sys::process::{self, Fork, Limit};
use crate::linux::traps::Traps;
use crate::linux::wire::{self, CellAnswer, CellOrder, Ground, MARKER};

/// Becomes the spawner if this process was started as one, and then never returns.
///
/// Call it first in `main`, before any thread is started or much memory is used.
pub fn run_if_spawner() {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == MARKER)
    {
        process::new_session();
        // A placeholder takes two, and a repository several placeholders.
        process::limit(Limit::OpenFiles, u64::MAX);
        let code = match process::take_input() {
            Ok(orders) => serve(&orders),
            Err(_) => 1,
        };
        process::end(code);
    }
    // What this process was handed open, a lock or a pipe, ends with it: what it starts gets none of it.
    process::close_on_exec();
}

/// A cell that lives, and what is to be tidied up after it.
struct Living {
    handle: OwnedFd,
    held: Vec<Held>,
    /// Looked at once more at its end: when the main process was killed, nobody else does.
    traps: Traps,
    /// Held to be removed with this.
    _cgroup: Option<Cgroup>,
}

impl Living {
    /// Tidies up after it, when nothing of it runs any more.
    fn clear(&mut self) {
        self.traps.disarm(Reach::All);
        held::release(&mut self.held);
    }
}

/// Makes cells until the main process is gone. Returns the exit code.
fn serve(orders: &OwnedFd) -> i32 {
    process::forget_children();
    let mut living: Vec<Living> = Vec::new();
    let mut count = 0_u64;
    loop {
        let mut watched: Vec<BorrowedFd<'_>> = vec![orders.as_fd()];
        watched.extend(living.iter().map(|cell| cell.handle.as_fd()));
        let Ok(ready) = channel::poll(&watched, -1) else {
            break;
        };
        let mut ended = ready[1..].iter();
        living.retain_mut(|cell| {
            let gone = *ended.next().expect("one answer per cell");
            if gone {
                cell.clear();
            }
            !gone
        });
        if !ready[0] {
            continue;
        }
        let Ok(Some(message)) = channel::receive(orders.as_fd(), MESSAGE_BYTES, Wait::Block) else {
            break;
        };
        let Ok(message) = message.whole() else {
            continue;
        };
        count += 1;
        let Some(answers) = message.descriptors.into_iter().next() else {
            continue;
        };
        let name = format!("quire-{}-{count}", std::process::id());
        match make(&message.bytes, &name, answers) {
            Ok(cell) => living.push(cell),
            Err((reason, answers)) => {
                answer(answers.as_fd(), &CellAnswer::Failed(reason), &[]);
            }
        }
    }
    for mut cell in living {
        process::kill(cell.handle.as_fd());
        let _ = channel::poll(&[cell.handle.as_fd()], -1);
        cell.clear();
    }
    0
}

/// Makes one cell: a child of this process that listens for commands itself. Gives the channel
/// back when it cannot.
fn make(order: &[u8], name: &str, channel: OwnedFd) -> Result<Living, (String, OwnedFd)> {
    let mut held = Vec::new();
    let order = wire::decode::<CellOrder>(order)
        .and_then(|order| held::hold(&order.placeholders, &mut held).map(|()| order));
    let order = match order {
        Ok(order) => order,
        Err(reason) => {
            held::release(&mut held);
            return Err((reason, channel));
        }
    };
    let (mut group, group_answer) = match cgroup::create(name, &order.limits) {
        Ok(group) => {
            let detail = group.detail.clone();
            (Some(group), Ok(detail))
        }
        Err(reason) => (None, Err(reason)),
    };
    let namespaces = match order.ground {
        Ground::Namespaces { .. } => process::CELL,
        Ground::Bubblewrap { .. } | Ground::Landlock | Ground::Open => 0,
    };
    let (user, traps) = (process::identity(), order.traps.clone());
    match process::fork(namespaces) {
        Ok(Fork::Child) => {
            process::die_with_parent();
            let entered = group.as_mut().map_or(Ok(()), Cgroup::enter);
            let group_answer = group_answer
                .and_then(|detail| entered.map(|()| detail).map_err(|error| error.to_string()));
            match cell::build(order, group, user) {
                Ok((cell, proxy)) => live(cell, proxy, channel, group_answer),
                Err(reason) => {
                    answer(channel.as_fd(), &CellAnswer::Failed(reason), &[]);
                    process::end(1)
                }
            }
        }
        Ok(Fork::Parent { handle, .. }) => Ok(Living {
            handle,
            held,
            traps,
            _cgroup: group,
        }),
        Err(error) => {
            held::release(&mut held);
            let reason = format!("the kernel gives no new namespaces: {error}");
            Err((reason, channel))
        }
    }
}

/// The life of a cell's process.
fn live(cell: Cell, proxy: Option<OwnedFd>, channel: OwnedFd, cgroup: Result<String, String>) -> ! {
    let ready = CellAnswer::Ready {
        cgroup,
        landlock: cell.landlock_detail.clone(),
    };
    let listening: Vec<BorrowedFd<'_>> = proxy.iter().map(AsFd::as_fd).collect();
    answer(channel.as_fd(), &ready, &listening);
    drop(proxy);
    host::serve(cell, channel)
}

fn answer(channel: BorrowedFd<'_>, answer: &CellAnswer, descriptors: &[BorrowedFd<'_>]) {
    if let Ok(bytes) = wire::encode(answer) {
        let _ = channel::send(channel, &bytes, descriptors, Wait::Block);
    }
}
