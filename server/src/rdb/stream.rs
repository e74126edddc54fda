//! Streams with their consumer groups: the form of `rdb.c` and, for the entries, of `t_stream.c`.

use std::io::Read;

use super::input::Input;
use super::packed::{ListpackWriter, listpack};
use super::value::{Strings, form, read_many};
use super::writer::{write_length, write_string};
use super::{Error, Result};

/// Entries and their bytes that go into one listpack, which is what Redis does by default.
const NODE_ENTRIES: usize = 100;
const NODE_BYTES: usize = 4096;

/// How many times as many bytes as a node has the names may take that its entries have in common, once each entry has
/// them. With the nodes that Redis makes by default it is less than 100.
const NAMES_FACTOR: usize = 128;

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;

/// Milliseconds and sequence.
pub type StreamId = (u64, u64);

/// A stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    /// In the order of their ids.
    pub entries: Vec<StreamEntry>,
    /// The id given last.
    pub last_id: StreamId,
    /// The greatest id of an entry that was deleted.
    pub max_deleted_id: StreamId,
    /// How many entries were ever added.
    pub entries_added: u64,
    /// Consumer groups.
    pub groups: Vec<Group>,
}

/// An entry of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamEntry {
    /// Its id.
    pub id: StreamId,
    /// Fields with values.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A consumer group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// Its name.
    pub name: Vec<u8>,
    /// The id delivered last.
    pub last_id: StreamId,
    /// How many entries it has read; `None` if that is not known.
    pub entries_read: Option<u64>,
    /// Its consumers.
    pub consumers: Vec<Consumer>,
    /// Delivered and not acknowledged, in the order of their ids.
    pub pending: Vec<Pending>,
}

/// A consumer of a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Consumer {
    /// Its name.
    pub name: Vec<u8>,
    /// When it last tried anything, in milliseconds of unix time.
    pub seen_at_ms: u64,
    /// When it last got anything, in milliseconds of unix time; `None` if it never did.
    pub active_at_ms: Option<u64>,
}

/// An entry that was delivered to a consumer and is not acknowledged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pending {
    /// The entry's id.
    pub id: StreamId,
    /// Which of the group's consumers has it.
    pub consumer: usize,
    /// When it was delivered last, in milliseconds of unix time.
    pub delivered_at_ms: u64,
    /// How often.
    pub deliveries: u64,
}

fn read_id(input: &mut Input<impl Read>) -> Result<StreamId> {
    Ok((input.length()?, input.length()?))
}

/// An id as 16 bytes, the highest first.
fn raw_id(bytes: [u8; 16]) -> StreamId {
    let number = u128::from_be_bytes(bytes);
    ((number >> 64) as u64, number as u64)
}

fn raw_bytes((ms, sequence): StreamId) -> [u8; 16] {
    (u128::from(ms) << 64 | u128::from(sequence)).to_be_bytes()
}

impl Stream {
    /// Reads a stream of the form with this number.
    pub fn read(kind: u8, input: &mut Input<impl Read>) -> Result<Self> {
        let mut stream = Self::default();
        for _ in 0..input.length()? {
            let master =
                input.string()?.try_into().map_err(|_| Error::Malformed("the id of a stream's node"))?;
            read_node(raw_id(master), &input.string()?, &mut stream.entries)?;
        }
        let length = input.length()?;
        if length != stream.entries.len() as u64 || !stream.entries.is_sorted_by(|a, b| a.id < b.id) {
            return Err(Error::Malformed("the entries of a stream"));
        }
        stream.last_id = read_id(input)?;
        if kind == form::STREAM {
            stream.entries_added = length;
        } else {
            read_id(input)?;
            stream.max_deleted_id = read_id(input)?;
            stream.entries_added = input.length()?;
        }
        if stream.entries.last().is_some_and(|last| last.id > stream.last_id) {
            return Err(Error::Malformed("the last id of a stream"));
        }
        stream.groups = read_many(input, |input| read_group(kind, input))?;
        Ok(stream)
    }

    /// Writes the stream as Redis 7.0 does.
    pub fn write(&self, output: &mut Vec<u8>) {
        let nodes = self.nodes();
        write_length(nodes.len() as u64, output);
        for (master, node) in nodes {
            write_string(&raw_bytes(master), output);
            write_string(&node, output);
        }
        write_length(self.entries.len() as u64, output);
        let first_id = self.entries.first().map_or((0, 0), |entry| entry.id);
        write_id(self.last_id, output);
        write_id(first_id, output);
        write_id(self.max_deleted_id, output);
        write_length(self.entries_added, output);
        write_length(self.groups.len() as u64, output);
        self.groups.iter().for_each(|group| group.write(output));
    }

    /// The entries in listpacks, each with its first id.
    fn nodes(&self) -> Vec<(StreamId, Vec<u8>)> {
        let mut nodes = Vec::new();
        let mut rest = &self.entries[..];
        while let Some(first) = rest.first() {
            let mut bytes = 0;
            let fits = |(index, entry): &(usize, &StreamEntry)| {
                bytes +=
                    entry.fields.iter().map(|(field, value)| field.len() + value.len() + 4).sum::<usize>();
                *index == 0 || *index < NODE_ENTRIES && bytes < NODE_BYTES
            };
            let count = rest.iter().enumerate().take_while(fits).count();
            let (node, after) = rest.split_at(count);
            nodes.push((first.id, write_node(node)));
            rest = after;
        }
        nodes
    }
}

/// Reads the entries of one listpack, which counts from `master`.
fn read_node(master: StreamId, bytes: &[u8], entries: &mut Vec<StreamEntry>) -> Result<()> {
    const WRONG: Error = Error::Malformed("a node of a stream");
    let mut elements = Strings::default();
    listpack(bytes, &mut elements)?;
    let mut elements = elements.iter();
    let mut next = || elements.next().ok_or(WRONG);
    let number = |element: &[u8]| -> Result<i64> {
        std::str::from_utf8(element).ok().and_then(|text| text.parse().ok()).ok_or(WRONG)
    };
    let (count, deleted) = (number(next()?)?, number(next()?)?);
    let mut fields = Vec::new();
    for _ in 0..number(next()?)? {
        fields.push(next()?);
    }
    let names_bytes: usize = fields.iter().map(|field: &&[u8]| field.len()).sum();
    let mut room = bytes.len().saturating_mul(NAMES_FACTOR);
    next()?;
    for _ in 0..count.checked_add(deleted).ok_or(WRONG)? {
        let flags = number(next()?)?;
        let (ms, sequence) = (number(next()?)? as u64, number(next()?)? as u64);
        let id = (master.0.wrapping_add(ms), master.1.wrapping_add(sequence));
        let mut entry = StreamEntry { id, fields: Vec::new() };
        if flags & SAME_FIELDS != 0 {
            room =
                room.checked_sub(names_bytes).ok_or(Error::Malformed("a stream whose names are too long"))?;
            for field in &fields {
                entry.fields.push((field.to_vec(), next()?.to_vec()));
            }
        } else {
            for _ in 0..number(next()?)? {
                entry.fields.push((next()?.to_vec(), next()?.to_vec()));
            }
        }
        next()?;
        if flags & DELETED == 0 {
            entries.push(entry);
        }
    }
    Ok(())
}

/// Writes entries, at least one, into a listpack that counts from the first one's id.
fn write_node(entries: &[StreamEntry]) -> Vec<u8> {
    let first = &entries[0];
    let mut node = ListpackWriter::new();
    node.number(entries.len() as i64);
    node.number(0);
    node.number(first.fields.len() as i64);
    first.fields.iter().for_each(|(field, _)| node.string(field));
    node.number(0);
    for entry in entries {
        let same =
            entry.fields.iter().map(|(field, _)| field).eq(first.fields.iter().map(|(field, _)| field));
        node.number(if same { SAME_FIELDS } else { 0 });
        node.number(entry.id.0.wrapping_sub(first.id.0) as i64);
        node.number(entry.id.1.wrapping_sub(first.id.1) as i64);
        if !same {
            node.number(entry.fields.len() as i64);
        }
        for (field, value) in &entry.fields {
            if !same {
                node.string(field);
            }
            node.string(value);
        }
        // How many elements the entry has before this one, for reading backwards.
        let fields = entry.fields.len() as i64;
        node.number(if same { fields + 3 } else { 2 * fields + 4 });
    }
    node.finish()
}

fn read_group(kind: u8, input: &mut Input<impl Read>) -> Result<Group> {
    let mut group = Group { name: input.string()?, last_id: read_id(input)?, ..Group::default() };
    if kind != form::STREAM {
        // Redis writes -1 for a number that is not known.
        group.entries_read = Some(input.length()?).filter(|read| i64::try_from(*read).is_ok());
    }
    group.pending = read_many(input, |input| {
        let id = raw_id(input.array()?);
        let (delivered_at_ms, deliveries) = (input.u64()?, input.length()?);
        Ok(Pending { id, consumer: usize::MAX, delivered_at_ms, deliveries })
    })?;
    if !group.pending.is_sorted_by(|a, b| a.id < b.id) {
        return Err(Error::Malformed("pending entries of a stream"));
    }
    for index in 0..input.length()? as usize {
        let (name, seen_at_ms) = (input.string()?, input.u64()?);
        let active = if kind == form::STREAM_3 { input.u64()? } else { seen_at_ms };
        let active_at_ms = Some(active).filter(|time| i64::try_from(*time).is_ok());
        group.consumers.push(Consumer { name, seen_at_ms, active_at_ms });
        for _ in 0..input.length()? {
            let id = raw_id(input.array()?);
            let found = group.pending.binary_search_by_key(&id, |pending| pending.id);
            match found.map(|at| &mut group.pending[at].consumer) {
                Ok(consumer) if *consumer == usize::MAX => *consumer = index,
                _ => return Err(Error::Malformed("a pending entry of a consumer but not of its group")),
            }
        }
    }
    if group.pending.iter().any(|pending| pending.consumer == usize::MAX) {
        return Err(Error::Malformed("a pending entry of no consumer"));
    }
    Ok(group)
}

impl Group {
    fn write(&self, output: &mut Vec<u8>) {
        write_string(&self.name, output);
        write_id(self.last_id, output);
        write_length(self.entries_read.unwrap_or(u64::MAX), output);
        write_length(self.pending.len() as u64, output);
        for pending in &self.pending {
            output.extend_from_slice(&raw_bytes(pending.id));
            output.extend_from_slice(&pending.delivered_at_ms.to_le_bytes());
            write_length(pending.deliveries, output);
        }
        write_length(self.consumers.len() as u64, output);
        let mut own = vec![Vec::new(); self.consumers.len()];
        for pending in &self.pending {
            if let Some(own) = own.get_mut(pending.consumer) {
                own.push(pending.id);
            }
        }
        for (consumer, own) in self.consumers.iter().zip(own) {
            write_string(&consumer.name, output);
            output.extend_from_slice(&consumer.seen_at_ms.to_le_bytes());
            write_length(own.len() as u64, output);
            for id in own {
                output.extend_from_slice(&raw_bytes(id));
            }
        }
    }
}

fn write_id((ms, sequence): StreamId, output: &mut Vec<u8>) {
    write_length(ms, output);
    write_length(sequence, output);
}
