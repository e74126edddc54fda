//! Writes what stands beside the function: its type, and its export in a guest.

use std::fmt::Write as _;

use proc_macro::{Group, Span, TokenStream, TokenTree};

use crate::Failure;
use crate::options::Options;
use crate::signature::{Count, Parameter, Signature};

/// The expansion of `#[procedure]`.
pub fn procedure(attribute: TokenStream, item: TokenStream) -> Result<TokenStream, Failure> {
    let options = Options::parse(attribute, &["name", "runs"])?;
    let function = Signature::parse(item)?;
    let ident = function.name.to_string();
    let name = options.word("name")?.unwrap_or_else(|| plain(&ident));
    let placement = options.one_of("runs", &["background", "inline"])?;
    let usage = usage(&function.parameters)?;

    let mut takes = TokenStream::new();
    let mut passed = String::new();
    for (index, parameter) in function.parameters.iter().enumerate() {
        let take = format!("let p{index} = input.take({:?})?;", parameter.name);
        takes.extend(located_at(parameter.span, code(&take)?));
        let _ = write!(passed, ", p{index}");
    }
    let body =
        braced(takes, &format!("input.finish()?; ::kvasm_sdk::IntoReply::into_reply({ident}(db{passed}))"))?;

    let mut output = declare_type(&function, "procedure")?;
    output.extend(code(&format!("impl ::kvasm_sdk::Procedure for {ident}"))?);
    let mut members = code(&format!(
        "const NAME: &'static str = {name:?};
         const USAGE: &'static str = {usage:?};
         fn invoke(db: &mut ::kvasm_sdk::Db, input: &mut ::kvasm_sdk::Input<'_>)
             -> ::kvasm_sdk::Result<::kvasm_sdk::Reply>"
    ))?;
    members.extend(body);
    output.extend(braced(members, "")?);
    output.extend(export(&name, &format!("::kvasm_sdk::guest::run::<{ident}>()"))?);
    output.extend(mark_used(&ident, "Procedure")?);
    if let Some(placement) = placement {
        output.extend(declare("kvasm.placement", &format!("{name} {placement}\n"))?);
    }
    Ok(output)
}

/// The expansion of `#[trigger(on = "...", keys = "...")]`.
pub fn trigger(attribute: TokenStream, item: TokenStream) -> Result<TokenStream, Failure> {
    let options = Options::parse(attribute, TRIGGER_OPTIONS)?;
    let function = Signature::parse(item)?;
    if function.parameters.len() != 1 {
        let message = "a trigger takes the database and the event: `(db: &mut Db, event: &Event)`";
        return Err(Failure::new(function.name.span(), message));
    }
    let required = |option: &str| {
        let missing = || Failure::new(Span::call_site(), format!("missing: {option} = \"...\""));
        options.word(option)?.ok_or_else(missing)
    };
    let ident = function.name.to_string();
    let function_name = plain(&ident);
    let name = options.word("name")?.unwrap_or_else(|| function_name.clone());
    let delivery = delivery(&options)?;
    let mode = if delivery.is_some() { " ASYNC" } else { "" };
    let mut declaration = format!("{name}{mode} ON {} KEYS {}", required("on")?, required("keys")?);
    if let Some(number) = options.number("db")? {
        let _ = write!(declaration, " DB {number}");
    }
    let _ = write!(declaration, " CALL {function_name}{}", delivery.unwrap_or_default());
    if options.boolean("enabled")? == Some(false) {
        declaration.push_str(" DISABLED");
    }

    let mut output = declare_type(&function, "trigger")?;
    output.extend(code(&format!(
        "impl ::kvasm_sdk::Trigger for {ident} {{
             const NAME: &'static str = {name:?};
             const DECLARATION: &'static str = {declaration:?};
             fn invoke(db: &mut ::kvasm_sdk::Db, event: &::kvasm_sdk::Event) -> ::kvasm_sdk::Result<()> {{
                 ::kvasm_sdk::IntoReply::into_reply({ident}(db, event))?;
                 ::core::result::Result::Ok(())
             }}
         }}"
    ))?);
    output.extend(export(&function_name, &format!("::kvasm_sdk::guest::run_trigger::<{ident}>()"))?);
    output.extend(mark_used(&ident, "Trigger")?);
    output.extend(declare("kvasm.triggers", &format!("{declaration}\n"))?);
    Ok(output)
}

/// A line in a custom section of the guest's module.
fn declare(section: &str, line: &str) -> Result<TokenStream, Failure> {
    code(&format!(
        "#[cfg(target_arch = \"wasm32\")]
         const _: () = {{
             #[used]
             #[unsafe(link_section = {section:?})]
             static DECLARATION: [u8; {}] = *b{line:?};
         }};",
        line.len()
    ))
}

const TRIGGER_OPTIONS: &[&str] = &[
    "on",
    "keys",
    "db",
    "name",
    "enabled",
    "mode",
    "concurrency",
    "tries",
    "backoff_ms",
    "fuel",
    "coalesce",
    "on_full",
];

/// The words for how an asynchronous trigger is delivered; `None` when it is synchronous.
fn delivery(options: &Options) -> Result<Option<String>, Failure> {
    let mut words = String::new();
    for (option, word) in
        [("concurrency", "CONCURRENCY"), ("tries", "TRIES"), ("backoff_ms", "BACKOFF"), ("fuel", "FUEL")]
    {
        if let Some(number) = options.number(option)? {
            let _ = write!(words, " {word} {number}");
        }
    }
    if options.boolean("coalesce")? == Some(true) {
        words.push_str(" COALESCE");
    }
    if let Some(when_full) = options.one_of("on_full", &["delay", "refuse"])? {
        let _ = write!(words, " ONFULL {}", when_full.to_ascii_uppercase());
    }
    let is_asynchronous = options.one_of("mode", &["async", "sync"])?.is_some_and(|mode| mode == "async");
    if is_asynchronous {
        return Ok(Some(words));
    }
    let message = "how it is delivered can be said of a trigger with mode = \"async\"";
    if words.is_empty() { Ok(None) } else { Err(Failure::new(Span::call_site(), message)) }
}

/// The type of the function's name. Braces keep it out of the namespace of functions.
fn declare_type(function: &Signature, kind: &str) -> Result<TokenStream, Failure> {
    let ident = function.name.to_string();
    let mut output = code(&format!(
        "#[doc = \"The {kind} `{ident}` as a type, by which tests name it.\"] \
         #[allow(non_camel_case_types, reason = \"it has the name of its function\")]"
    ))?;
    output.extend(function.visibility.clone());
    output.extend(code(&format!("struct {ident} {{}}"))?);
    Ok(output)
}

/// An export of the guest's module, of type `() -> ()`.
fn export(name: &str, body: &str) -> Result<TokenStream, Failure> {
    code(&format!(
        "#[cfg(target_arch = \"wasm32\")]
         const _: () = {{
             #[unsafe(export_name = {name:?})]
             extern \"C\" fn export() {{ {body} }}
         }};"
    ))
}

/// Keeps the compiler from saying that nobody calls a private function: only the guest's export does.
fn mark_used(ident: &str, kind: &str) -> Result<TokenStream, Failure> {
    code(&format!("const _: () = {{ let _ = <{ident} as ::kvasm_sdk::{kind}>::invoke; }};"))
}

/// `from, to, [note]: 2 or 3 keys and arguments`.
fn usage(parameters: &[Parameter]) -> Result<String, Failure> {
    let (mut least, mut optional, mut any) = (0, 0, false);
    let mut names = Vec::new();
    for parameter in parameters {
        let out_of_place = any || (optional > 0 && parameter.count == Count::One);
        if out_of_place {
            let message = "optional parameters stand after all others, and a list of the rest is the last";
            return Err(Failure::new(parameter.span, message));
        }
        names.push(match parameter.count {
            Count::One => parameter.name.clone(),
            Count::ZeroOrOne => format!("[{}]", parameter.name),
            Count::Any => format!("{} ...", parameter.name),
        });
        match parameter.count {
            Count::One => least += 1,
            Count::ZeroOrOne => optional += 1,
            Count::Any => any = true,
        }
    }
    let counted = match (least, optional, any) {
        (0, 0, false) => return Ok("no keys and no arguments".to_owned()),
        (1, 0, false) => "1 key or argument".to_owned(),
        (_, 0, false) => format!("{least} keys and arguments"),
        (_, 1, false) => format!("{least} or {} keys and arguments", least + 1),
        (_, _, false) => format!("{least} to {} keys and arguments", least + optional),
        (_, _, true) => format!("{least} or more keys and arguments"),
    };
    Ok(format!("{}: {counted}", names.join(", ")))
}

/// A name as others see it: without the mark of a raw identifier.
fn plain(ident: &str) -> String {
    ident.trim_start_matches("r#").to_owned()
}

/// `{ tokens text }`.
fn braced(mut tokens: TokenStream, text: &str) -> Result<TokenStream, Failure> {
    tokens.extend(code(text)?);
    Ok(TokenTree::Group(Group::new(proc_macro::Delimiter::Brace, tokens)).into())
}

fn code(text: &str) -> Result<TokenStream, Failure> {
    text.parse().map_err(|error| Failure::new(Span::call_site(), format!("{error}: {text}")))
}

/// The same tokens, so placed that the compiler's complaints point at `span`.
fn located_at(span: Span, tokens: TokenStream) -> TokenStream {
    let span = Span::call_site().located_at(span);
    let place = |mut token: TokenTree| {
        if let TokenTree::Group(group) = &token {
            token = TokenTree::Group(Group::new(group.delimiter(), located_at(span, group.stream())));
        }
        token.set_span(span);
        token
    };
    tokens.into_iter().map(place).collect()
}
