//! Themes: one table that says what each role is, and what a terminal's variables tell of its colours.

use std::fmt::Write as _;

use crate::ground::Ground;

/// What a piece of text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Role {
    /// Beside the point.
    Dim,
    /// Good, or added.
    Good,
    /// Bad, or removed.
    Bad,
    /// To be noticed.
    Notice,
    /// A mark that starts an entry.
    Mark,
    /// Code within words, and blocks of it.
    Code,
    /// A keyword of code.
    Keyword,
    /// A text in code.
    Text,
    /// A number in code.
    Number,
    /// A comment in code.
    Comment,
    /// The ground of a line that was added.
    Added,
    /// The ground of a line that was removed.
    Removed,
    /// The ground of what is new in a line.
    AddedWord,
    /// The ground of what is gone in a line.
    RemovedWord,
}

/// What a role is: as a colour on dark and on light grounds, and as parameters of SGR where there are
/// sixteen colours or none. Bold, faint and underlined are no colours.
struct Look {
    role: Role,
    dark: u32,
    light: u32,
    sixteen: &'static str,
    none: &'static str,
}

const fn look(
    role: Role,
    (dark, light): (u32, u32),
    sixteen: &'static str,
    none: &'static str,
) -> Look {
    Look {
        role,
        dark,
        light,
        sixteen,
        none,
    }
}

/// All roles, in their order. Yellow is not among the sixteen: on white it cannot be read.
const LOOKS: &[Look] = &[
    look(Role::Dim, (0x00a0_a0a0, 0x005a_5a5a), "2", "2"),
    look(Role::Good, (0x0087_d787, 0x0000_5f00), "32", ""),
    look(Role::Bad, (0x00ff_8787, 0x00a0_0000), "31", ""),
    look(Role::Notice, (0x00ff_d75f, 0x007a_4b00), "35", ""),
    look(Role::Mark, (0x005f_d7d7, 0x0000_5f87), "36", ""),
    look(Role::Code, (0x0087_d7d7, 0x0000_5666), "36", ""),
    look(Role::Keyword, (0x0087_afff, 0x005f_0087), "35", ""),
    look(Role::Text, (0x00af_d787, 0x001e_5f0f), "32", ""),
    look(Role::Number, (0x00d7_af87, 0x007a_3b00), "36", ""),
    look(Role::Comment, (0x00a0_a0a0, 0x005a_5a5a), "2", "2"),
    look(Role::Added, (0x0004_2a10, 0x00e2_f7e4), "32", ""),
    look(Role::Removed, (0x003a_1218, 0x00fd_e6e6), "31", ""),
    look(Role::AddedWord, (0x0006_3f16, 0x00b4_ebbc), "1;4;32", "4"),
    look(Role::RemovedWord, (0x0064_1c26, 0x00fd_cccc), "1;4;31", "4"),
];

impl Role {
    /// Whether it is a ground on which text stands.
    fn is_ground(self) -> bool {
        use Role::{Added, AddedWord, Removed, RemovedWord};
        matches!(self, Added | AddedWord | Removed | RemovedWord)
    }

    /// The role of that number.
    pub(crate) fn numbered(number: u8) -> Option<Self> {
        LOOKS.get(usize::from(number)).map(|look| look.role)
    }
}

/// What a theme is made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    Dark,
    Light,
    #[default]
    Sixteen,
    None,
}

/// How many colours a terminal has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Depth {
    Sixteen,
    #[default]
    Many,
    All,
}

/// How roles look on this terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Theme {
    kind: Kind,
    depth: Depth,
    /// Whether it is to fit the ground of the terminal, once that is known.
    follows: bool,
}

/// What is known of a terminal's colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Colours {
    depth: Depth,
    /// What the ground is like, where the terminal says so.
    ground: Option<Kind>,
    /// Whether there are to be none.
    unwanted: bool,
    /// Whether the terminal shows whatever it is sent.
    is_dumb: bool,
}

/// The names of themes, as settings and `/theme` take them.
pub(crate) const NAMES: [&str; 5] = ["auto", "dark", "light", "ansi16", "none"];

impl Colours {
    /// What variables of the environment tell; empty ones count as not set.
    pub fn found<'a>(variable: impl Fn(&str) -> Option<&'a str>) -> Self {
        let term = variable("TERM").unwrap_or_default();
        let many = [
            "256color",
            "kitty",
            "alacritty",
            "foot",
            "ghostty",
            "wezterm",
        ];
        let depth = match variable("COLORTERM") {
            Some("truecolor" | "24bit") => Depth::All,
            _ if term.ends_with("-direct") => Depth::All,
            _ if many.iter().any(|name| term.contains(name)) => Depth::Many,
            _ => Depth::Sixteen,
        };
        Self {
            depth,
            ground: variable("COLORFGBG").and_then(ground),
            unwanted: variable("NO_COLOR").is_some() || term == "dumb",
            is_dumb: term == "dumb",
        }
    }

    /// Whether the terminal shows whatever it is sent, what it is asked too.
    pub(crate) fn is_dumb(self) -> bool {
        self.is_dumb
    }

    /// The terminal says what its ground is like.
    pub(crate) fn know(&mut self, ground: Ground) {
        self.ground = Some(Kind::of(ground));
    }

    /// The theme of that name; nothing where there is none.
    #[must_use]
    pub fn theme(self, name: &str) -> Option<Theme> {
        let kind = match name {
            "auto" if self.unwanted => Kind::None,
            "auto" if self.depth == Depth::Sixteen => Kind::Sixteen,
            // The terminal's own sixteen fit a ground of which nothing is known.
            "auto" => self.ground.unwrap_or(Kind::Sixteen),
            "dark" => Kind::Dark,
            "light" => Kind::Light,
            "ansi16" => Kind::Sixteen,
            "none" => Kind::None,
            _ => return None,
        };
        let depth = self.depth;
        let follows = name == "auto" && !self.unwanted && depth != Depth::Sixteen;
        Some(Theme {
            kind,
            depth,
            follows,
        })
    }
}

impl Kind {
    fn of(ground: Ground) -> Self {
        match ground {
            Ground::Dark => Self::Dark,
            Ground::Light => Self::Light,
        }
    }
}

/// Whether the ground is dark or light, by `COLORFGBG`: its last number is one of the sixteen colours.
fn ground(said: &str) -> Option<Kind> {
    match said.rsplit(';').next()?.parse::<u8>().ok()? {
        0..=6 | 8 => Some(Kind::Dark),
        7 | 9..=15 => Some(Kind::Light),
        _ => None,
    }
}

impl Theme {
    /// Whether the terminal is to be asked what its ground is like.
    pub(crate) fn follows(self) -> bool {
        self.follows
    }

    /// The same on that ground, where it is to fit it.
    pub(crate) fn on(self, ground: Ground) -> Self {
        let kind = if self.follows {
            Kind::of(ground)
        } else {
            self.kind
        };
        Self { kind, ..self }
    }

    /// The parameters of SGR for a role; none where it looks like everything else.
    pub(crate) fn code(self, role: Role) -> String {
        let look = &LOOKS[role as usize];
        let color = match self.kind {
            Kind::Dark => look.dark,
            Kind::Light => look.light,
            Kind::Sixteen => return look.sixteen.to_owned(),
            Kind::None => return look.none.to_owned(),
        };
        let [_, red, green, blue] = color.to_be_bytes();
        let mut code = if role.is_ground() { "48" } else { "38" }.to_owned();
        let _ = match self.depth {
            Depth::All => write!(code, ";2;{red};{green};{blue}"),
            Depth::Sixteen | Depth::Many => write!(code, ";5;{}", nearest([red, green, blue])),
        };
        code
    }

    /// Whether grounds of text can be tinted.
    pub(crate) fn tints(self) -> bool {
        matches!(self.kind, Kind::Dark | Kind::Light)
    }
}

/// Levels of the cube in the palette of 256.
const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The nearest of the 240 colours of that palette that are the same everywhere.
fn nearest(color: [u8; 3]) -> u8 {
    let apart = |other: [u8; 3]| -> u32 {
        let parts = color.iter().zip(other);
        parts.map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
    };
    let level = |part: u8| {
        let near = |number: &u8| LEVELS[usize::from(*number)].abs_diff(part);
        (0..6).min_by_key(near).unwrap_or_default()
    };
    let [red, green, blue] = color.map(level);
    let cube = [red, green, blue].map(|number| LEVELS[usize::from(number)]);
    let grey = |number: &u8| apart([8 + 10 * number; 3]);
    let number = (0..24).min_by_key(grey).unwrap_or_default();
    if grey(&number) < apart(cube) {
        232 + number
    } else {
        16 + 36 * red + 6 * green + blue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &'static str)]) -> Colours {
        Colours::found(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| *value)
        })
    }

    #[test]
    fn the_theme_follows_what_the_terminal_tells_of_itself() {
        let (many, dark, light) = (
            ("TERM", "xterm-256color"),
            ("COLORFGBG", "15;0"),
            ("COLORFGBG", "0;default;15"),
        );
        for (variables, kind, depth) in [
            (&[("TERM", "xterm")][..], Kind::Sixteen, Depth::Sixteen),
            (&[many], Kind::Sixteen, Depth::Many),
            (&[many, dark], Kind::Dark, Depth::Many),
            (&[many, light], Kind::Light, Depth::Many),
            (
                &[many, ("COLORFGBG", "default;default")],
                Kind::Sixteen,
                Depth::Many,
            ),
            (&[("TERM", "linux"), dark], Kind::Sixteen, Depth::Sixteen),
            (
                &[("COLORTERM", "truecolor"), light],
                Kind::Light,
                Depth::All,
            ),
            (&[many, dark, ("NO_COLOR", "1")], Kind::None, Depth::Many),
            (&[("TERM", "dumb")], Kind::None, Depth::Sixteen),
        ] {
            let theme = found(variables).theme("auto").unwrap();
            assert_eq!((theme.kind, theme.depth), (kind, depth), "{variables:?}");
        }
        let unwanted = found(&[("NO_COLOR", "1")]);
        assert_eq!(unwanted.theme("dark").unwrap().kind, Kind::Dark);
        assert!(unwanted.theme("blue").is_none());
        assert!(NAMES.iter().all(|name| unwanted.theme(name).is_some()));
    }

    #[test]
    fn only_auto_fits_what_the_terminal_says_of_its_ground() {
        let mut colours = found(&[("TERM", "xterm-256color"), ("COLORFGBG", "15;0")]);
        let auto = colours.theme("auto").unwrap();
        assert_eq!(auto.kind, Kind::Dark);
        assert_eq!(auto.on(Ground::Light).kind, Kind::Light);
        let dark = colours.theme("dark").unwrap();
        assert_eq!(dark.on(Ground::Light).kind, Kind::Dark);
        colours.know(Ground::Light);
        assert_eq!(colours.theme("auto").unwrap().kind, Kind::Light);
        for unasked in [
            &[("TERM", "linux")][..],
            &[("TERM", "xterm-256color"), ("NO_COLOR", "1")],
        ] {
            assert!(!found(unasked).theme("auto").unwrap().follows());
        }
    }

    #[test]
    fn roles_stand_in_the_table_where_their_number_says() {
        for (number, look) in LOOKS.iter().enumerate() {
            assert_eq!(look.role as usize, number);
        }
    }

    /// Light that a colour gives, as the Web Content Accessibility Guidelines reckon it.
    fn luminance(color: u32) -> f64 {
        let part = |shift: u32| {
            let part = f64::from(color >> shift & 0xff) / 255.0;
            if part <= 0.03928 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * part(16) + 0.7152 * part(8) + 0.0722 * part(0)
    }

    fn contrast(a: u32, b: u32) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_role_can_be_read_on_the_grounds_that_people_have() {
        let dark = [0x0000_0000, 0x001e_1e1e, 0x0028_2c34, 0x0000_2b36];
        let grounds = LOOKS.iter().filter(|look| look.role.is_ground());
        let tints: Vec<&Look> = grounds.collect();
        let light = [0x00ff_ffff, 0x00fd_f6e3, 0x00ee_eeee];
        let dark = dark.into_iter().chain(tints.iter().map(|look| look.dark));
        let light = light.into_iter().chain(tints.iter().map(|look| look.light));
        for look in LOOKS.iter().filter(|look| !look.role.is_ground()) {
            for ground in dark.clone() {
                let contrast = contrast(look.dark, ground);
                assert!(
                    contrast >= 4.5,
                    "{:?} on {ground:06x}: {contrast}",
                    look.role
                );
            }
            for ground in light.clone() {
                let contrast = contrast(look.light, ground);
                assert!(
                    contrast >= 4.5,
                    "{:?} on {ground:06x}: {contrast}",
                    look.role
                );
            }
        }
    }

    #[test]
    fn the_palette_of_256_comes_as_near_as_it_can() {
        for (color, number) in [
            ([0, 0, 0], 16),
            ([255, 255, 255], 231),
            ([0x87, 0xd7, 0x87], 114),
            ([0xa0, 0xa0, 0xa0], 247),
            ([0, 0x5f, 0], 22),
        ] {
            assert_eq!(nearest(color), number, "{color:?}");
        }
    }
}
