//! What is generated from the command line's own description: completions and manual pages.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::args::Cli;
use crate::terminal;

pub(crate) fn completions(shell: clap_complete::Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "quire", &mut script);
    terminal::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn manual(folder: Option<&Path>) -> anyhow::Result<ExitCode> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder)
            .and_then(|()| write_pages(&command, folder))
            .with_context(|| format!("cannot write the pages into {}", folder.display()))?;
    } else {
        terminal::print(&page(&Man::new(command))?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the page of a command and those of the commands below it.
fn write_pages(command: &Command, folder: &Path) -> io::Result<()> {
    for below in command.get_subcommands() {
        write_pages(below, folder)?;
    }
    let man = Man::new(command.clone());
    std::fs::write(folder.join(man.get_filename()), page(&man)?)
}

/// A page as roff. What stands after the options is not filled into paragraphs: it has examples,
/// which are to be copied.
fn page(man: &Man) -> io::Result<String> {
    let mut page = Vec::new();
    man.render(&mut page)?;
    let page = String::from_utf8_lossy(&page);
    let unfilled = page.replace("\n.SH EXTRA\n", "\n.SH EXTRA\n.nf\n");
    Ok(unfilled.replace("\n.SH VERSION\n", "\n.fi\n.SH VERSION\n"))
}
