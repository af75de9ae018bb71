//! What keeping the changes of files costs a step, in a large workspace.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::child::{Files, Home, Memory, Subject, WINDOW, Walls};
use super::server::Pace;
use super::table::{Row, Unit, median};
use super::{ms, of_1024, script};

/// Files of the workspace, and bytes of each: 200 MB in all.
const FILES: usize = 10_000;
const BYTES: usize = 20_000;
/// Before each event of an answer: a call takes some tenths of a second to be written, as with a quick
/// model.
const PACE: Pace = Pace::Each(Duration::from_millis(30));
/// Steps of a run; each changes a file and makes one.
const STEPS: usize = 20;

/// Measures steps with and without.
pub(crate) fn measure(subject: &Subject, runs: usize) -> Result<Vec<Row>> {
    eprintln!("measuring: checkpoints");
    let home = Home::new(subject.dialect, WINDOW)?;
    fill(&home.workspace())?;
    // The first run looks at everything, and copies it.
    let (first, _) = steps(subject, &home, Files::Kept, 0)?;
    let before = size(&home.data())?;
    let (mut kept, mut not_kept) = (Vec::new(), Vec::new());
    for run in 1..=runs {
        // Without the first step, which has the folder's state read.
        kept.extend_from_slice(&steps(subject, &home, Files::Kept, run)?.1);
        not_kept.extend_from_slice(&steps(subject, &home, Files::NotKept, run)?.1);
    }
    let stored = size(&home.data())?.saturating_sub(before);
    let per_step = of_1024(stored / (2 * runs * STEPS) as u64);
    let cost = median(&kept) - median(&not_kept);
    let about = "10,000 files, 200 MB";
    Ok(vec![
        Row::new(format!("step in {about}, changes kept"), Unit::Ms, kept),
        Row::new(
            format!("step in {about}, changes not kept"),
            Unit::Ms,
            not_kept,
        ),
        Row::new(
            format!("checkpoint of a step in {about}"),
            Unit::Ms,
            vec![cost],
        )
        .with_target(30.0),
        Row::new(
            format!("first step ever in {about}"),
            Unit::S,
            vec![first / 1000.0],
        ),
        Row::new(
            "all that a step stores, journal and versions",
            Unit::Kib,
            vec![per_step],
        ),
    ])
}

/// The gap of the first step, and those of the others, in milliseconds.
fn steps(subject: &Subject, home: &Home, files: Files, run: usize) -> Result<(f64, Vec<f64>)> {
    home.keep_files(files)?;
    let commands = (0..STEPS).map(|step| {
        format!(
            "echo {run}-{step} >> d00/s00/f00000.txt; echo {step} > d01/s01/new-{run}-{step}.txt"
        )
    });
    let arguments = ["exec", "Change files.", "--max-turns", "1000"];
    let outcome = subject.run_in(
        home,
        &arguments,
        script(commands),
        Walls::On,
        Memory::Ignored,
        PACE,
    )?;
    let gaps: Vec<f64> = outcome.gaps.iter().copied().map(ms).collect();
    ensure!(gaps.len() == STEPS, "every step has a gap");
    Ok((gaps[0], gaps[1..].to_vec()))
}

/// Fills a workspace with files, all different, in a thousand folders.
fn fill(workspace: &Path) -> Result<()> {
    for file in 0..FILES {
        let folder = format!("d{:02}/s{:02}", file % 50, file / 50 % 20);
        let folder = workspace.join(folder);
        std::fs::create_dir_all(&folder)?;
        let line = format!("{file:08x} {:08x}\n", file.wrapping_mul(2_654_435_761));
        let text = line.repeat(BYTES / line.len());
        std::fs::write(folder.join(format!("f{file:05}.txt")), text)?;
    }
    Ok(())
}

/// Bytes in a folder, without the copy that checkpoints keep of workspaces.
fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let found = entry.metadata()?;
        if !found.is_dir() {
            bytes += found.len();
        } else if entry.file_name() != "checkpoints" {
            bytes += size(&entry.path())?;
        }
    }
    Ok(bytes)
}
