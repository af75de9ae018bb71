//! Lives many simulated lives: `cargo run -p quire-testkit --release --example simulate --
//! --seeds 1000000 [--from SEED] [--steps STEPS]`. Stops at the first seed that goes wrong.
#![expect(clippy::print_stdout, reason = "an example speaks to a person")]

use quire_testkit::{Summary, simulate};

fn main() -> Result<(), String> {
    let (mut seeds, mut from, mut steps) = (10_000, 0, 150);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments
            .next()
            .ok_or_else(|| format!("{name} needs a number"))?;
        let value: u64 = value
            .parse()
            .map_err(|error| format!("{name} {value}: {error}"))?;
        match name.as_str() {
            "--seeds" => seeds = value,
            "--from" => from = value,
            "--steps" => steps = u32::try_from(value).map_err(|error| error.to_string())?,
            _ => return Err(format!("{name}: use --seeds, --from or --steps")),
        }
    }
    let mut summary = Summary::default();
    for seed in from..from.saturating_add(seeds) {
        summary.add(&simulate(seed, steps));
    }
    println!("{summary}");
    for what in summary.missing() {
        println!("never happened: {what}");
    }
    Ok(())
}
