//! Languages as data: how their comments and texts begin and end, and their keywords.

/// A language.
#[derive(Debug)]
pub(super) struct Language {
    /// Its names, and what its files' names end in, with spaces between them.
    pub(super) names: &'static str,
    /// What begins a comment that ends with the line, with spaces between them.
    pub(super) comment: &'static str,
    /// How a comment over lines begins and ends.
    pub(super) block: Option<(&'static str, &'static str)>,
    /// Its texts; where one begins like another, the longer stands first.
    pub(super) quotes: &'static [Quote],
    /// What stands behind the name of a value at the start of a line.
    pub(super) key: Option<char>,
    /// Whether words count by standing behind `<`.
    pub(super) tags: bool,
    /// Its keywords, with spaces between them; in small letters, where the case does not matter.
    pub(super) keywords: &'static str,
    /// Whether the case of keywords matters.
    pub(super) cased: bool,
}

impl Language {
    /// Whether that is a keyword.
    pub(super) fn knows(&self, word: &str) -> bool {
        let mut keywords = self.keywords.split_ascii_whitespace();
        keywords.any(|known| known == word || !self.cased && known.eq_ignore_ascii_case(word))
    }
}

/// How a text begins and ends.
#[derive(Debug)]
pub(super) struct Quote {
    pub(super) open: &'static str,
    pub(super) close: &'static str,
    /// Whether a backslash takes the meaning of what follows.
    pub(super) escapes: bool,
    /// How far it may go.
    pub(super) over: Over,
}

/// How far a text may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Character,
    Line,
    Lines,
}

const fn quote(mark: &'static str, over: Over) -> Quote {
    Quote {
        open: mark,
        close: mark,
        escapes: true,
        over,
    }
}

const fn raw(mark: &'static str) -> Quote {
    Quote {
        open: mark,
        close: mark,
        escapes: false,
        over: Over::Lines,
    }
}

/// Texts as C has them.
const DOUBLE_AND_SINGLE: &[Quote] = &[quote("\"", Over::Line), quote("'", Over::Line)];
/// The same, and what JavaScript and Go have between backticks.
const AND_BACKTICKS: &[Quote] = &[
    quote("\"", Over::Line),
    quote("'", Over::Line),
    quote("`", Over::Lines),
];
/// Texts as Python has them.
const TRIPLE: &[Quote] = &[
    quote("\"\"\"", Over::Lines),
    quote("'''", Over::Lines),
    quote("\"", Over::Line),
    quote("'", Over::Line),
];
/// Texts as shells have them.
const SHELL: &[Quote] = &[quote("\"", Over::Lines), raw("'")];
/// Texts where an apostrophe begins a character or a name.
const CHARACTERS: &[Quote] = &[quote("\"", Over::Lines), quote("'", Over::Character)];

/// A language like C, to be changed where it is not.
const LIKE_C: Language = Language {
    names: "",
    comment: "//",
    block: Some(("/*", "*/")),
    quotes: DOUBLE_AND_SINGLE,
    key: None,
    tags: false,
    keywords: "",
    cased: true,
};

/// A language with comments behind `#`.
const LIKE_SHELL: Language = Language {
    comment: "#",
    block: None,
    ..LIKE_C
};

/// Everything that is known.
pub(super) const LANGUAGES: &[Language] = &[
    Language {
        names: "rust rs",
        quotes: CHARACTERS,
        keywords: "as async await break const continue crate dyn else enum extern false fn for if \
            impl in let loop match mod move mut pub ref return self Self static struct super trait \
            true type unsafe use where while",
        ..LIKE_C
    },
    Language {
        names: "c h cpp c++ cc cxx hpp hh objective-c objc m cuda cu arduino ino",
        keywords: "alignas alignof auto bool break case catch char class concept const constexpr \
            continue decltype default define delete do double else endif enum explicit extern false \
            float for friend goto if ifdef ifndef include inline int long namespace new noexcept \
            nullptr NULL operator override private protected public register requires return short \
            signed sizeof static struct switch template this throw true try typedef typename union \
            unsigned using virtual void volatile while",
        ..LIKE_C
    },
    Language {
        names: "csharp c# cs",
        keywords: "abstract as async await base bool break byte case catch char class const continue \
            decimal default delegate do double else enum event false finally float for foreach get \
            if in int interface internal is long namespace new null object out override params \
            private protected public readonly record ref return sealed set static string struct \
            switch this throw true try typeof using var virtual void while yield",
        ..LIKE_C
    },
    Language {
        names: "java kotlin kt kts scala groovy gradle dart",
        quotes: TRIPLE,
        keywords: "abstract as assert boolean break byte case catch char class companion const \
            continue data def default do double else enum extends false final finally float for fun \
            if implements import in int interface internal is lazy long match new null object open \
            override package private protected public return sealed short static super suspend \
            switch this throw throws trait true try val var void when while with yield",
        ..LIKE_C
    },
    Language {
        names: "go golang",
        quotes: AND_BACKTICKS,
        keywords: "any bool break byte case chan const continue default defer else error \
            fallthrough false float64 for func go goto if import int int64 interface iota make map \
            nil package range return rune select string struct switch true type uint64 var",
        ..LIKE_C
    },
    Language {
        names: "javascript js jsx mjs cjs typescript ts tsx mts vue svelte",
        quotes: AND_BACKTICKS,
        keywords: "abstract any as async await boolean break case catch class const continue \
            debugger declare default delete do else enum export extends false finally for from \
            function get if implements import in instanceof interface keyof let namespace never new \
            null number of private protected public readonly return satisfies set static string \
            super switch this throw true try type typeof undefined unknown var void while yield",
        ..LIKE_C
    },
    Language {
        names: "swift",
        quotes: TRIPLE,
        keywords: "actor as async await break case catch class continue default defer do else enum \
            extension false fileprivate for func guard if import in init inout is let nil open \
            override private protocol public repeat rethrows return self Self some static struct \
            super switch throw throws true try typealias var weak where while",
        ..LIKE_C
    },
    Language {
        names: "php",
        comment: "// #",
        keywords: "abstract array as break case catch class const continue declare default do echo \
            else elseif enum extends false final finally fn for foreach function if implements \
            include instanceof interface match namespace new null private protected public \
            readonly require return static switch this throw trait true try use var while yield",
        ..LIKE_C
    },
    Language {
        names: "css scss less",
        keywords: "and auto charset flex font from grid import important include inherit initial \
            keyframes media mixin none not only solid to var",
        ..LIKE_C
    },
    Language {
        names: "json jsonc json5 jsonl ndjson",
        keywords: "false null true",
        ..LIKE_C
    },
    Language {
        names: "python py pyi python3 starlark bzl",
        quotes: TRIPLE,
        keywords: "and as assert async await break case class continue def del elif else except \
            False finally for from global if import in is lambda match None nonlocal not or pass \
            raise return self True try type while with yield",
        ..LIKE_SHELL
    },
    Language {
        names: "bash sh shell zsh console shellsession fish ksh",
        quotes: SHELL,
        keywords: "alias break case cd continue do done echo elif else end esac eval exec exit \
            export fi for function if in local read return select set shift source then trap unset \
            until while",
        ..LIKE_SHELL
    },
    Language {
        names: "ruby rb rake crystal cr",
        quotes: SHELL,
        keywords: "alias and begin break case class def defined do else elsif end ensure false for \
            if in include module next nil not or private protected public raise redo require rescue \
            retry return self super then true undef unless until when while yield",
        ..LIKE_SHELL
    },
    Language {
        names: "yaml yml",
        key: Some(':'),
        keywords: "false no null true yes",
        ..LIKE_SHELL
    },
    Language {
        names: "toml ini cfg conf properties env dotenv editorconfig",
        comment: "# ;",
        quotes: TRIPLE,
        key: Some('='),
        keywords: "false true",
        ..LIKE_SHELL
    },
    Language {
        names: "dockerfile containerfile docker",
        keywords: "add arg as cmd copy entrypoint env expose from healthcheck label run shell \
            stopsignal user volume workdir",
        cased: false,
        ..LIKE_SHELL
    },
    Language {
        names: "makefile make mk justfile cmake nix",
        quotes: &[quote("\"", Over::Line)],
        keywords: "define else endef endif export if ifdef ifeq ifndef ifneq in include inherit let \
            override rec then with",
        ..LIKE_SHELL
    },
    Language {
        names: "sql postgres postgresql mysql sqlite plsql",
        comment: "--",
        keywords: "add all alter and as asc begin between by case cascade check column commit \
            constraint create cross database default delete desc distinct drop else end exists \
            foreign from full function group having if in index inner insert int integer into is \
            join key left like limit not null offset on or order outer primary references returning \
            right rollback select set table text then transaction trigger union unique update using \
            values varchar view when where with",
        cased: false,
        ..LIKE_C
    },
    Language {
        names: "lua",
        comment: "--",
        block: Some(("--[[", "]]")),
        keywords: "and break do else elseif end false for function goto if in local nil not or \
            repeat return then true until while",
        ..LIKE_C
    },
    Language {
        names: "haskell hs elm purescript",
        comment: "--",
        block: Some(("{-", "-}")),
        quotes: CHARACTERS,
        keywords: "as case class data deriving do else exposing forall if import in infixl infixr \
            instance let module newtype of qualified then type where",
        ..LIKE_C
    },
    Language {
        names: "html htm xml svg xhtml",
        comment: "",
        block: Some(("<!--", "-->")),
        quotes: &[quote("\"", Over::Line)],
        tags: true,
        ..LIKE_C
    },
];
