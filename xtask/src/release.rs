//! `cargo xtask release`: the binary as it is shipped, with what belongs beside it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::cargo::{cargo, root, run};

/// Texts that go with the binary, as far as they exist.
const TEXTS: &[&str] = &["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"];

/// Builds with the `dist` profile and gathers everything in `target/dist-bundle/`.
pub(crate) fn command() -> Result<()> {
    run(cargo().args([
        "build",
        "--profile",
        "dist",
        "--package",
        "quire-cli",
        "--locked",
    ]))?;
    let root = root();
    let bundle = root.join("target/dist-bundle");
    fs::create_dir_all(&bundle)?;
    let binary = root.join("target/dist/quire");
    fs::copy(&binary, bundle.join("quire")).context("target/dist/quire")?;
    for name in TEXTS {
        let from = root.join(name);
        if from.exists() {
            fs::copy(from, bundle.join(name))?;
        }
    }
    generated(&binary, &bundle)?;
    let version = output(&binary, &["--version"])?;
    let bytes = fs::metadata(&binary)?.len();
    println!(
        "{}: {}, {:.1} MB",
        bundle.display(),
        String::from_utf8_lossy(&version).trim(),
        mebibytes(bytes)
    );
    Ok(())
}

/// What the binary writes about itself: manual pages and shell completions.
fn generated(binary: &Path, bundle: &Path) -> Result<()> {
    let man = bundle.join("man");
    let completions = bundle.join("completions");
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    output(binary, &["man", "--folder", &man.to_string_lossy()])?;
    for shell in ["bash", "zsh", "fish"] {
        let script = output(binary, &["completions", shell])?;
        fs::write(completions.join(format!("quire.{shell}")), script)?;
    }
    Ok(())
}

fn output(binary: &Path, args: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(binary)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| binary.display().to_string())?;
    anyhow::ensure!(output.status.success(), "quire {} failed", args.join(" "));
    Ok(output.stdout)
}

#[expect(clippy::cast_precision_loss, reason = "for a person, one decimal")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
