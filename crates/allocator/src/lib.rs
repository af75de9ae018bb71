//! The allocator of the binary: mimalloc, told to give memory back to the system soon. Nothing else is here, since the
//! one line that tells it so is `unsafe`.

use libmimalloc_sys::{mi_option_set, mi_option_t};

/// Requests of the platform, which are made of small pieces, cost a fifth less processor time than by the system's own,
/// for a few megabytes.
pub use mimalloc::MiMalloc as Allocator;

/// `mi_option_purge_delay` of mimalloc 3; the bindings do not name it.
const PURGE_DELAY: mi_option_t = 15;
/// How long memory that is free stays with the process, in milliseconds. By default it is a second, in which a busy
/// server holds tens of megabytes that nobody uses.
const DELAY_MS: i64 = 50;

/// Has memory that is free given back soon. To be called first of all, by the only thread.
#[expect(
    unsafe_code,
    reason = "the allocator's options are set by a C function"
)]
pub fn give_back_soon() {
    // SAFETY: it writes one integer of the allocator's own. It is not safe beside other threads, and there are none yet.
    unsafe { mi_option_set(PURGE_DELAY, DELAY_MS) }
}

#[cfg(test)]
mod tests {
    use libmimalloc_sys::mi_option_get;

    use super::*;

    #[expect(
        unsafe_code,
        reason = "the allocator's options are read by a C function"
    )]
    fn delay_ms() -> i64 {
        // SAFETY: it reads one integer.
        unsafe { mi_option_get(PURGE_DELAY) }
    }

    /// The option is known by its number alone: another version of mimalloc could have another one there.
    #[test]
    fn the_delay_is_a_second_until_it_is_told_otherwise() {
        assert_eq!(delay_ms(), 1_000);
        give_back_soon();
        assert_eq!(delay_ms(), DELAY_MS);
    }
}
