//! Simulated lives of sessions: `cargo run -p quire-testkit --release --example simulate` lives
//! a million of them.

mod forks;

use quire_testkit::{Summary, simulate};

/// How much happens in one life.
const STEPS: u32 = 60;

fn live(seeds: std::ops::Range<u64>) {
    let mut summary = Summary::default();
    for seed in seeds {
        summary.add(&simulate(seed, STEPS));
    }
    assert_eq!(
        summary.missing(),
        Vec::<&str>::new(),
        "the dice never let these happen, so nothing about them was checked: {summary}"
    );
}

#[test]
fn a_thousand_lives_break_no_rule() {
    live(0..1_000);
}

#[test]
fn another_thousand_lives_break_no_rule() {
    live(1_000..2_000);
}

#[test]
fn the_same_seed_is_the_same_life() {
    assert_eq!(simulate(7, 200), simulate(7, 200));
}
