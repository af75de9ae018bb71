//! The attributes of serde that the wire's types use. Any other is an error: what is generated must
//! never say less than the truth because nobody thought of it.

use anyhow::{Result, bail};
use syn::{Attribute, Expr, ExprLit, Lit, LitStr};

/// What serde is told of a type, a field or a variant.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an attribute or none"
)]
pub(super) struct Serde {
    pub(super) tag: Option<String>,
    pub(super) rename: Option<String>,
    pub(super) rename_all: Option<String>,
    pub(super) default: bool,
    pub(super) skip_if: bool,
    pub(super) flatten: bool,
    pub(super) transparent: bool,
}

impl Serde {
    pub(super) fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut read = Self::default();
        let mut unknown = None;
        for attribute in attributes {
            if !attribute.path().is_ident("serde") {
                continue;
            }
            attribute.parse_nested_meta(|meta| {
                let name = meta.path.get_ident().map(ToString::to_string);
                let name = name.unwrap_or_default();
                let value =
                    || -> syn::Result<String> { Ok(meta.value()?.parse::<LitStr>()?.value()) };
                match name.as_str() {
                    "tag" => read.tag = Some(value()?),
                    "rename" => read.rename = Some(value()?),
                    "rename_all" => read.rename_all = Some(value()?),
                    "default" => read.default = true,
                    "skip_serializing_if" => {
                        value()?;
                        read.skip_if = true;
                    }
                    "flatten" => read.flatten = true,
                    "transparent" => read.transparent = true,
                    // Where text is read from, which nobody sees on the wire.
                    "borrow" => {}
                    // How it is read, which changes nothing of how it is written.
                    "deserialize_with" => drop(value()?),
                    _ => unknown = Some(name),
                }
                Ok(())
            })?;
        }
        match unknown {
            Some(name) => {
                bail!("`serde({name})` is not known to xtask/src/schema/serde.rs: add it")
            }
            None => Ok(read),
        }
    }

    /// The name of a variant or field of a type with these attributes.
    pub(super) fn named(&self, own: &Self, name: &str) -> Result<String> {
        if let Some(name) = &own.rename {
            return Ok(name.clone());
        }
        let joined_by = match self.rename_all.as_deref() {
            None => return Ok(name.to_owned()),
            Some("snake_case") => '_',
            Some("kebab-case") => '-',
            Some(other) => bail!("`rename_all = \"{other}\"` is not known to xtask: add it"),
        };
        let mut renamed = String::new();
        for letter in name.chars() {
            if letter.is_ascii_uppercase() && !renamed.is_empty() {
                renamed.push(joined_by);
            }
            renamed.push(letter.to_ascii_lowercase());
        }
        Ok(renamed)
    }
}

/// Whether a type derives one of serde's traits.
pub(super) fn is_serde(attributes: &[Attribute]) -> bool {
    let mut found = false;
    for attribute in attributes {
        if attribute.path().is_ident("derive") {
            // Derives are paths, and paths are all that is looked at.
            let _ = attribute.parse_nested_meta(|meta| {
                found |= meta.path.is_ident("Serialize") || meta.path.is_ident("Deserialize");
                Ok(())
            });
        }
    }
    found
}

/// What a doc comment says, with links as plain code.
pub(super) fn doc(attributes: &[Attribute]) -> String {
    let mut lines = Vec::new();
    for attribute in attributes {
        if attribute.path().is_ident("doc")
            && let Ok(meta) = attribute.meta.require_name_value()
            && let Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) = &meta.value
        {
            lines.push(text.value().trim().to_owned());
        }
    }
    lines.join(" ").replace("[`", "`").replace("`]", "`")
}
