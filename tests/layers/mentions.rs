//! Every path a source file mentions, and what it names.

use std::fmt;
use std::path::Path;

use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, ItemUse, Lit, Token, UseTree, Visibility};

/// One path in a source file.
pub struct Mention {
    /// The room of the file: a directory or file right below `src/`.
    pub room: String,
    /// The words as written; a method is `_::name`.
    pub path: Vec<String>,
    /// Whether it began with `::`.
    pub absolute: bool,
    /// What it names.
    pub target: Target,
    /// The words after the room's name.
    pub item: Vec<String>,
    /// Whether a `use` or `extern crate` says it.
    pub import: bool,
    /// Whether that `use` has a visibility.
    pub public: bool,
}

/// What the first words of a path name.
#[derive(PartialEq)]
pub enum Target {
    /// A room, or something else at this crate's root.
    Room(String),
    /// This crate's root itself.
    Root,
    /// Perhaps a crate: the first word is neither a keyword nor a room.
    Crate(String),
    /// `Self`, or one word.
    Local,
}

impl Mention {
    /// The room it names, unless that is its own.
    pub fn other_room(&self) -> Option<&str> {
        match &self.target {
            Target::Room(room) if *room != self.room => Some(room),
            _ => None,
        }
    }
}

impl fmt::Display for Mention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.absolute { "::" } else { "" }, self.path.join("::"))
    }
}

/// The room of the file at `path` in the package: `src/crl/plan.rs` is in `crl`.
pub fn room(path: &Path) -> String {
    let first = path.strip_prefix("src").unwrap().iter().next().unwrap().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// All the paths in `code`, the text of the file at `path`.
pub fn mentions(path: &Path, code: &str, is_room: fn(&str) -> bool) -> Vec<Mention> {
    let file = syn::parse_file(code).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut module: Vec<String> =
        path.with_extension("").iter().skip(1).map(|name| name.to_str().unwrap().to_owned()).collect();
    if module.last().is_some_and(|name| ["mod", "lib", "main"].contains(&name.as_str())) {
        module.pop();
    }
    let mut reader = Reader { room: room(path), module, is_room, found: vec![] };
    reader.visit_file(&file);
    reader.found
}

struct Reader {
    room: String,
    /// The module we are in, from the crate's root.
    module: Vec<String>,
    is_room: fn(&str) -> bool,
    found: Vec<Mention>,
}

/// How a path is said.
#[derive(Clone, Copy, PartialEq)]
enum Said {
    InPassing,
    Imported,
    PassedOn,
}

impl Reader {
    fn mention(&mut self, absolute: bool, path: Vec<String>, said: Said) {
        let (target, item) = self.resolve(absolute, &path, said);
        self.found.push(Mention {
            room: self.room.clone(),
            absolute,
            target,
            item,
            import: said != Said::InPassing,
            public: said == Said::PassedOn,
            path,
        });
    }

    fn resolve(&self, absolute: bool, path: &[String], said: Said) -> (Target, Vec<String>) {
        let (first, rest) = path.split_first().unwrap();
        let mut base = self.module.clone();
        let mut rest = rest;
        match first.as_str() {
            "crate" | "sekisho" => base.clear(),
            "self" => {}
            "super" => {
                base.pop();
                while rest.first().is_some_and(|word| word == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            "Self" => return (Target::Local, vec![]),
            _ if !absolute && base.is_empty() && (self.is_room)(first) => base.push(first.clone()),
            _ if path.len() == 1 && said == Said::InPassing => return (Target::Local, vec![]),
            _ => return (Target::Crate(first.clone()), vec![]),
        }
        base.extend_from_slice(rest);
        if base.first().is_none_or(|word| word == "*") {
            return (Target::Root, vec![]);
        }
        let room = base.remove(0);
        (Target::Room(room), base)
    }

    /// Flattens `a::{b, c::{self, *}}`.
    fn use_tree(&mut self, absolute: bool, prefix: &[String], tree: &UseTree, said: Said) {
        let with = |word: String| [prefix, &[word]].concat();
        match tree {
            UseTree::Path(path) => {
                self.use_tree(absolute, &with(path.ident.to_string()), &path.tree, said);
            }
            UseTree::Name(name) if name.ident == "self" && !prefix.is_empty() => {
                self.mention(absolute, prefix.to_vec(), said);
            }
            UseTree::Name(name) => self.mention(absolute, with(name.ident.to_string()), said),
            UseTree::Rename(name) if name.ident == "self" && !prefix.is_empty() => {
                self.mention(absolute, prefix.to_vec(), said);
            }
            UseTree::Rename(name) => self.mention(absolute, with(name.ident.to_string()), said),
            UseTree::Glob(_) => self.mention(absolute, with("*".to_owned()), said),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.use_tree(absolute, prefix, tree, said);
                }
            }
        }
    }

    /// Reads the paths among tokens that may be no Rust at all.
    fn tokens(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        while !input.is_empty() {
            let ahead = input.fork();
            if input.peek(Token![use])
                && let Ok(item) = ahead.parse::<ItemUse>()
            {
                self.visit_item_use(&item);
                syn::parse::discouraged::Speculative::advance_to(input, &ahead);
            } else if input.peek(Token![::]) || input.peek(Ident::peek_any) {
                self.token_path(input)?;
            } else if input.peek(Token![.]) && input.peek2(Ident) && input.peek3(syn::token::Paren) {
                input.parse::<Token![.]>()?;
                let method = input.call(Ident::parse_any)?;
                self.mention(false, vec!["_".to_owned(), method.to_string()], Said::InPassing);
            } else if input.peek(Lit) {
                let text = input.parse()?;
                self.text(&text);
            } else if input.peek(syn::token::Paren) {
                let content;
                syn::parenthesized!(content in input);
                self.tokens(&content)?;
            } else if input.peek(syn::token::Bracket) {
                let content;
                syn::bracketed!(content in input);
                self.tokens(&content)?;
            } else if input.peek(syn::token::Brace) {
                let content;
                syn::braced!(content in input);
                self.tokens(&content)?;
            } else {
                let none = syn::Error::new(input.span(), "no token");
                input.step(|cursor| cursor.token_tree().map(|(_, rest)| ((), rest)).ok_or(none))?;
            }
        }
        Ok(())
    }

    fn token_path(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        let absolute = input.parse::<Option<Token![::]>>()?.is_some();
        let mut path = vec![];
        while input.peek(Ident::peek_any) {
            path.push(input.call(Ident::parse_any)?.to_string());
            let ahead = input.fork();
            if ahead.parse::<Option<Token![::]>>()?.is_none() || !ahead.peek(Ident::peek_any) {
                break;
            }
            input.parse::<Token![::]>()?;
        }
        if path.len() > 1 {
            self.mention(absolute, path, Said::InPassing);
        }
        Ok(())
    }

    /// Serde's attributes name paths in strings.
    fn text(&mut self, lit: &Lit) {
        let Lit::Str(text) = lit else { return };
        if let Ok(path) = syn::parse_str::<syn::Path>(&text.value())
            && path.segments.len() > 1
        {
            self.visit_path(&path);
        }
    }
}

fn said_by(visibility: &Visibility) -> Said {
    if matches!(visibility, Visibility::Inherited) { Said::Imported } else { Said::PassedOn }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let said = said_by(&item.vis);
        self.use_tree(item.leading_colon.is_some(), &[], &item.tree, said);
        item.attrs.iter().for_each(|attribute| self.visit_attribute(attribute));
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        let name = item.ident.to_string();
        let said = said_by(&item.vis);
        let module = std::mem::take(&mut self.module);
        self.mention(false, vec![name], said);
        self.module = module;
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let words = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.mention(path.leading_colon.is_some(), words, Said::InPassing);
        visit::visit_path(self, path);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.mention(false, vec!["_".to_owned(), call.method.to_string()], Said::InPassing);
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        if call.path.is_ident("include") {
            self.mention(false, vec!["include!".to_owned()], Said::InPassing);
        }
        (|input: ParseStream<'_>| self.tokens(input)).parse2(call.tokens.clone()).unwrap();
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if attribute.path().is_ident("doc") {
            return;
        }
        self.visit_path(attribute.path());
        if attribute.path().is_ident("path") {
            self.mention(false, vec!["#[path]".to_owned()], Said::InPassing);
        }
        match &attribute.meta {
            syn::Meta::Path(_) => {}
            syn::Meta::NameValue(pair) => self.visit_expr(&pair.value),
            syn::Meta::List(list) => {
                let tokens = list.tokens.clone();
                (|input: ParseStream<'_>| self.tokens(input)).parse2(tokens).unwrap();
            }
        }
    }

    /// `pub(in …)` imports nothing.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}
}
