//! Reading groups.

use super::super::limits::{ALL_DATABASES, DATABASES, LABEL_BYTES, STRING_BYTES};
use super::{
    BLOCK_PUT, BLOCK_REMOVE, BLOCK_SPLICE, BYTES, BlockChange, COLLECTION, Change, Collection, DELETE,
    Damage, EXPIRE, EncodedBlocks, FLAG_CREATED, FLAG_EXPIRES, FLAG_PRESENT, FLUSH, FORMAT, HEADER, INTEGER,
    PUT, PutHead, SPLICE, SWAP, SYSTEM, SystemTable, Value,
};

/// The transactions of a group, in the order in which they were committed. After an error it ends.
#[derive(Debug, Clone)]
pub struct Transactions<'a>(Input<'a>);

/// The changes of a transaction, in order. After an error it ends.
#[derive(Debug, Clone)]
pub struct Changes<'a>(Input<'a>);

/// Reads a group that [`finish`](super::Encoder::finish) returned.
pub fn decode(group: &[u8]) -> Result<Transactions<'_>, Damage> {
    match group.split_first() {
        Some((&FORMAT, rest)) => Ok(Transactions(Input(rest))),
        Some(_) => Err(Damage("unknown format")),
        None => Err(Damage("empty group")),
    }
}

impl<'a> Iterator for Transactions<'a> {
    type Item = Result<Changes<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(|input| {
            let length = u64::from_le_bytes(input.array()?);
            Ok(Changes(Input(input.take(length)?)))
        })
    }
}

impl<'a> Iterator for Changes<'a> {
    type Item = Result<Change<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(Input::change)
    }
}

impl<'a> EncodedBlocks<'a> {
    /// Labels and blocks, in the order in which they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut input = Input(self.0);
        std::iter::from_fn(move || Some((input.bytes().ok()?, input.bytes().ok()?)))
    }
}

/// What is left to read.
#[derive(Debug, Clone)]
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn next<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Damage>) -> Option<Result<T, Damage>> {
        if self.0.is_empty() {
            return None;
        }
        let result = read(self);
        if result.is_err() {
            self.0 = &[];
        }
        Some(result)
    }

    fn change(&mut self) -> Result<Change<'a>, Damage> {
        match self.byte()? {
            PUT => self.put(),
            SPLICE => {
                let (database, key) = (self.database()?, self.bytes()?);
                let (offset, bytes, length) = (self.number()?, self.bytes()?, self.number()?);
                let end = offset.checked_add(bytes.len() as u64);
                if end.is_none_or(|end| end > length) || length > STRING_BYTES {
                    return Err(Damage("splice beyond the end of its string"));
                }
                Ok(Change::Splice { database, key, offset, bytes, length })
            }
            EXPIRE => {
                let (database, flags) = (self.database()?, self.flags(FLAG_EXPIRES)?);
                let expires_at_ms = self.time(flags)?;
                Ok(Change::Expire { database, key: self.bytes()?, expires_at_ms })
            }
            DELETE => Ok(Change::Delete { database: self.database()?, key: self.bytes()? }),
            FLUSH => Ok(Change::Flush { database: self.numbered_database()? }),
            SWAP => Ok(Change::Swap { a: self.numbered_database()?, b: self.numbered_database()? }),
            SYSTEM => {
                let table = SystemTable::from_number(self.byte()?).ok_or(Damage("unknown system table"))?;
                let flags = self.flags(FLAG_PRESENT)?;
                let name = self.bytes()?;
                let content = if flags & FLAG_PRESENT != 0 { Some(self.bytes()?) } else { None };
                Ok(Change::System { table, name, content })
            }
            record @ (BLOCK_PUT | BLOCK_SPLICE | BLOCK_REMOVE) => {
                let (database, key, label) = (self.database()?, self.bytes()?, self.label()?);
                let change = match record {
                    BLOCK_PUT => BlockChange::Put(self.bytes()?),
                    BLOCK_REMOVE => BlockChange::Remove,
                    _ => {
                        let (offset, removed) = (self.number()?, self.number()?);
                        BlockChange::Splice { offset, removed, inserted: self.bytes()? }
                    }
                };
                Ok(Change::Block { database, key, label, change })
            }
            HEADER => {
                let (database, key) = (self.database()?, self.bytes()?);
                Ok(Change::Header { database, key, header: self.bytes()? })
            }
            _ => Err(Damage("unknown kind of change")),
        }
    }

    fn collection(&mut self) -> Result<Collection<'a>, Damage> {
        let kind = self.byte()?;
        if kind == 0 {
            return Err(Damage("a collection of no type"));
        }
        let (header, count) = (self.bytes()?, self.number()?);
        let start = self.0;
        for _ in 0..count {
            self.label()?;
            self.bytes()?;
        }
        let blocks = &start[..start.len() - self.0.len()];
        Ok(Collection { kind, header, blocks: EncodedBlocks(blocks) })
    }

    fn label(&mut self) -> Result<&'a [u8], Damage> {
        let label = self.bytes()?;
        if label.len() <= LABEL_BYTES { Ok(label) } else { Err(Damage("a label too long")) }
    }

    fn put(&mut self) -> Result<Change<'a>, Damage> {
        let (database, flags) = (self.database()?, self.flags(FLAG_EXPIRES | FLAG_CREATED)?);
        let expires_at_ms = self.time(flags)?;
        let created = flags & FLAG_CREATED != 0;
        let head = PutHead { database, key: self.bytes()?, expires_at_ms, created };
        let value = match self.byte()? {
            INTEGER => Value::Integer(i64::from_le_bytes(self.array()?)),
            BYTES => Value::Bytes(self.bytes()?),
            COLLECTION => Value::Collection(self.collection()?),
            _ => return Err(Damage("unknown kind of value")),
        };
        Ok(Change::Put { head, value })
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Damage> {
        let length = usize::try_from(length).map_err(|_| Damage("impossible length"))?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Damage("cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Damage("cut short"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Damage> {
        self.array().map(|[byte]| byte)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Damage> {
        let length = self.number()?;
        self.take(length)
    }

    fn database(&mut self) -> Result<u8, Damage> {
        self.database_below(ALL_DATABASES)
    }

    /// A database that can be flushed and exchanged.
    fn numbered_database(&mut self) -> Result<u8, Damage> {
        self.database_below(DATABASES)
    }

    fn database_below(&mut self, count: usize) -> Result<u8, Damage> {
        let database = self.byte()?;
        if usize::from(database) < count { Ok(database) } else { Err(Damage("no such database")) }
    }

    fn flags(&mut self, known: u8) -> Result<u8, Damage> {
        let flags = self.byte()?;
        if flags & !known == 0 { Ok(flags) } else { Err(Damage("unknown flag")) }
    }

    fn time(&mut self, flags: u8) -> Result<Option<u64>, Damage> {
        if flags & FLAG_EXPIRES == 0 {
            return Ok(None);
        }
        self.array().map(u64::from_le_bytes).map(Some)
    }

    fn number(&mut self) -> Result<u64, Damage> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Damage("number beyond 64 bits"))
    }
}
