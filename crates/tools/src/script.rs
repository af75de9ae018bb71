//! Reads a shell script far enough to compare its commands with rules. It is strict where a rule
//! would allow (what it does not fully understand is not plain) and generous where one would
//! refuse. It is no wall: the sandbox is.

/// What a script runs, as far as can be seen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Script {
    /// Its simple commands, as words with their quotes removed.
    pub(crate) commands: Vec<Vec<String>>,
    /// Whether these words are exactly what the shell would run: no substitution, redirection to
    /// a file, subshell, assignment, escape, comment or keyword is in it.
    pub(crate) plain: bool,
}

/// Words that run other words, or that belong to the shell's grammar: a command that begins with
/// one is never allowed by a rule.
const NOT_PLAIN: [&str; 48] = [
    "!", ".", "[[", "bash", "builtin", "busybox", "case", "command", "coproc", "dash", "do",
    "doas", "done", "elif", "else", "env", "esac", "eval", "exec", "fi", "fish", "for", "function",
    "if", "in", "ionice", "ksh", "nice", "nohup", "parallel", "select", "setsid", "sh", "source",
    "stdbuf", "su", "sudo", "then", "time", "timeout", "trap", "until", "unshare", "watch",
    "while", "xargs", "zsh", "alias",
];

/// How deep scripts inside scripts are looked into.
const DEPTH: u32 = 4;

impl Script {
    /// Reads a script.
    pub(crate) fn parse(text: &str) -> Self {
        let mut reader = Reader::new(text);
        reader.read();
        let Reader { mut script, .. } = reader;
        script.plain &= script
            .commands
            .iter()
            .all(|command| is_plain_command(command));
        script
    }

    /// Every command a refusing rule is compared with: those of the script, of the scripts within
    /// it, and what wrappers run.
    pub(crate) fn suspects(text: &str) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        collect_suspects(text, DEPTH, &mut found);
        found
    }
}

fn is_plain_command(command: &[String]) -> bool {
    command.first().is_some_and(|first| {
        !first.is_empty()
            && !first.contains(['=', '*', '?', '[', ']', '~'])
            && !NOT_PLAIN.contains(&first.rsplit('/').next().unwrap_or(first))
    })
}

fn collect_suspects(text: &str, depth: u32, found: &mut Vec<Vec<String>>) {
    const MOST: usize = 1_000;
    let text = text.replace("${IFS}", " ").replace("$IFS", " ");
    let mut reader = Reader::new(&text);
    reader.read();
    for command in reader.script.commands {
        for start in 0..command.len().min(16) {
            let ran = &command[start..];
            if found.len() < MOST {
                found.push(named_by_file(ran));
            }
            if !runs_what_follows(&command[..=start]) {
                break;
            }
        }
        let runs_text = command
            .iter()
            .any(|word| NOT_PLAIN.contains(&word.rsplit('/').next().unwrap_or(word)));
        if depth > 0 && runs_text {
            for word in command
                .iter()
                .filter(|word| word.contains([' ', ';', '\n']))
            {
                collect_suspects(word, depth - 1, found);
            }
        }
    }
    if depth > 0 {
        for inner in reader.inner.iter().take(16) {
            collect_suspects(inner, depth - 1, found);
        }
    }
}

/// A command whose program is named by its last path component.
fn named_by_file(command: &[String]) -> Vec<String> {
    let mut named = command.to_vec();
    if let Some(first) = named.first_mut()
        && let Some((_, name)) = first.rsplit_once('/')
    {
        *first = name.to_owned();
    }
    named
}

/// Whether these words may be followed by a command: assignments, wrappers and their options.
fn runs_what_follows(words: &[String]) -> bool {
    let mut wrapped = false;
    for word in words {
        let name = word.rsplit('/').next().unwrap_or(word);
        let assignment = word
            .split_once('=')
            .is_some_and(|(name, _)| !name.is_empty() && !name.contains('/'));
        if NOT_PLAIN.contains(&name) {
            wrapped = true;
        } else if !(assignment || wrapped) {
            return false;
        }
    }
    true
}

/// Whether a command begins with a rule's prefix exactly.
pub(crate) fn begins_with(command: &[String], prefix: &[String]) -> bool {
    !prefix.is_empty() && command.starts_with(prefix)
}

/// Whether a command begins with a rule's prefix when options before a word of it, and their
/// values, are passed over: `git -c a=b push` begins with `git push`.
pub(crate) fn begins_loosely(command: &[String], prefix: &[String]) -> bool {
    let Some((first, rest)) = prefix.split_first() else {
        return false;
    };
    if command.first() != Some(first) {
        return false;
    }
    let mut next = 1;
    rest.iter().all(|wanted| {
        let mut skipped_option = false;
        while let Some(word) = command.get(next) {
            next += 1;
            if word == wanted {
                return true;
            }
            let option = word.starts_with('-');
            if !option && !skipped_option {
                return false;
            }
            skipped_option = option;
        }
        false
    })
}

struct Reader<'a> {
    rest: std::iter::Peekable<std::str::CharIndices<'a>>,
    text: &'a str,
    script: Script,
    command: Vec<String>,
    word: Option<String>,
    inner: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text.char_indices().peekable(),
            text,
            script: Script {
                commands: Vec::new(),
                plain: true,
            },
            command: Vec::new(),
            word: None,
            inner: Vec::new(),
        }
    }

    fn read(&mut self) {
        while let Some((at, character)) = self.rest.next() {
            match character {
                ' ' | '\t' => self.end_word(),
                '\n' | ';' | '&' | '|' => self.end_command(),
                '\'' => self.single_quoted(),
                '"' => self.double_quoted(),
                '>' if self.harmless_redirection(at) => {}
                '(' | ')' | '{' | '}' | '`' | '<' | '>' => {
                    self.script.plain = false;
                    if matches!(character, '<' | '>') {
                        self.end_word();
                    } else {
                        self.end_command();
                    }
                }
                '\\' => {
                    self.script.plain = false;
                    match self.rest.next() {
                        Some((_, '\n')) | None => {}
                        Some((_, escaped)) => self.push(escaped),
                    }
                }
                '#' if self.word.is_none() => self.comment(),
                '$' => {
                    self.script.plain = false;
                    self.remember_substitution(at);
                    self.push('$');
                }
                control if control.is_control() => {
                    self.script.plain = false;
                    self.push(control);
                }
                other => self.push(other),
            }
        }
        self.end_command();
    }

    fn push(&mut self, character: char) {
        self.word.get_or_insert_default().push(character);
    }

    fn end_word(&mut self) {
        self.command.extend(self.word.take());
    }

    fn end_command(&mut self) {
        self.end_word();
        if !self.command.is_empty() {
            self.script.commands.push(std::mem::take(&mut self.command));
        }
    }

    /// A comment may end differently for the shell than it does here, so it is not plain.
    fn comment(&mut self) {
        self.script.plain = false;
        while self.rest.peek().is_some_and(|(_, next)| *next != '\n') {
            self.rest.next();
        }
    }

    fn single_quoted(&mut self) {
        self.word.get_or_insert_default();
        loop {
            match self.rest.next() {
                Some((_, '\'')) => return,
                Some((_, quoted)) => self.push(quoted),
                None => {
                    self.script.plain = false;
                    return;
                }
            }
        }
    }

    fn double_quoted(&mut self) {
        self.word.get_or_insert_default();
        while let Some((at, quoted)) = self.rest.next() {
            match quoted {
                '"' => return,
                '\\' => {
                    self.script.plain = false;
                    if let Some((_, escaped)) = self.rest.next() {
                        self.push(escaped);
                    }
                }
                '$' | '`' => {
                    self.script.plain = false;
                    self.remember_substitution(at);
                    self.push(quoted);
                }
                other => self.push(other),
            }
        }
        self.script.plain = false;
    }

    /// What follows a `$(` or a backtick is a script too; where it ends does not matter here.
    fn remember_substitution(&mut self, at: usize) {
        let after = &self.text[at..];
        if let Some(script) = after.strip_prefix("$(").or_else(|| after.strip_prefix('`')) {
            self.inner.push(script);
        }
    }

    /// Whether a `>` just read at `at` only joins streams or drops them: `2>&1`, `>/dev/null`.
    fn harmless_redirection(&mut self, at: usize) -> bool {
        let stream = self.word.as_deref();
        let before = &self.text[..at];
        let unquoted = match stream {
            None => true,
            Some("1" | "2") => before[..at - 1]
                .chars()
                .next_back()
                .is_none_or(|character| " \t\n;|&".contains(character)),
            Some(_) => false,
        };
        let after = &self.text[at + 1..];
        let length = ["&1", "&2", "/dev/null"]
            .into_iter()
            .find(|target| after.starts_with(target))
            .map(str::len);
        let Some(length) = length.filter(|_| unquoted) else {
            return false;
        };
        let ends = after[length..]
            .chars()
            .next()
            .is_none_or(|next| " \t\n;|".contains(next));
        if ends {
            self.word = None;
            for _ in 0..length {
                self.rest.next();
            }
        }
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Option<String> {
        let script = Script::parse(text);
        script.plain.then(|| {
            let commands: Vec<String> = script
                .commands
                .iter()
                .map(|command| command.join(" "))
                .collect();
            commands.join(" / ")
        })
    }

    #[test]
    fn plain_scripts_are_read_word_by_word() {
        for (text, words) in [
            ("git status", "git status"),
            ("  git   'a b' \"c\"  ", "git a b c"),
            ("g\"i\"t status", "git status"),
            ("a && b || c; d | e & f\ng", "a / b / c / d / e / f / g"),
            ("cargo test 2>&1 | tail", "cargo test / tail"),
            ("make >/dev/null 2>&1", "make"),
            ("ls *.rs ~", "ls *.rs ~"),
            ("echo a#b", "echo a#b"),
        ] {
            assert_eq!(plain(text).as_deref(), Some(words), "{text}");
        }
    }

    #[test]
    fn anything_else_is_not_plain() {
        for text in [
            "git $(rm x)",
            "git `rm x`",
            "git \"$(rm x)\"",
            "git$IFS-x",
            "git ${IFS}",
            "\\git status",
            "git sta\\\ntus",
            "(git status)",
            "{ git status; }",
            "git status > file",
            "git < file",
            "git 2>file",
            "git >&file",
            "cat <<EOF\ngit\nEOF",
            "A=1 git status",
            "PATH=/x; git status",
            "env git status",
            "command git",
            "builtin echo",
            "exec git",
            "eval git",
            "xargs git",
            "sudo git",
            "/usr/bin/sudo git",
            "bash -c git",
            "sh -c 'git'",
            "timeout 5 git",
            "git # x",
            "# x\ngit",
            "! git",
            "if git; then x; fi",
            "for a in b; do git; done",
            "time git",
            "git 'open",
            "git \"open",
            "g*t status",
            "~/git status",
            "git\rstatus",
            "git() { x; }",
            "$'git'",
            "git \"1\">&2 \\",
            "nohup git",
            ". x",
            "source x",
            "function f",
            "[[ -f x ]]",
            "'' x",
            "git \u{0} x",
            "trap x EXIT",
            "alias git=rm",
        ] {
            assert_eq!(plain(text), None, "{text}");
        }
    }

    #[test]
    fn suspects_are_found_behind_disguises() {
        let push = ["git".to_owned(), "push".to_owned()];
        for text in [
            "git push",
            "ls; git push",
            "ls\ngit push -f",
            "/usr/bin/git push",
            "\\git push",
            "g'i't push",
            "A=1 git push",
            "env A=1 git push",
            "command git push",
            "exec git push",
            "sudo -u me git push",
            "timeout 5 git push",
            "xargs git push",
            "echo $(git push)",
            "echo \"$(git push)\"",
            "echo `git push`",
            "(git push)",
            "{ git push; }",
            "bash -c 'git push'",
            "sh -c \"cd x && git push\"",
            "eval 'git push'",
            "if true; then git push; fi",
            "git$IFS-q push",
            "git${IFS}push",
            "git -c a=b push",
            "git -C dir --no-pager push",
            "git push > log",
            "true &&git push",
            "time git push",
        ] {
            assert!(
                Script::suspects(text)
                    .iter()
                    .any(|command| begins_loosely(command, &push)),
                "{text}: {:?}",
                Script::suspects(text)
            );
        }
        for text in [
            "git status",
            "git commit -m push",
            "echo git push",
            "git log push",
            "gitpush",
        ] {
            assert!(
                !Script::suspects(text)
                    .iter()
                    .any(|command| begins_loosely(command, &push)),
                "{text}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text: String, wild in "[a-z0-9 '\"$`(){}<>|&;\\\\#\n*=/]{0,40}") {
            for text in [text, wild] {
                let _ = Script::parse(&text);
                let _ = Script::suspects(&text);
            }
        }
    }
}
