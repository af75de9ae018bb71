//! The types as TypeScript.

use std::fmt::Write as _;

use super::shape::{Body, Declared, Field, Kind, Shape, Variant, Wire};

/// What stands before everything.
const HEAD: &str = "\
// What Quire's host and its faces say to each other. Made by `cargo xtask schema`: do not edit.
// Later versions may add members, and values of named lists: skip what you do not know.

";
/// What is said of every message.
const MESSAGES: &str = "\
/** Something asked of the host. */
export type RpcRequest = {
  [M in keyof Methods]: { jsonrpc?: \"2.0\"; id: string | number; method: M } & (
    Methods[M][\"params\"] extends null
      ? { params?: { [key: string]: never } }
      : { params: Methods[M][\"params\"] }
  );
}[keyof Methods];

/** The answer to it. */
export type RpcAnswer<M extends keyof Methods = keyof Methods> =
  | { jsonrpc: \"2.0\"; id: string | number; result: Methods[M][\"result\"] }
  | { jsonrpc: \"2.0\"; id: string | number | null; error: Failure & { code: ErrorCode } };

/** Something told without being asked. */
export type RpcNotice = {
  [M in keyof Notices]: { jsonrpc: \"2.0\"; method: M; params: Notices[M] };
}[keyof Notices];
";

/// The declarations as text.
pub(super) fn write(wire: &Wire) -> String {
    let mut text = HEAD.to_owned();
    for (name, declared) in &wire.types {
        comment(&mut text, &declared.doc, "");
        declare(&mut text, name, declared);
        text.push('\n');
    }
    text.push_str("/** What can be asked, with what it takes and what its answer holds. */\n");
    text.push_str("export interface Methods {\n");
    for asked in &wire.asked {
        comment(&mut text, &asked.doc, "  ");
        let of = |kind: Option<&Kind>| kind.map_or_else(|| "null".to_owned(), of);
        let (params, result) = (of(asked.params.as_ref()), of(asked.result.as_ref()));
        let method = &asked.method;
        line(
            &mut text,
            &format!("  \"{method}\": {{ params: {params}; result: {result} }};"),
        );
    }
    text.push_str("}\n\n/** What is told without being asked. */\nexport interface Notices {\n");
    for told in &wire.told {
        comment(&mut text, &told.doc, "  ");
        line(
            &mut text,
            &format!("  \"{}\": {};", told.method, of(&told.params)),
        );
    }
    text.push_str("}\n\n/** Numbers of errors. */\nexport type ErrorCode =");
    for code in &wire.codes {
        text.push('\n');
        comment(&mut text, &code.doc, "  ");
        let _ = write!(text, "  | {}", code.number);
    }
    text.push_str(";\n\n");
    text.push_str(MESSAGES);
    text
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn comment(text: &mut String, doc: &str, indent: &str) {
    if !doc.is_empty() {
        let doc = doc.replace("*/", "* /");
        line(text, &format!("{indent}/** {doc} */"));
    }
}

fn declare(text: &mut String, name: &str, declared: &Declared) {
    match &declared.shape {
        Shape::Alias(kind) => line(text, &format!("export type {name} = {};", of(kind))),
        Shape::Object(fields) => {
            let object = object(fields, None, "");
            line(text, &format!("export type {name} = {object};"));
        }
        Shape::Choice { tag, variants } => {
            let _ = write!(text, "export type {name} =");
            for variant in variants {
                text.push('\n');
                comment(text, &variant.doc, "  ");
                let _ = write!(text, "  | {}", of_variant(tag.as_deref(), variant));
            }
            text.push_str(";\n");
        }
    }
}

fn of_variant(tag: Option<&str>, variant: &Variant) -> String {
    let name = format!("\"{}\"", variant.name);
    let Some(tag) = tag else {
        let body = match &variant.body {
            Body::Nothing => return name,
            Body::Of(kind) => of(kind),
            Body::Fields(fields) => object(fields, None, "    "),
        };
        return format!("{{ {}: {body} }}", variant.name);
    };
    match &variant.body {
        Body::Nothing => object(&[], Some((tag, &name)), "    "),
        Body::Fields(fields) => object(fields, Some((tag, &name)), "    "),
        Body::Of(kind) => format!(
            "({} & {})",
            object(&[], Some((tag, &name)), "    "),
            of(kind)
        ),
    }
}

fn object(fields: &[Field], tag: Option<(&str, &str)>, indent: &str) -> String {
    let mut text = "{".to_owned();
    if let Some((tag, name)) = tag {
        let _ = write!(text, " {tag}: {name};");
    }
    let (flat, own): (Vec<_>, Vec<_>) = fields.iter().partition(|field| field.flat);
    if own.is_empty() {
        text.push_str(" }");
    } else {
        text.push('\n');
        for field in own {
            comment(&mut text, &field.doc, &format!("{indent}  "));
            let mark = if field.optional { "?" } else { "" };
            line(
                &mut text,
                &format!("{indent}  {}{mark}: {};", field.name, of(&field.kind)),
            );
        }
        let _ = write!(text, "{indent}}}");
    }
    for field in flat {
        let _ = write!(text, " & {}", of(&field.kind));
    }
    text
}

fn of(kind: &Kind) -> String {
    match kind {
        Kind::Text => "string".to_owned(),
        Kind::Truth => "boolean".to_owned(),
        Kind::Integer | Kind::Count => "number".to_owned(),
        Kind::Any => "unknown".to_owned(),
        Kind::List(each) => match &**each {
            Kind::Maybe(_) => format!("({})[]", of(each)),
            each => format!("{}[]", of(each)),
        },
        Kind::Map(each) => format!("{{ [key: string]: {} }}", of(each)),
        Kind::Maybe(inner) => format!("{} | null", of(inner)),
        Kind::Named(name) => name.clone(),
    }
}
