//! Reads of a function what the attributes need: visibility, name, and the names and types of its parameters.

use proc_macro::{Delimiter, Ident, Span, TokenStream, TokenTree};

use crate::Failure;

/// What is known of the function that carries an attribute.
pub struct Signature {
    /// As written: `pub`, `pub(crate)` or nothing.
    pub visibility: TokenStream,
    pub name: Ident,
    /// All after the first, which is the database.
    pub parameters: Vec<Parameter>,
}

/// One parameter of the function.
pub struct Parameter {
    pub name: String,
    pub count: Count,
    /// Where its type stands, for errors about the type.
    pub span: Span,
}

/// How many keys or arguments a parameter takes, for the text of errors; the types decide what really happens.
#[derive(Clone, Copy, PartialEq)]
pub enum Count {
    One,
    ZeroOrOne,
    Any,
}

impl Signature {
    /// `Err` when the item is not a function of the right form.
    pub fn parse(item: TokenStream) -> Result<Self, Failure> {
        let tokens: Vec<TokenTree> = item.into_iter().collect();
        let Some(at) = tokens.iter().position(|token| is_ident(token, "fn")) else {
            return Err(Failure::new(Span::call_site(), "only a function can carry this attribute"));
        };
        if let Some(token) = tokens[..at].iter().find(|token| is_ident(token, "async")) {
            return Err(Failure::new(
                token.span(),
                "a procedure runs to its end at once: it cannot be async",
            ));
        }
        let Some(TokenTree::Ident(name)) = tokens.get(at + 1) else {
            return Err(Failure::new(tokens[at].span(), "this function has no name"));
        };
        let Some(TokenTree::Group(list)) = tokens.get(at + 2) else {
            return Err(Failure::new(name.span(), "the server calls it: it cannot have generic parameters"));
        };
        let mut parts = split_at_commas(list.stream()).into_iter();
        if !parts.next().is_some_and(|first| is_database(&first)) {
            return Err(Failure::new(list.span(), "the first parameter must be `db: &mut Db` or `db: &Db`"));
        }
        Ok(Self {
            visibility: visibility(&tokens[..at]),
            name: name.clone(),
            parameters: parts.map(|part| Parameter::parse(&part)).collect::<Result<_, _>>()?,
        })
    }
}

impl Parameter {
    /// From `name: Type` or `mut name: Type`.
    fn parse(tokens: &[TokenTree]) -> Result<Self, Failure> {
        let span = tokens[0].span();
        let colon = tokens.iter().position(|token| is_punct(token, ':'));
        let Some((colon, TokenTree::Ident(name))) = colon.map(|colon| (colon, &tokens[colon - 1])) else {
            return Err(Failure::new(
                span,
                "a parameter needs a name, which stands in the errors for callers",
            ));
        };
        let kind = &tokens[colon + 1..];
        let span = kind.first().map_or(span, TokenTree::span);
        Ok(Self { name: name.to_string().trim_start_matches("r#").to_owned(), count: Count::of(kind), span })
    }
}

impl Count {
    fn of(kind: &[TokenTree]) -> Self {
        let text = kind.iter().cloned().collect::<TokenStream>().to_string().replace(char::is_whitespace, "");
        let path = text.split('<').next().unwrap_or_default();
        if path == "Option" || path.ends_with("::Option") {
            Self::ZeroOrOne
        } else if text.starts_with("&[&") {
            Self::Any
        } else {
            Self::One
        }
    }
}

/// The tokens `pub` or `pub(...)` among those before `fn`; attributes and `extern "C"` stand there too.
fn visibility(before: &[TokenTree]) -> TokenStream {
    let Some(at) = before.iter().position(|token| is_ident(token, "pub")) else {
        return TokenStream::new();
    };
    let restricted = matches!(before.get(at + 1), Some(TokenTree::Group(_)));
    before[at..=at + usize::from(restricted)].iter().cloned().collect()
}

/// `db: &Db`, `db: &mut kvasm_sdk::Db`: the type is a reference to what is called `Db`.
fn is_database(parameter: &[TokenTree]) -> bool {
    let colon = parameter.iter().position(|token| is_punct(token, ':'));
    let is_reference =
        colon.is_some_and(|colon| parameter.get(colon + 1).is_some_and(|token| is_punct(token, '&')));
    is_reference && parameter.last().is_some_and(|token| is_ident(token, "Db"))
}

/// The parts between commas that are not within angle brackets (other brackets are groups, hence one token each).
fn split_at_commas(stream: TokenStream) -> Vec<Vec<TokenTree>> {
    let mut parts = vec![Vec::new()];
    let mut depth = 0_usize;
    let mut after_minus = false;
    for token in stream {
        match &token {
            TokenTree::Punct(punct) => {
                match punct.as_char() {
                    '<' => depth += 1,
                    // Not the end of `->`.
                    '>' if !after_minus => depth = depth.saturating_sub(1),
                    ',' if depth == 0 => {
                        parts.push(Vec::new());
                        continue;
                    }
                    _ => {}
                }
                after_minus = punct.as_char() == '-';
            }
            // Attributes of a parameter, `#[...]`: the group after `#`.
            TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket && ends_with_hash(&parts) => {
                parts.last_mut().map(Vec::pop);
                continue;
            }
            _ => after_minus = false,
        }
        if let Some(part) = parts.last_mut() {
            part.push(token);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn ends_with_hash(parts: &[Vec<TokenTree>]) -> bool {
    parts.last().is_some_and(|part| matches!(part.as_slice(), [token] if is_punct(token, '#')))
}

fn is_ident(token: &TokenTree, text: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident.to_string() == text)
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}
