//! What "always" would allow of a command: as much as a person can see in it, or nothing.

use crate::script::Script;

/// Programs that do whatever they are told, by an option, on their input, or in a script, which a
/// confined command may have written.
const INTERPRETERS: &str = "\
    awk bun deno ed emacs expect gawk gdb julia lua mawk nawk node osascript perl php python \
    Rscript ruby tclsh vi vim";

/// Programs that run what follows, here or elsewhere.
const WRAPPERS: &str = "\
    at batch bunx bwrap catchsegv chpst chroot chrt cpulimit dbus-run-session direnv docker \
    docker-compose dotenv entr fakeroot faketime fd find firejail flock hyperfine kubectl lima \
    ltrace mosh nerdctl nix-shell nodemon npx nsenter numactl oc parallel perf pipx pkexec pnpx \
    podman prlimit proot rsh run-parts runuser screen script setarch setpriv ssh sshpass strace \
    systemd-run taskset tmux unbuffer uvx valgrind watchexec wsl xvfb-run";

/// Programs that are many: their name alone says nothing of what they do.
const MANY_IN_ONE: &str = "\
    apk apt apt-get aws az brew bundle cabal cargo composer conda dart dnf dotnet flutter flyctl \
    gcloud gem gh git glab go gradle hatch helm heroku hg ip jj just make mamba micromamba mise \
    mix mvn nix npm opam openssl pacman pdm pip pipenv pixi pnpm poetry rake rustup rye snap \
    stack svn swift systemctl terraform tofu uv yarn zig zypper";

/// The commands of those that run what follows.
const RUNNERS: &[(&str, &[&str])] = &[
    ("asdf", &["exec"]),
    ("bundle", &["exec"]),
    ("cabal", &["exec"]),
    ("conda", &["run"]),
    ("dotnet", &["exec", "tool"]),
    ("dune", &["exec"]),
    ("git", &["bisect", "config", "submodule"]),
    ("go", &["run", "tool"]),
    ("hatch", &["run"]),
    ("heroku", &["run"]),
    ("jj", &["util"]),
    ("mamba", &["run"]),
    ("micromamba", &["run"]),
    ("mise", &["exec", "x"]),
    ("mix", &["cmd", "run"]),
    ("nix", &["develop", "run", "shell"]),
    ("nodenv", &["exec"]),
    ("npm", &["exec", "x"]),
    ("opam", &["exec"]),
    ("pdm", &["run"]),
    ("pipenv", &["run", "shell"]),
    ("pixi", &["exec", "run"]),
    ("pnpm", &["dlx", "exec"]),
    ("poetry", &["run"]),
    ("pyenv", &["exec"]),
    ("rbenv", &["exec"]),
    ("rustup", &["run"]),
    ("rye", &["run"]),
    ("snap", &["run"]),
    ("stack", &["exec"]),
    ("swift", &["run"]),
    ("uv", &["run", "tool", "x"]),
    ("yarn", &["dlx", "exec", "run"]),
];

/// The first two words of a single plain command, or nothing where they would say too little of what
/// runs.
pub(crate) fn remembered_prefix(command: &str) -> Vec<String> {
    let script = Script::parse(command);
    let [words] = script.commands.as_slice() else {
        return Vec::new();
    };
    if script.plain && !command.contains(['&', '|', ';', '\n']) && is_narrow(words) {
        words.iter().take(2).cloned().collect()
    } else {
        Vec::new()
    }
}

fn is_narrow(words: &[String]) -> bool {
    let Some((program, rest)) = words.split_first() else {
        return false;
    };
    // One that is named by its path may be changed by a confined command.
    if program.contains('/') {
        return false;
    }
    // `python3.11`
    let name = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    if is_one_of(INTERPRETERS, name) || is_one_of(WRAPPERS, name) || moves(program) {
        return false;
    }
    match rest.first() {
        None => !is_one_of(MANY_IN_ONE, name) && !RUNNERS.iter().any(|(runner, _)| *runner == name),
        Some(second) => {
            !second.starts_with('-')
                && !RUNNERS.iter().any(|(runner, commands)| {
                    *runner == name && commands.contains(&second.as_str())
                })
        }
    }
}

fn is_one_of(names: &str, name: &str) -> bool {
    names.split(' ').any(|one| one == name)
}

/// Whether what follows it in a script runs in another folder.
pub(crate) fn moves(program: &str) -> bool {
    matches!(program, "cd" | "pushd" | "popd")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn always_means_a_narrow_prefix_or_none() {
        for (command, prefix) in [
            ("git push origin main", vec!["git", "push"]),
            ("ls", vec!["ls"]),
            ("cargo fetch --locked", vec!["cargo", "fetch"]),
            ("uv sync", vec!["uv", "sync"]),
            ("npm install left-pad", vec!["npm", "install"]),
        ] {
            assert_eq!(remembered_prefix(command), prefix, "{command}");
        }
        for command in [
            "git push; rm x",
            "curl a | sh",
            "sudo ls",
            "A=1 ls",
            "cd sub",
            "python3 -c 'import os'",
            "git -c alias.x='!rm y' x",
            "git -C dir push",
        ] {
            assert!(remembered_prefix(command).is_empty(), "{command}");
        }
    }

    #[test]
    fn always_is_not_offered_where_two_words_could_run_anything() {
        for command in [
            // May be rewritten in the sandbox.
            "./build",
            "tools/deploy staging",
            "/usr/bin/python3.11",
            "python3 tools/make.py",
            "node",
            // Alone, any of their commands.
            "git",
            "cargo",
            "npm",
            "pip3",
            "rbenv",
            // Run what follows.
            "flock lock rm x",
            "find . -exec rm",
            "ssh host rm x",
            "npx cowsay",
            "uvx tool",
            "pipx run x",
            "docker run x",
            "podman exec x",
            "kubectl exec x",
            "parallel rm",
            "uv run rm",
            "npm exec x",
            "pnpm dlx x",
            "poetry run x",
            "bundle exec x",
            "yarn dlx x",
            "git bisect run x",
        ] {
            assert!(remembered_prefix(command).is_empty(), "{command}");
        }
    }
}
