//! The attributes of `kvasm-sdk`: they leave the function as it is and add, beside it, the type through which a
//! test calls it and the export through which the server does.
//!
//! Written on `proc_macro` alone: a guest's build should not wait for a parser of the whole language when all
//! that is read of a function is its name and the names of its parameters.

mod expand;
mod options;
mod signature;

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// A complaint and the place in the source that it is about.
struct Failure {
    span: Span,
    message: String,
}

impl Failure {
    fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into() }
    }

    /// `::core::compile_error! { "message" }`, placed where the mistake is.
    fn into_compile_error(self) -> TokenStream {
        let mut message = Literal::string(&self.message);
        message.set_span(self.span);
        let body = TokenStream::from(TokenTree::Literal(message));
        let colon = |spacing| TokenTree::Punct(Punct::new(':', spacing));
        let name = |text| TokenTree::Ident(Ident::new(text, self.span));
        [
            colon(Spacing::Joint),
            colon(Spacing::Alone),
            name("core"),
            colon(Spacing::Joint),
            colon(Spacing::Alone),
            name("compile_error"),
            TokenTree::Punct(Punct::new('!', Spacing::Alone)),
            TokenTree::Group(Group::new(Delimiter::Brace, body)),
        ]
        .into_iter()
        .map(|mut token| {
            token.set_span(self.span);
            token
        })
        .collect()
    }
}

/// Makes a function callable by clients: `FCALL name numkeys [key ...] [arg ...]`.
///
/// The first parameter is `&Db` (a read-only procedure, which the server proves and lets `FCALL_RO` call) or
/// `&mut Db`. The others are taken in order from the keys followed by the arguments. A parameter can be of any type
/// that implements `Parameter`, the result of any that implements `IntoReply`; an `Err` undoes everything.
///
/// `#[procedure(name = "...")]` exports it under another name than its own. `EVALWASM` calls the one named `run`.
/// `runs = "background"` has it run on a worker thread from the start, `runs = "inline"` never: without either it goes
/// there when it takes long.
///
/// Beside the function `f` a type `f` comes into being that implements `Procedure`: `db.call::<f>(keys, args)`.
#[proc_macro_attribute]
pub fn procedure(attribute: TokenStream, item: TokenStream) -> TokenStream {
    with_item(item, |item| expand::procedure(attribute, item))
}

/// Makes a function a trigger that `FUNCTION LOAD` installs with its library.
///
/// `#[trigger(on = "set,del", keys = "user:*")]` names the events, comma-separated, and the pattern of keys;
/// `db = 3` restricts it to one database, `name = "..."` names the trigger otherwise than the function, and
/// `enabled = false` installs it disabled. The function takes the database and the `&Event`:
/// `fn check(db: &Db, event: &Event) -> Result<()>`. An `Err` undoes the command that raised the event.
///
/// With `mode = "async"` it runs after that, as a transaction of its own, once for each event; an `Err` has it tried
/// again. `concurrency = 4`, `tries = 5`, `backoff_ms = 1000`, `fuel = 1000000`, `coalesce = true` and
/// `on_full = "delay"` or `"refuse"` are the options of `TRIGGER CREATE`.
///
/// Beside the function `f` a type `f` comes into being that implements `Trigger`: `db.install::<f>()`.
#[proc_macro_attribute]
pub fn trigger(attribute: TokenStream, item: TokenStream) -> TokenStream {
    with_item(item, |item| expand::trigger(attribute, item))
}

/// The item followed by what `expand` makes of it; the item stays when that fails, so that one mistake does not
/// cause further errors elsewhere.
fn with_item(
    mut item: TokenStream,
    expand: impl FnOnce(TokenStream) -> Result<TokenStream, Failure>,
) -> TokenStream {
    let added = expand(item.clone()).unwrap_or_else(Failure::into_compile_error);
    item.extend(added);
    item
}
