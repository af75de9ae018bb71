//! The system calls that confined commands may not make.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, sock_filter,
};

/// Which sockets a command may open. Never Unix ones: a listener anywhere on the disk would be a
/// way out, and neither mounts nor this filter see which address is connected to. Socket pairs
/// are not sockets in this sense and stay allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sockets {
    /// IPv4 and IPv6, for a network namespace of its own.
    Internet,
    /// None.
    None,
}

/// Calls that are refused whatever their arguments.
const REFUSED: &[i64] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // The kernel's keys.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Interfaces with a long history of holes.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    // The machine.
    libc::SYS_kexec_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    // Mounts and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    // Files by handle, past every path.
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
];

/// Every flag of `clone` that makes a namespace.
const NAMESPACES: [libc::c_int; 8] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
    0x80, // CLONE_NEWTIME
];

/// `ioctl` requests that type into a terminal.
const TYPING: [u64; 2] = [0x5412, 0x541c]; // TIOCSTI, TIOCLINUX

/// The programs to install, in this order. Of two answers to one call the stricter counts.
pub(crate) fn programs(sockets: Sockets) -> Result<[BpfProgram; 2], String> {
    let refused = refusals(sockets).map_err(|error| error.to_string())?;
    Ok([numbers(), refused])
}

/// Installs the programs in this process, which must have renounced privileges before.
pub(crate) fn install(programs: &[BpfProgram]) -> Result<(), String> {
    programs
        .iter()
        .try_for_each(|program| seccompiler::apply_filter(program))
        .map_err(|error| error.to_string())
}

fn refusals(sockets: Sockets) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_socket, socket_rules(sockets)?);
    rules.insert(libc::SYS_socketpair, pair_rules()?);
    let typing = TYPING
        .iter()
        .map(|request| rule(vec![condition(1, SeccompCmpOp::Eq, *request)?]));
    rules.insert(libc::SYS_ioctl, typing.collect::<Result<_, _>>()?);
    // Setting the limits of another process: the supervisor's are none of a command's business.
    rules.insert(
        libc::SYS_prlimit64,
        vec![rule(vec![
            condition(0, SeccompCmpOp::Ne, 0)?,
            SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0)?,
        ])?],
    );
    let namespaces = NAMESPACES.iter().map(|flag| {
        let flag = u64::from(flag.cast_unsigned());
        rule(vec![condition(0, SeccompCmpOp::MaskedEq(flag), flag)?])
    });
    rules.insert(libc::SYS_clone, namespaces.collect::<Result<_, _>>()?);
    SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM.cast_unsigned()),
        std::env::consts::ARCH.try_into()?,
    )?
    .try_into()
}

/// Refuses every family that is not allowed; no rule at all refuses every call.
fn socket_rules(sockets: Sockets) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    match sockets {
        Sockets::None => Ok(Vec::new()),
        Sockets::Internet => {
            let other = [libc::AF_INET, libc::AF_INET6]
                .map(|family| condition(0, SeccompCmpOp::Ne, u64::from(family.cast_unsigned())));
            let other = other.into_iter().collect::<Result<_, _>>()?;
            let raw = u64::from(libc::SOCK_RAW.cast_unsigned());
            let raw = condition(1, SeccompCmpOp::MaskedEq(0xf), raw)?;
            Ok(vec![rule(other)?, rule(vec![raw])?])
        }
    }
}

/// Refuses pairs of datagram sockets, also by their old name: one end can be sent from to any socket
/// that has a path.
fn pair_rules() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let datagram = [libc::SOCK_DGRAM, libc::SOCK_RAW].map(|kind| {
        let kind = u64::from(kind.cast_unsigned());
        rule(vec![condition(1, SeccompCmpOp::MaskedEq(0xf), kind)?])
    });
    datagram.into_iter().collect()
}

fn rule(conditions: Vec<SeccompCondition>) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(conditions)
}

fn condition(
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

/// Looks at the number of a call alone: `clone3` does not exist (its flags cannot be seen, and C
/// libraries then use `clone`), nor do the second numbers of the x32 convention. Calls of another
/// architecture are ended by the other program.
fn numbers() -> BpfProgram {
    const LOAD_WORD: u16 = 0x20;
    const JUMP_AT_LEAST: u16 = 0x35;
    const JUMP_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const ALLOW: u32 = 0x7fff_0000;
    const ERRNO: u32 = 0x0005_0000;
    const X32: u32 = 0x4000_0000;
    let clone3 = u32::try_from(libc::SYS_clone3).expect("call numbers are small");
    let no_such_call = ERRNO | libc::ENOSYS.cast_unsigned();
    let instruction = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        instruction(LOAD_WORD, 0, 0, 0),
        instruction(JUMP_AT_LEAST, 2, 0, X32),
        instruction(JUMP_EQUAL, 1, 0, clone3),
        instruction(RETURN, 0, 0, ALLOW),
        instruction(RETURN, 0, 0, no_such_call),
    ]
}

/// A program as the bytes that `bwrap` reads.
pub(crate) fn bytes(program: &BpfProgram) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(program.len() * 8);
    for instruction in program {
        bytes.extend(instruction.code.to_ne_bytes());
        bytes.extend([instruction.jt, instruction.jf]);
        bytes.extend(instruction.k.to_ne_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_compile_and_stay_within_the_kernel_s_bound() {
        for sockets in [Sockets::Internet, Sockets::None] {
            for program in programs(sockets).expect("compiles") {
                assert!(program.len() < 4096);
                assert_eq!(bytes(&program).len(), program.len() * 8);
            }
        }
    }
}
