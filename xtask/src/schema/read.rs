//! Reads the wire's types from their source: `protocol`, and the host's own words in `server`.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use syn::parse::ParseStream;
use syn::{
    Attribute, Expr, Fields, File, GenericArgument, Ident, Item, ItemConst, ItemEnum, ItemMacro,
    ItemStruct, Lit, PathArguments, Token, Type, UnOp,
};

use super::serde::{Serde, doc, is_serde};
use super::shape::{Asked, Body, Code, Declared, Field, Kind, Shape, Told, Variant, Wire};

/// Where the words are.
const PROTOCOL: &str = "crates/protocol/src";
/// Where it is said what is asked and told with them.
const METHODS: &str = "crates/server/src/wire.rs";

/// All that crosses the wire.
pub(super) fn wire(root: &Path) -> Result<Wire> {
    let mut wire = Wire::default();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(root.join(PROTOCOL))? {
        files.push(entry?.path());
    }
    files.push(root.join(METHODS));
    files.sort();
    for path in files {
        let text = std::fs::read_to_string(&path)?;
        let read = syn::parse_file(&text)
            .map_err(anyhow::Error::from)
            .and_then(|file| take(&mut wire, &file));
        read.with_context(|| path.display().to_string())?;
    }
    // Not derived: money is written as decimal text.
    let money = Declared {
        doc: "US dollars as a decimal number in text, such as `0.0425`.".to_owned(),
        shape: Shape::Alias(Kind::Text),
    };
    wire.types.insert("Money".to_owned(), money);
    ensure!(!wire.asked.is_empty(), "{METHODS} names no methods");
    let unknown = wire.keep_needed();
    ensure!(
        unknown.is_empty(),
        "no type is known by the names {unknown:?}"
    );
    Ok(wire)
}

fn take(wire: &mut Wire, file: &File) -> Result<()> {
    for item in &file.items {
        match item {
            Item::Struct(item) if is_serde(&item.attrs) => {
                let declared = structure(item).with_context(|| item.ident.to_string())?;
                declare(wire, item.ident.to_string(), declared)?;
            }
            Item::Enum(item) if is_serde(&item.attrs) => {
                let declared = choice(item).with_context(|| item.ident.to_string())?;
                declare(wire, item.ident.to_string(), declared)?;
            }
            Item::Macro(item) => ids(wire, item)?,
            Item::Mod(item) if item.ident == "method" || item.ident == "code" => {
                let (_, items) = item.content.as_ref().context("a module without content")?;
                for item in items {
                    if let Item::Const(item) = item {
                        constant(wire, item).with_context(|| item.ident.to_string())?;
                    }
                }
            }
            // Nothing else declares what crosses the wire.
            _ => {}
        }
    }
    Ok(())
}

fn declare(wire: &mut Wire, name: String, declared: Declared) -> Result<()> {
    ensure!(
        !wire.types.contains_key(&name),
        "there are two types of the name {name}"
    );
    wire.types.insert(name, declared);
    Ok(())
}

fn structure(item: &ItemStruct) -> Result<Declared> {
    let serde = Serde::read(&item.attrs)?;
    let shape = match &item.fields {
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
            Shape::Alias(kind(&fields.unnamed[0].ty)?)
        }
        Fields::Named(_) if serde.transparent => bail!("transparent with names: add it to xtask"),
        Fields::Named(_) => Shape::Object(fields(&serde, &item.fields)?),
        Fields::Unnamed(_) | Fields::Unit => bail!("a struct of this form is not known to xtask"),
    };
    Ok(Declared {
        doc: doc(&item.attrs),
        shape,
    })
}

fn fields(of: &Serde, fields: &Fields) -> Result<Vec<Field>> {
    let mut read = Vec::new();
    for field in fields {
        let name = field.ident.as_ref().context("a field without a name")?;
        let serde = Serde::read(&field.attrs)?;
        let mut kind = kind(&field.ty).with_context(|| name.to_string())?;
        // One that is left out where it is none is never written as null.
        if serde.skip_if
            && let Kind::Maybe(inner) = kind
        {
            kind = *inner;
        }
        read.push(Field {
            name: of.named(&serde, &name.to_string())?,
            doc: doc(&field.attrs),
            kind,
            optional: of.default || serde.default || serde.skip_if,
            flat: serde.flatten,
        });
    }
    Ok(read)
}

fn choice(item: &ItemEnum) -> Result<Declared> {
    let serde = Serde::read(&item.attrs)?;
    let mut variants = Vec::new();
    for variant in &item.variants {
        let own = Serde::read(&variant.attrs)?;
        let body = match &variant.fields {
            Fields::Unit => Body::Nothing,
            Fields::Unnamed(of) if of.unnamed.len() == 1 => Body::Of(kind(&of.unnamed[0].ty)?),
            Fields::Unnamed(_) => bail!("a variant of this form is not known to xtask"),
            // Fields of variants keep their names.
            Fields::Named(_) => Body::Fields(fields(&Serde::default(), &variant.fields)?),
        };
        variants.push(Variant {
            name: serde.named(&own, &variant.ident.to_string())?,
            doc: doc(&variant.attrs),
            body,
        });
    }
    Ok(Declared {
        doc: doc(&item.attrs),
        shape: Shape::Choice {
            tag: serde.tag,
            variants,
        },
    })
}

/// The ids, which `counted!` and `named!` declare.
fn ids(wire: &mut Wire, item: &ItemMacro) -> Result<()> {
    let name = item.mac.path.get_ident().map(ToString::to_string);
    let kind = match name.as_deref() {
        Some("counted") => Kind::Count,
        Some("named") => Kind::Text,
        _ => return Ok(()),
    };
    let all = item.mac.parse_body_with(|input: ParseStream<'_>| {
        let mut all = Vec::new();
        while !input.is_empty() {
            let attributes = input.call(Attribute::parse_outer)?;
            let name: Ident = input.parse()?;
            while !input.peek(Token![;]) {
                input.step(|cursor| {
                    let (_, rest) = cursor.token_tree().ok_or_else(|| cursor.error("no end"))?;
                    Ok(((), rest))
                })?;
            }
            input.parse::<Token![;]>()?;
            all.push((name.to_string(), doc(&attributes)));
        }
        Ok(all)
    })?;
    for (name, doc) in all {
        let shape = Shape::Alias(kind.clone());
        declare(wire, name, Declared { doc, shape })?;
    }
    Ok(())
}

/// A method or an error's number. What a method takes and gives is the last thing in its doc comment:
/// `Params -> Result` where it is asked, `<- Params` where it is told.
fn constant(wire: &mut Wire, item: &ItemConst) -> Result<()> {
    let doc = doc(&item.attrs);
    if let Some(number) = number(&item.expr) {
        wire.codes.push(Code { number, doc });
        return Ok(());
    }
    let Expr::Lit(method) = &*item.expr else {
        bail!("neither text nor a number");
    };
    let Lit::Str(method) = &method.lit else {
        bail!("neither text nor a number");
    };
    let (method, (doc, form)) = (method.value(), split_form(&doc)?);
    let doc = format!("{doc}.");
    if let Some(params) = form.strip_prefix("<-") {
        let params = named_kind(params)?.context("what is told has a type")?;
        wire.told.push(Told {
            method,
            doc,
            params,
        });
        return Ok(());
    }
    let (params, result) = form.split_once("->").context("its form has no arrow")?;
    wire.asked.push(Asked {
        method,
        doc,
        params: named_kind(params)?,
        result: named_kind(result)?,
    });
    Ok(())
}

fn split_form(doc: &str) -> Result<(&str, &str)> {
    let form = doc.strip_suffix('`').and_then(|doc| doc.rsplit_once('`'));
    let (doc, form) =
        form.context("its doc comment must end with its form: `Params -> Result` or `<- Params`")?;
    Ok((doc.trim().trim_end_matches(':'), form))
}

fn named_kind(text: &str) -> Result<Option<Kind>> {
    match text.trim() {
        "()" => Ok(None),
        text => Ok(Some(kind(&syn::parse_str(text)?)?)),
    }
}

fn number(expression: &Expr) -> Option<i64> {
    match expression {
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => Some(-number(&unary.expr)?),
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(number) => number.base10_parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

fn kind(of: &Type) -> Result<Kind> {
    let path = match of {
        Type::Path(path) => path,
        Type::Reference(reference) => return kind(&reference.elem),
        _ => bail!("a type of this form is not known to xtask"),
    };
    let last = path.path.segments.last().context("an empty path")?;
    let mut inner = Vec::new();
    if let PathArguments::AngleBracketed(arguments) = &last.arguments {
        for argument in &arguments.args {
            if let GenericArgument::Type(of) = argument {
                inner.push(kind(of)?);
            }
        }
    }
    let name = last.ident.to_string();
    Ok(match (name.as_str(), inner.pop()) {
        ("String" | "str" | "PathBuf" | "Path" | "char", None) => Kind::Text,
        ("bool", None) => Kind::Truth,
        ("u8" | "u16" | "u32" | "u64" | "usize", None) => Kind::Count,
        ("i8" | "i16" | "i32" | "i64", None) => Kind::Integer,
        ("Value" | "RawValue", None) => Kind::Any,
        ("Box" | "Arc", Some(of)) => of,
        ("Option", Some(of)) => Kind::Maybe(Box::new(of)),
        ("Vec" | "BTreeSet", Some(of)) => Kind::List(Box::new(of)),
        ("BTreeMap", Some(of)) => Kind::Map(Box::new(of)),
        (_, None) => Kind::Named(name),
        (_, Some(_)) => bail!("`{name}<…>` is not known to xtask/src/schema/read.rs: add it"),
    })
}
