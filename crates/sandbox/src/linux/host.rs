//! The life of a cell's process: it makes supervisors until the main process lets go of the cell.

use std::os::fd::{AsFd, OwnedFd};

use crate::linux::cell::Cell;
use crate::linux::supervisor;
use crate::linux::sys::channel::{self, STATUS_BYTES, Wait};
use crate::linux::sys::process::{self, Fork};
use crate::linux::wire::{CommandAnswer, Ground};

/// Makes a supervisor for each channel that it is given. When the cell has namespaces, its end is
/// the end of everything in it.
pub(crate) fn serve(cell: Cell, orders: OwnedFd) -> ! {
    process::forget_children();
    let namespaces = match cell.ground {
        Ground::Namespaces { .. } => process::COMMAND,
        Ground::Bubblewrap { .. } | Ground::Landlock | Ground::Open => 0,
    };
    loop {
        let Ok(Some(message)) = channel::receive(orders.as_fd(), STATUS_BYTES, Wait::Block) else {
            process::end(0);
        };
        let Some(answers) = message.descriptors.into_iter().next() else {
            continue;
        };
        match process::fork(namespaces) {
            Ok(Fork::Child) => {
                drop(orders);
                supervisor::supervise(cell, &answers)
            }
            Ok(Fork::Parent { handle, .. }) => {
                supervisor::answer(&answers, &CommandAnswer::Placed, &[handle.as_fd()]);
            }
            Err(error) => {
                let reason = format!("no process can be made: {error}");
                supervisor::answer(&answers, &CommandAnswer::Failed(reason), &[]);
            }
        }
    }
}
