//! Types as they cross the wire: what is left of them once serde's attributes are applied.

use std::collections::{BTreeMap, BTreeSet};

/// All that crosses the wire.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// Types by name; only those that something below needs.
    pub(super) types: BTreeMap<String, Declared>,
    /// What can be asked, in the order of the source.
    pub(super) asked: Vec<Asked>,
    /// What is told without being asked.
    pub(super) told: Vec<Told>,
    /// Numbers of errors.
    pub(super) codes: Vec<Code>,
}

#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) doc: String,
    /// None where nothing needs to be said.
    pub(super) params: Option<Kind>,
    /// None where the answer is null.
    pub(super) result: Option<Kind>,
}

#[derive(Debug)]
pub(super) struct Told {
    pub(super) method: String,
    pub(super) doc: String,
    pub(super) params: Kind,
}

#[derive(Debug)]
pub(super) struct Code {
    pub(super) number: i64,
    pub(super) doc: String,
}

/// A type with a name.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) doc: String,
    pub(super) shape: Shape,
}

#[derive(Debug)]
pub(super) enum Shape {
    Alias(Kind),
    Object(Vec<Field>),
    Choice {
        /// The member that says which variant it is; without one, the variant's name is the only
        /// member, or the text itself.
        tag: Option<String>,
        variants: Vec<Variant>,
    },
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) doc: String,
    pub(super) kind: Kind,
    /// Whether it may be left out.
    pub(super) optional: bool,
    /// Whether its members stand among those of the object.
    pub(super) flat: bool,
}

#[derive(Debug)]
pub(super) struct Variant {
    pub(super) name: String,
    pub(super) doc: String,
    pub(super) body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    Nothing,
    Of(Kind),
    Fields(Vec<Field>),
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Truth,
    Integer,
    Count,
    Any,
    List(Box<Kind>),
    Map(Box<Kind>),
    Maybe(Box<Kind>),
    Named(String),
}

impl Kind {
    fn names(&self, names: &mut BTreeSet<String>) {
        match self {
            Self::Named(name) => drop(names.insert(name.clone())),
            Self::List(of) | Self::Map(of) | Self::Maybe(of) => of.names(names),
            Self::Text | Self::Truth | Self::Integer | Self::Count | Self::Any => {}
        }
    }
}

impl Shape {
    fn names(&self, names: &mut BTreeSet<String>) {
        let of_fields = |fields: &[Field], names: &mut BTreeSet<String>| {
            for field in fields {
                field.kind.names(names);
            }
        };
        match self {
            Self::Alias(kind) => kind.names(names),
            Self::Object(fields) => of_fields(fields, names),
            Self::Choice { variants, .. } => {
                for variant in variants {
                    match &variant.body {
                        Body::Nothing => {}
                        Body::Of(kind) => kind.names(names),
                        Body::Fields(fields) => of_fields(fields, names),
                    }
                }
            }
        }
    }
}

impl Wire {
    /// Keeps the types that something on the wire needs. Names that no type has come back.
    pub(super) fn keep_needed(&mut self) -> BTreeSet<String> {
        let mut open = BTreeSet::new();
        for asked in &self.asked {
            for kind in asked.params.iter().chain(&asked.result) {
                kind.names(&mut open);
            }
        }
        for told in &self.told {
            told.params.names(&mut open);
        }
        open.insert("ClientError".to_owned());
        open.insert("Failure".to_owned());
        let (mut needed, mut unknown) = (BTreeSet::new(), BTreeSet::new());
        while let Some(name) = open.pop_first() {
            match self.types.get(&name) {
                Some(declared) if needed.insert(name.clone()) => declared.shape.names(&mut open),
                Some(_) => {}
                None => drop(unknown.insert(name)),
            }
            open.retain(|name| !needed.contains(name) && !unknown.contains(name));
        }
        self.types.retain(|name, _| needed.contains(name));
        unknown
    }
}
