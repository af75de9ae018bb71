//! `cargo xtask picture`: draws `docs/demo.svg`, what a terminal shows of `quire demo`.
//!
//! Not a terminal: it knows colours and line ends, which is all that the demo prints.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::cargo::root;

/// Where the picture goes.
const PICTURE: &str = "docs/demo.svg";

/// How wide the terminal is, in characters.
const COLUMNS: usize = 92;

/// What stands for the folder and the session of the run, which are others each time.
const FOLDER: &str = "/tmp/quire-demo";
const SESSION: &str = "01a2";

/// Sizes in pixels. A character of a usual monospace font is 0.6 as wide as it is high.
const FONT: usize = 14;
const LINE: usize = 20;
const MARGIN: usize = 20;
const BAR: usize = 36;

/// Runs the demo and draws it.
pub(crate) fn command() -> Result<()> {
    let shown = stable(&run(&binary()?)?);
    let lines = wrap(&parse(&format!("\x1b[32m$\x1b[0m quire demo\n{shown}")));
    let path = root().join(PICTURE);
    fs::write(&path, draw(&lines, "quire demo"))?;
    println!("{}: {} lines", path.display(), lines.len());
    Ok(())
}

fn binary() -> Result<PathBuf> {
    ["release", "debug"]
        .map(|profile| root().join("target").join(profile).join("quire"))
        .into_iter()
        .find(|path| path.is_file())
        .context("there is no binary: `cargo build -p quire-cli` makes one")
}

/// What the demo prints on a terminal, made by `script` of util-linux.
fn run(binary: &Path) -> Result<String> {
    let home = tempfile::tempdir()?;
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command"])
        .arg(format!("'{}' demo", binary.display()))
        .arg("/dev/null")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("SHELL", "/bin/sh")
        .env("HOME", home.path())
        .env("QUIRE_HOME", home.path().join("quire"))
        .env("TMPDIR", home.path())
        .env("LANG", "C.UTF-8")
        .env("TERM", "xterm-256color")
        .env("COLUMNS", COLUMNS.to_string())
        .current_dir(home.path())
        .stdin(Stdio::null())
        .output()
        .context("cannot start `script` of util-linux")?;
    let text = String::from_utf8(output.stdout).context("the demo printed no UTF-8")?;
    ensure!(output.status.success(), "the demo failed:\n{text}");
    Ok(text)
}

/// The text without what differs from run to run: the demo's folder and the session's id.
fn stable(text: &str) -> String {
    let text = text.replace('\r', "");
    let mut result = String::with_capacity(text.len());
    for piece in text.split_inclusive([' ', '\n', '\x1b']) {
        let end = piece.len() - usize::from(piece.ends_with([' ', '\n', '\x1b']));
        let (word, separator) = piece.split_at(end);
        if word.contains("/quire-demo-") {
            result.push_str(FOLDER);
        } else if is_id(word) {
            result.push_str(SESSION);
        } else {
            result.push_str(word);
        }
        result.push_str(separator);
    }
    result.trim_end().to_owned()
}

fn is_id(word: &str) -> bool {
    word.len() == 36
        && word.char_indices().all(|(at, character)| match at {
            8 | 13 | 18 | 23 => character == '-',
            _ => character.is_ascii_hexdigit(),
        })
}

/// How text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Look {
    /// The class of its colour; none is the terminal's own.
    colour: Option<&'static str>,
    bold: bool,
    dim: bool,
}

impl Look {
    /// Obeys one number of a `CSI … m` sequence. What the demo does not use changes nothing.
    fn obey(&mut self, code: &str) {
        match code {
            "" | "0" => *self = Self::default(),
            "1" => self.bold = true,
            "2" => self.dim = true,
            "22" => (self.bold, self.dim) = (false, false),
            "31" => self.colour = Some("red"),
            "32" => self.colour = Some("green"),
            "33" => self.colour = Some("yellow"),
            "36" => self.colour = Some("cyan"),
            "39" => self.colour = None,
            _ => {}
        }
    }

    fn classes(self) -> String {
        let bold = self.bold.then_some("bold");
        let dim = self.dim.then_some("dim");
        let classes: Vec<&str> = [self.colour, bold, dim].into_iter().flatten().collect();
        classes.join(" ")
    }
}

/// One character on the screen.
type Cell = (char, Look);

/// Reads text with colours into lines.
fn parse(text: &str) -> Vec<Vec<Cell>> {
    let mut lines = vec![Vec::new()];
    let mut look = Look::default();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\x1b' => escape(&mut rest, &mut look),
            '\n' => lines.push(Vec::new()),
            control if control.is_control() => {}
            other => lines
                .last_mut()
                .expect("there is always a line")
                .push((other, look)),
        }
    }
    lines
}

/// Passes over an escape sequence, obeying it when it is about colours.
fn escape(rest: &mut std::str::Chars<'_>, look: &mut Look) {
    if rest.next() != Some('[') {
        return;
    }
    let mut codes = String::new();
    for character in rest {
        if ('@'..='~').contains(&character) {
            if character == 'm' {
                codes.split(';').for_each(|code| look.obey(code));
            }
            return;
        }
        codes.push(character);
    }
}

/// Breaks lines that are too long, between words; what goes on is indented as the line is.
fn wrap(lines: &[Vec<Cell>]) -> Vec<Vec<Cell>> {
    let mut wrapped = Vec::new();
    for line in lines {
        let indent = line.iter().take_while(|(found, _)| *found == ' ').count();
        let indent = indent.min(COLUMNS / 2);
        let mut rest = line.clone();
        while rest.len() > COLUMNS {
            let space = (indent + 1..=COLUMNS).rev().find(|at| rest[*at].0 == ' ');
            let mut next = vec![(' ', Look::default()); indent];
            let after = rest.split_off(space.unwrap_or(COLUMNS));
            // The space at the break is not shown.
            next.extend(after.into_iter().skip(usize::from(space.is_some())));
            wrapped.push(std::mem::replace(&mut rest, next));
        }
        wrapped.push(rest);
    }
    wrapped
}

/// Draws lines as a terminal's window.
fn draw(lines: &[Vec<Cell>], title: &str) -> String {
    let width = COLUMNS * FONT * 6 / 10 + 2 * MARGIN;
    let height = BAR + lines.len() * LINE + 2 * MARGIN - (LINE - FONT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\">\n{STYLE}"
    );
    let (right, bottom) = (width - 1, height - 1);
    let _ = write!(
        svg,
        "<rect class=\"window\" x=\".5\" y=\".5\" width=\"{right}\" height=\"{bottom}\" rx=\"10\"/>\n\
         <path class=\"rule\" d=\"M1 {BAR}.5H{right}\"/>\n"
    );
    for (number, colour) in ["#f2635b", "#e6b450", "#5fbf6e"].iter().enumerate() {
        let (x, y) = (MARGIN + 2 + number * 20, BAR / 2);
        let _ = writeln!(
            svg,
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"6\" fill=\"{colour}\"/>"
        );
    }
    let (middle, baseline) = (width / 2, BAR / 2 + 5);
    let _ = writeln!(
        svg,
        "<text class=\"dim\" x=\"{middle}\" y=\"{baseline}\" text-anchor=\"middle\">{title}</text>"
    );
    for (number, line) in lines.iter().enumerate() {
        let y = BAR + MARGIN + FONT - 2 + number * LINE;
        draw_line(&mut svg, line, y);
    }
    svg.push_str("</svg>\n");
    svg
}

const STYLE: &str = "<style>\n\
    text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,\"DejaVu Sans Mono\",monospace;\
    fill:#e6e9ef;white-space:pre}\n\
    .window{fill:#12161d;stroke:#2b323d}.rule{stroke:#2b323d}\n\
    .dim{fill:#98a2b3}.bold{font-weight:700}\n\
    .red{fill:#ff7b72}.green{fill:#6fd08c}.yellow{fill:#e6b450}.cyan{fill:#5cc8d7}\n\
    </style>\n";

/// Writes a line as one text with a span for each look.
fn draw_line(svg: &mut String, line: &[Cell], y: usize) {
    let filled = line.iter().rposition(|(shown, _)| *shown != ' ');
    let Some(last) = filled else { return };
    let _ = write!(
        svg,
        "<text x=\"{MARGIN}\" y=\"{y}\" xml:space=\"preserve\">"
    );
    for span in line[..=last].chunk_by(|(_, left), (_, right)| left == right) {
        let text: String = span.iter().map(|(shown, _)| escaped(*shown)).collect();
        match span[0].1.classes().as_str() {
            "" => svg.push_str(&text),
            classes => {
                let _ = write!(svg, "<tspan class=\"{classes}\">{text}</tspan>");
            }
        }
    }
    svg.push_str("</text>\n");
}

fn escaped(character: char) -> String {
    match character {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[Vec<Cell>]) -> Vec<String> {
        let text = |line: &Vec<Cell>| line.iter().map(|(shown, _)| *shown).collect();
        lines.iter().map(text).collect()
    }

    fn drawn(text: &str) -> String {
        let mut svg = String::new();
        for line in &parse(text) {
            draw_line(&mut svg, line, 1);
        }
        svg
    }

    #[test]
    fn looks_become_spans() {
        for (text, wanted) in [
            ("plain  ", "plain"),
            (
                "\x1b[1mread\x1b[0m  a",
                "<tspan class=\"bold\">read</tspan>  a",
            ),
            ("\x1b[2;31mx\x1b[m", "<tspan class=\"red dim\">x</tspan>"),
            ("\x1b[32ma\x1b[39mb", "<tspan class=\"green\">a</tspan>b"),
            (
                "\x1b[1;2ma\x1b[22mb",
                "<tspan class=\"bold dim\">a</tspan>b",
            ),
            ("\x1b[2K\x1b[36;4mc", "<tspan class=\"cyan\">c</tspan>"),
            ("\x1b[33", ""),
            ("a\x07b\x1b", "ab"),
        ] {
            let line = match wanted {
                "" => String::new(),
                _ => format!("<text x=\"20\" y=\"1\" xml:space=\"preserve\">{wanted}</text>\n"),
            };
            assert_eq!(drawn(text), line, "{text:?}");
        }
    }

    #[test]
    fn text_cannot_become_markup() {
        let svg = drawn("a </text><script> && \"b\"");
        assert!(
            svg.contains("a &lt;/text&gt;&lt;script&gt; &amp;&amp; \"b\""),
            "{svg}"
        );
    }

    #[test]
    fn long_lines_break_between_words_under_their_indent() {
        let line = format!("  {} {} end", "a".repeat(80), "b".repeat(20));
        let wanted = [
            format!("  {}", "a".repeat(80)),
            format!("  {} end", "b".repeat(20)),
        ];
        assert_eq!(texts(&wrap(&parse(&line))), wanted);
        let endless = "x".repeat(2 * COLUMNS + 1);
        let lengths: Vec<usize> = wrap(&parse(&endless)).iter().map(Vec::len).collect();
        assert_eq!(lengths, [COLUMNS, COLUMNS, 1]);
        let fits = "y ".repeat(COLUMNS / 2);
        assert_eq!(texts(&wrap(&parse(&fits))), [fits]);
        assert!(wrap(&parse(&" ".repeat(200))).len() < 10, "it ends");
    }

    #[test]
    fn what_differs_between_runs_is_replaced() {
        assert_eq!(
            stable(
                "in /tmp/x/quire-demo-31-17\x1b[0m\r\n\
                 --resume 01a20819-deff-75d3-9489-a655fdddf352 \"…\"\r\n\r\n"
            ),
            "in /tmp/quire-demo\x1b[0m\n--resume 01a2 \"…\""
        );
    }

    #[test]
    fn the_window_is_as_high_as_its_lines() {
        let svg = draw(&parse("a\n\nb"), "title");
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("height=\"130\""), "{svg}");
        assert_eq!(svg.matches("<text x=").count(), 2);
    }
}
