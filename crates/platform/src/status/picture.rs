//! Pictures as SVG within the page: a curve over time, and bars. Colours are the style's.

use std::fmt::Write as _;

/// The size of a curve's picture.
const WIDTH: usize = 720;
const HEIGHT: usize = 80;
/// The height of a bar with the room around it, and where bars begin and end.
const ROW: usize = 20;
const FROM: usize = 240;
const LONGEST: usize = 360;
/// Most characters of a name beside a bar.
const NAME: usize = 36;

/// A curve over time, the newest on the right.
pub(super) fn curve(out: &mut String, title: &str, values: &[u64]) {
    let most = values.iter().copied().max().unwrap_or(0);
    let scale = most.max(1);
    let steps = values.len().saturating_sub(1).max(1);
    let mut points = format!("0,{HEIGHT} ");
    for (place, value) in values.iter().enumerate() {
        let x = place * WIDTH / steps;
        let y = HEIGHT - part(*value, scale, HEIGHT - 4);
        let _ = write!(points, "{x},{y} ");
    }
    let _ = write!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>{}: at most {most}</title>\
         <polygon points=\"{points}{WIDTH},{HEIGHT}\"/>\
         <text x=\"4\" y=\"12\">{most}</text></svg>",
        escaped(title)
    );
}

/// A bar for each name, with a word behind it.
pub(super) fn bars(out: &mut String, title: &str, bars: &[(String, u64, String)]) {
    if bars.is_empty() {
        out.push_str("<p>None.</p>");
        return;
    }
    let most = bars.iter().map(|(_, length, _)| *length).max();
    let scale = most.unwrap_or(0).max(1);
    let height = bars.len() * ROW;
    let _ = write!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\"><title>{}</title>",
        escaped(title)
    );
    for (place, (name, length, word)) in bars.iter().enumerate() {
        let (y, length) = (place * ROW, part(*length, scale, LONGEST).max(1));
        let (text, from, behind) = (y + 14, FROM + 8, FROM + 16 + length);
        let name: String = name.chars().take(NAME).collect();
        let _ = write!(
            out,
            "<text class=\"name\" x=\"{FROM}\" y=\"{text}\">{}</text>\
             <rect x=\"{from}\" y=\"{}\" width=\"{length}\" height=\"12\"/>\
             <text x=\"{behind}\" y=\"{text}\">{}</text>",
            escaped(&name),
            y + 4,
            escaped(word)
        );
    }
    out.push_str("</svg>");
}

/// How much of a length stands for a value.
fn part(value: u64, most: u64, length: usize) -> usize {
    let part = u128::from(value) * length as u128 / u128::from(most);
    usize::try_from(part).unwrap_or(length).min(length)
}

/// A text as it may stand in HTML, in an element or an attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Those would end or turn the line, in HTML or in a reader's eye.
            control if control.is_control() || ('\u{202a}'..='\u{202e}').contains(&control) => {
                safe.push('\u{fffd}');
            }
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_and_bars_stay_within_their_pictures() {
        let mut out = String::new();
        curve(&mut out, "t", &[0, u64::MAX, 5]);
        assert!(
            out.contains("points=\"0,80 0,80 360,4 720,80 720,80\""),
            "{out}"
        );
        let mut out = String::new();
        curve(&mut out, "t", &[]);
        assert!(out.contains("points=\"0,80 720,80\""), "{out}");
        let mut out = String::new();
        let bar = |name: &str, length| (name.to_owned(), length, "w".to_owned());
        bars(
            &mut out,
            "t",
            &[bar("a", u64::MAX), bar(&"x".repeat(999), 0)],
        );
        assert!(
            out.contains("width=\"360\"") && out.contains("width=\"1\""),
            "{out}"
        );
        assert!(!out.contains(&"x".repeat(NAME + 1)));
    }
}
