//! Reads what stands in the brackets of an attribute: `name = literal`, comma-separated.

use proc_macro::{Span, TokenStream, TokenTree};

use crate::Failure;

/// The options given, in order.
pub struct Options(Vec<Given>);

struct Given {
    name: String,
    value: Value,
    span: Span,
}

/// What an option can be given.
enum Value {
    Text(String),
    Number(u32),
    Boolean(bool),
}

impl Options {
    /// `Err` when it cannot be read, or names an option that is not among `known`, or one twice.
    pub fn parse(attribute: TokenStream, known: &[&str]) -> Result<Self, Failure> {
        let mut given: Vec<Given> = Vec::new();
        let mut tokens = attribute.into_iter();
        while let Some(token) = tokens.next() {
            let span = token.span();
            let name = token.to_string();
            if !known.contains(&name.as_str()) {
                return Err(Failure::new(span, format!("expected one of: {}", known.join(", "))));
            }
            if given.iter().any(|other| other.name == name) {
                return Err(Failure::new(span, format!("{name} is given twice")));
            }
            let equals = tokens.next().is_some_and(|token| token.to_string() == "=");
            let value = tokens.next().filter(|_| equals).and_then(|token| Value::parse(&token));
            let Some(value) = value else {
                return Err(Failure::new(span, format!("expected {name} = a literal")));
            };
            given.push(Given { name, value, span });
            if let Some(token) = tokens.next().filter(|token| token.to_string() != ",") {
                return Err(Failure::new(token.span(), "expected a comma"));
            }
        }
        Ok(Self(given))
    }

    /// The value of a string option, which must be one word of printable ASCII: it becomes a word of a command.
    pub fn word(&self, name: &str) -> Result<Option<String>, Failure> {
        self.find(name, "a string without spaces, quotes or control characters", |value| match value {
            Value::Text(text) => {
                let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'');
                (!text.is_empty() && text.bytes().all(plain)).then(|| text.clone())
            }
            _ => None,
        })
    }

    /// The value of a string option that is one of these.
    pub fn one_of(&self, name: &str, known: &[&str]) -> Result<Option<String>, Failure> {
        self.find(name, &known.join(" or "), |value| match value {
            Value::Text(text) => known.contains(&text.as_str()).then(|| text.clone()),
            _ => None,
        })
    }

    /// The value of a numeric option.
    pub fn number(&self, name: &str) -> Result<Option<u32>, Failure> {
        self.find(name, "a number", |value| match value {
            Value::Number(number) => Some(*number),
            _ => None,
        })
    }

    /// The value of an option that is `true` or `false`.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Failure> {
        self.find(name, "true or false", |value| match value {
            Value::Boolean(boolean) => Some(*boolean),
            _ => None,
        })
    }

    fn find<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        let Some(given) = self.0.iter().find(|given| given.name == name) else {
            return Ok(None);
        };
        let wrong = || Failure::new(given.span, format!("{name} must be {expected}"));
        read(&given.value).ok_or_else(wrong).map(Some)
    }
}

impl Value {
    fn parse(token: &TokenTree) -> Option<Self> {
        let text = token.to_string();
        match text.as_str() {
            "true" => return Some(Self::Boolean(true)),
            "false" => return Some(Self::Boolean(false)),
            _ => {}
        }
        if let Ok(number) = text.parse() {
            return Some(Self::Number(number));
        }
        // A backslash would need the escapes of the language: none of the options needs one.
        let inner = text.strip_prefix('"')?.strip_suffix('"')?;
        (!inner.contains('\\')).then(|| Self::Text(inner.to_owned()))
    }
}
