//! `TRIGGER DEADLETTER`: deliveries that were given up.

use super::super::{Context, Error, Result, flag, integer};
use super::find;
use crate::protocol::Reply;
use crate::trigger::Asynchronous;
use crate::trigger::queue::{AddError, DeadLetter};
use crate::types::stream::StreamId;

/// Dead letters that are shown unless a number is given.
const SHOWN_BY_DEFAULT: usize = 10;

pub(super) fn dead_letter(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (action, rest) = (args[2], &args[4..]);
    let definition = find(ctx, args[3])?.definition.clone();
    let options = definition.asynchronous.clone().unwrap_or_default();
    if flag(action, "LIST") {
        list(ctx, &definition.name, rest)
    } else if flag(action, "RETRY") {
        let letters = chosen(ctx, &definition.name, rest)?;
        retry(ctx, &definition.name, &options, &letters)
    } else if flag(action, "DROP") {
        let letters = chosen(ctx, &definition.name, rest)?;
        let Context { keyspace, server, .. } = ctx;
        server.queues.bury_for_good(keyspace, &definition.name, &letters)?;
        Ok(letters.len().into())
    } else {
        Err(Error::SYNTAX)
    }
}

fn list(ctx: &mut Context<'_>, name: &str, rest: &[&[u8]]) -> Result {
    let limit = match rest {
        [] => SHOWN_BY_DEFAULT,
        [word, count] if flag(word, "COUNT") => {
            let count = integer(count)?;
            usize::try_from(count).map_err(|_| Error::text("ERR COUNT can't be negative"))?
        }
        _ => return Err(Error::SYNTAX),
    };
    let Context { keyspace, server, .. } = ctx;
    let letters = server.queues.dead_letters(keyspace, name, None, limit)?;
    Ok(Reply::Array(letters.iter().map(describe).collect()))
}

fn describe(letter: &DeadLetter) -> Reply {
    let entry = &letter.entry;
    Reply::fields([
        ("id", letter.id.to_string().into()),
        ("event", entry.event.clone().into()),
        ("db", Reply::Integer(entry.database.into())),
        ("key", Reply::bytes(&entry.key)),
        ("elements", Reply::list(&entry.elements)),
        ("tries", Reply::Integer(letter.tries.into())),
        ("error", Reply::bytes(&letter.error)),
        ("queued_ms", letter.queued.ms.into()),
        ("failed_ms", letter.id.ms.into()),
    ])
}

/// The dead letters that `[id | ALL]` names.
fn chosen(ctx: &mut Context<'_>, name: &str, rest: &[&[u8]]) -> Result<Vec<DeadLetter>> {
    let id = match rest {
        [] => None,
        [word] if flag(word, "ALL") => None,
        [word] => Some(StreamId::parse(word, 0).ok_or(Error::text("ERR no such dead letter"))?),
        _ => return Err(Error::SYNTAX),
    };
    let Context { keyspace, server, .. } = ctx;
    let letters = server.queues.dead_letters(keyspace, name, id, usize::MAX)?;
    if id.is_some() && letters.is_empty() {
        return Err(Error::text("ERR no such dead letter"));
    }
    Ok(letters)
}

/// A person asks for it, who rather gets an error than waits for room.
fn retry(ctx: &mut Context<'_>, name: &str, options: &Asynchronous, letters: &[DeadLetter]) -> Result {
    let limits = ctx.server.queue_limits();
    let Context { keyspace, server, .. } = ctx;
    match server.queues.revive(keyspace, name, options, letters, limits) {
        Ok(()) => Ok(letters.len().into()),
        Err(AddError::Full(shortage)) => Err(Error::queue_full(&shortage)),
        Err(AddError::Keyspace(error)) => Err(error.into()),
    }
}
