//! The life of a cell's process: it starts commands until the main process lets go of the cell.

use std::os::fd::{AsFd, OwnedFd};

use crate::linux::cell::Cell;
use crate::linux::supervisor;
use crate::linux::sys::channel::{self, MESSAGE_BYTES, Wait};
use crate::linux::sys::process::{self, Fork, Resume};
use crate::linux::wire::{self, CommandAnswer, CommandOrder, Ground};

/// Starts what it is asked to start. When the cell has namespaces, its end is the end of
/// everything in it.
pub(crate) fn serve(cell: Cell, orders: &OwnedFd) -> ! {
    process::forget_children();
    loop {
        let Ok(Some(message)) = channel::receive(orders.as_fd(), MESSAGE_BYTES, Wait::Block) else {
            process::end(0);
        };
        let mut descriptors = message.descriptors.into_iter();
        let (Some(answers), Some(output)) = (descriptors.next(), descriptors.next()) else {
            continue;
        };
        let order: CommandOrder = match wire::decode(&message.bytes) {
            Ok(order) => order,
            Err(reason) => {
                supervisor::answer(&answers, &CommandAnswer::Failed(reason), &[]);
                continue;
            }
        };
        let namespaces = match cell.ground {
            Ground::Namespaces { .. } => process::COMMAND,
            Ground::Bubblewrap { .. } | Ground::Landlock | Ground::Open => 0,
        };
        match process::fork(namespaces, Resume::AtOnce) {
            Ok(Fork::Child) => supervisor::supervise(cell, &order, &answers, output),
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
