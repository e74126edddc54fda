//! The host functions: what happens when a guest calls one of its imports.
//!
//! Each checks the guest's pointers, pays for the bytes, asks the [`Host`], and leaves word in the context when the call
//! has to end. While a host method runs, the host is out of the context, so that it can write into the guest's memory.

use wasm3x::{Caller, Linker, Memory};

use super::abi::{HostFunction, IMPORT_MODULE};
use super::context::{Context, ProcedureReply};
use super::error::{CallError, Trap};
use super::host::{Host, Severity};
use super::rewrite::{INTERNAL_MODULE, REFILL};

type Guest<'a, H> = Caller<'a, Context<H>>;
type Failure<H> = CallError<<H as Host>::Error>;

/// Defines what a module imports, and the import that the rewriter added.
pub(super) fn define<H: Host>(
    linker: &mut Linker<Context<H>>,
    imports: &[HostFunction],
) -> Result<(), wasm3x::Error> {
    linker.func_wrap(INTERNAL_MODULE, REFILL, |mut guest: Guest<'_, H>, counter: i32| {
        let refilled = guest.data_mut().refill(counter);
        finish(&mut guest, REFILL, refilled)
    })?;
    for function in imports {
        define_one(linker, *function)?;
    }
    Ok(())
}

fn define_one<H: Host>(linker: &mut Linker<Context<H>>, function: HostFunction) -> Result<(), wasm3x::Error> {
    /// Links a function: parameters, and a body that gives a `Result`.
    macro_rules! link {
        (|$guest:ident $(, $param:ident: $ty:ty)*| $body:expr) => {
            linker.func_wrap(IMPORT_MODULE, function.name(), move |mut guest: Guest<'_, H> $(, $param: $ty)*| {
                let $guest = &mut guest;
                let result = $body;
                finish(&mut guest, function.name(), result)
            })
        };
    }
    match function {
        HostFunction::KeyCount => link!(|guest| Ok(guest.data().strings.key_count() as i32)),
        HostFunction::ArgCount => link!(|guest| Ok(guest.data().strings.arg_count() as i32)),
        HostFunction::Key => link!(|guest, index: u32, buffer: u32, capacity: u32| {
            string(guest, true, index, Span::new(buffer, capacity))
        }),
        HostFunction::Arg => link!(|guest, index: u32, buffer: u32, capacity: u32| {
            string(guest, false, index, Span::new(buffer, capacity))
        }),
        HostFunction::Get => link!(|guest, key: u32, key_len: u32, buffer: u32, capacity: u32| {
            get(guest, Span::new(key, key_len), 0, Span::new(buffer, capacity))
        }),
        HostFunction::GetRange => {
            link!(|guest, key: u32, key_len: u32, offset: i64, buffer: u32, capacity: u32| {
                match u64::try_from(offset) {
                    Ok(offset) => get(guest, Span::new(key, key_len), offset, Span::new(buffer, capacity)),
                    Err(_) => Err(CallError::Trap(Trap::HostArgument("negative offset given to get_range"))),
                }
            })
        }
        HostFunction::Exists => link!(|guest, key: u32, key_len: u32| {
            with_key(guest, Span::new(key, key_len), H::exists).map(i32::from)
        }),
        HostFunction::CommandReadOnly => {
            link!(|guest, request: u32, request_len: u32, buffer: u32, capacity: u32| {
                command(guest, true, Span::new(request, request_len), Span::new(buffer, capacity))
            })
        }
        HostFunction::Command => {
            link!(|guest, request: u32, request_len: u32, buffer: u32, capacity: u32| {
                let read_only = guest.data().read_only;
                guest.data_mut().wrote |= !read_only;
                command(guest, read_only, Span::new(request, request_len), Span::new(buffer, capacity))
            })
        }
        HostFunction::CommandReply => link!(|guest, offset: i64, buffer: u32, capacity: u32| {
            match usize::try_from(offset) {
                Ok(offset) => command_reply(guest, offset, Span::new(buffer, capacity)),
                Err(_) => Err(CallError::Trap(Trap::HostArgument("negative offset given to command_reply"))),
            }
        }),
        HostFunction::Put => link!(|guest, key: u32, key_len: u32, value: u32, value_len: u32| {
            put(guest, Span::new(key, key_len), Span::new(value, value_len))
        }),
        HostFunction::Delete => link!(|guest, key: u32, key_len: u32| {
            may_write(guest).and_then(|()| with_key(guest, Span::new(key, key_len), H::delete)).map(i32::from)
        }),
        HostFunction::Increment => link!(|guest, key: u32, key_len: u32, delta: i64| {
            may_write(guest).and_then(|()| {
                with_key(guest, Span::new(key, key_len), |host, key| host.increment(key, delta))
            })
        }),
        HostFunction::ReplyInteger => link!(|guest, value: i64| {
            guest.data_mut().reply = ProcedureReply::Integer(value);
            Ok(())
        }),
        HostFunction::ReplyBulk => link!(|guest, value: u32, length: u32| {
            reply_bytes(guest, Span::new(value, length)).map(|bytes| {
                guest.data_mut().reply = ProcedureReply::Bulk(bytes);
            })
        }),
        HostFunction::ReplyResp => {
            link!(|guest, value: u32, length: u32| { reply_resp(guest, Span::new(value, length)) })
        }
        HostFunction::Abort => link!(|guest, text: u32, length: u32| {
            reply_bytes(guest, Span::new(text, length)).and_then(|text| Err::<(), _>(CallError::Abort(text)))
        }),
        HostFunction::Log => {
            link!(|guest, level: i32, text: u32, length: u32| { log(guest, level, Span::new(text, length)) })
        }
        HostFunction::TimeUs => link!(|guest| Ok(guest.data().time_us)),
        HostFunction::Random => link!(|guest| Ok(guest.data_mut().random.i64(..))),
    }
    .map(|_| ())
}

/// Ends the guest's call if the host function of this name failed.
fn finish<H: Host, T>(
    guest: &mut Guest<'_, H>,
    name: &'static str,
    result: Result<T, Failure<H>>,
) -> Result<T, wasm3x::Error> {
    result.map_err(|mut failure| {
        if let CallError::Trap(Trap::HostPointer { function, .. }) = &mut failure {
            *function = name;
        }
        guest.data_mut().failure = Some(failure);
        wasm3x::Error::new(String::new())
    })
}

/// Bytes in the guest's memory, not yet known to lie there.
#[derive(Clone, Copy)]
struct Span {
    address: u32,
    length: u32,
}

impl Span {
    fn new(address: u32, length: u32) -> Self {
        Self { address, length }
    }

    fn trap<E>(self) -> CallError<E> {
        // `finish` knows the function.
        CallError::Trap(Trap::HostPointer { function: "", address: self.address, length: self.length })
    }

    /// The memory, if the span lies in it.
    fn check<H: Host>(self, guest: &Guest<'_, H>) -> Result<Option<Memory>, Failure<H>> {
        let memory = match guest.data().memory {
            Some(memory) => Some(memory),
            // Empty when the call began; it may have grown.
            None => guest.get_memory(),
        };
        let memory_bytes = memory.map_or(0, |memory| memory.data_size(guest)) as u64;
        if u64::from(self.address) + u64::from(self.length) > memory_bytes {
            Err(self.trap())
        } else {
            Ok(memory)
        }
    }

    /// Copies the guest's bytes out.
    fn read<H: Host>(self, guest: &Guest<'_, H>, into: &mut [u8]) -> Result<(), Failure<H>> {
        match self.check(guest)? {
            Some(memory) => memory.read(guest, self.address as usize, into).map_err(|_| self.trap()),
            None => Ok(()),
        }
    }

    /// Copies bytes in, as many as fit.
    fn write<H: Host>(self, guest: &mut Guest<'_, H>, bytes: &[u8]) -> Result<(), Failure<H>> {
        let memory = self.check(guest)?;
        let bytes = &bytes[..bytes.len().min(self.length as usize)];
        match memory {
            Some(memory) if !bytes.is_empty() => {
                guest.data_mut().pay_for_bytes(bytes.len() as u64)?;
                memory.write(guest, self.address as usize, bytes).map_err(|_| self.trap())
            }
            _ => Ok(()),
        }
    }
}

/// Runs `work` with the host and the guest's bytes of the spans, one after the other in the scratch buffer.
fn with_bytes<H: Host, T>(
    guest: &mut Guest<'_, H>,
    spans: &[Span],
    work: impl FnOnce(&mut Guest<'_, H>, &mut H, &[u8]) -> Result<T, Failure<H>>,
) -> Result<T, Failure<H>> {
    for span in spans {
        span.check(guest)?;
    }
    let length = spans.iter().map(|span| span.length as usize).sum::<usize>();
    guest.data_mut().pay_for_bytes(length as u64)?;
    let mut scratch = std::mem::take(&mut guest.data_mut().scratch);
    if scratch.len() < length {
        scratch.resize(length, 0);
    }
    let mut filled = 0;
    let mut read = Ok(());
    for span in spans {
        let end = filled + span.length as usize;
        read = read.and_then(|()| span.read(guest, &mut scratch[filled..end]));
        filled = end;
    }
    // wasm3 cannot enter a guest from a host function, so the host is never missing here.
    let mut host = guest.data_mut().host.take();
    let result = match &mut host {
        Some(host) => read.and_then(|()| work(guest, host, &scratch[..length])),
        None => Err(CallError::Internal("host function without a host".into())),
    };
    let context = guest.data_mut();
    context.host = host;
    context.scratch = scratch;
    result
}

fn with_key<H: Host, T>(
    guest: &mut Guest<'_, H>,
    key: Span,
    work: impl FnOnce(&mut H, &[u8]) -> Result<T, H::Error>,
) -> Result<T, Failure<H>> {
    with_bytes(guest, &[key], |_, host, key| work(host, key).map_err(CallError::Host))
}

fn may_write<H: Host>(guest: &mut Guest<'_, H>) -> Result<(), Failure<H>> {
    let context = guest.data_mut();
    if context.read_only {
        return Err(CallError::WriteInReadOnly);
    }
    context.wrote = true;
    Ok(())
}

fn string<H: Host>(
    guest: &mut Guest<'_, H>,
    is_key: bool,
    index: u32,
    buffer: Span,
) -> Result<i32, Failure<H>> {
    let strings = std::mem::take(&mut guest.data_mut().strings);
    let string = if is_key { strings.key(index) } else { strings.arg(index) };
    let copied = match string {
        Some(string) => buffer.write(guest, string).map(|()| string.len() as i32),
        None => buffer.check(guest).map(|_| -1),
    };
    guest.data_mut().strings = strings;
    copied
}

fn get<H: Host>(guest: &mut Guest<'_, H>, key: Span, offset: u64, buffer: Span) -> Result<i64, Failure<H>> {
    buffer.check(guest)?;
    with_bytes(guest, &[key], |guest, host, key| {
        let mut rest = buffer;
        let mut written = Ok(());
        let value = host.get(key, offset, buffer.length as usize, &mut |piece| {
            written = std::mem::replace(&mut written, Ok(())).and_then(|()| rest.write(guest, piece));
            let advance = piece.len().min(rest.length as usize) as u32;
            rest = Span::new(rest.address + advance, rest.length - advance);
        });
        written?;
        Ok(value.map_err(CallError::Host)?.map_or(-1, |length| length as i64))
    })
}

fn put<H: Host>(guest: &mut Guest<'_, H>, key: Span, value: Span) -> Result<(), Failure<H>> {
    may_write(guest)?;
    with_bytes(guest, &[key, value], |_, host, bytes| {
        let (key, value) = bytes.split_at(key.length as usize);
        host.put(key, value).map_err(CallError::Host)
    })
}

fn command<H: Host>(
    guest: &mut Guest<'_, H>,
    read_only: bool,
    request: Span,
    buffer: Span,
) -> Result<i64, Failure<H>> {
    buffer.check(guest)?;
    with_bytes(guest, &[request], |guest, host, request| {
        let mut reply = std::mem::take(&mut guest.data_mut().command_reply);
        reply.clear();
        let result = host.command(request, read_only, &mut reply).map_err(CallError::Host);
        guest.data_mut().command_reply = reply;
        result
    })?;
    let context = guest.data_mut();
    // The whole reply was made, however little of it the guest takes.
    context.pay_for_bytes(context.command_reply.len() as u64)?;
    // A command can be long in itself, so the deadline is looked at now.
    context.check_deadline()?;
    command_reply(guest, 0, buffer)
}

fn command_reply<H: Host>(guest: &mut Guest<'_, H>, offset: usize, buffer: Span) -> Result<i64, Failure<H>> {
    let reply = std::mem::take(&mut guest.data_mut().command_reply);
    let copied = buffer.write(guest, reply.get(offset..).unwrap_or_default()).map(|()| reply.len() as i64);
    guest.data_mut().command_reply = reply;
    copied
}

/// The guest's bytes for a reply, within its limit.
fn reply_bytes<H: Host>(guest: &mut Guest<'_, H>, value: Span) -> Result<Vec<u8>, Failure<H>> {
    value.check(guest)?;
    if u64::from(value.length) > guest.data().max_reply_bytes {
        return Err(CallError::ReplyTooLarge);
    }
    guest.data_mut().pay_for_bytes(value.length.into())?;
    let mut bytes = vec![0; value.length as usize];
    value.read(guest, &mut bytes)?;
    Ok(bytes)
}

/// Fuel of each value in a RESP reply: it becomes an object when the call ends.
const FUEL_PER_VALUE: u64 = 100;

fn reply_resp<H: Host>(guest: &mut Guest<'_, H>, value: Span) -> Result<(), Failure<H>> {
    let bytes = reply_bytes(guest, value)?;
    let context = guest.data_mut();
    if let Some(host) = &context.host {
        let values = host.validate_resp(&bytes).map_err(CallError::Host)?;
        context.pay(values.saturating_mul(FUEL_PER_VALUE))?;
    }
    context.reply = ProcedureReply::Resp(bytes);
    Ok(())
}

/// What a line takes of the bytes that a call may log, besides its text: empty lines are kept, too.
const LOG_LINE_BYTES: u64 = 32;

fn log<H: Host>(guest: &mut Guest<'_, H>, level: i32, message: Span) -> Result<(), Failure<H>> {
    let Some(level) = Severity::from_number(level) else {
        return Err(CallError::Trap(Trap::HostArgument("log level is not 0 to 3")));
    };
    message.check(guest)?;
    let context = guest.data_mut();
    let Some(left) = context.log_bytes_left.checked_sub(LOG_LINE_BYTES + u64::from(message.length)) else {
        return Err(CallError::LogTooLarge);
    };
    context.log_bytes_left = left;
    with_bytes(guest, &[message], |_, host, message| {
        host.log(level, message);
        Ok(())
    })
}
