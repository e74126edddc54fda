//! Writing groups.

use super::{
    BLOCK_PUT, BLOCK_REMOVE, BLOCK_SPLICE, BYTES, BlockChange, COLLECTION, Change, DELETE, EXPIRE,
    FLAG_CREATED, FLAG_EXPIRES, FLAG_PRESENT, FLUSH, FORMAT, HEADER, INTEGER, PUT, PutHead, SPLICE, SWAP,
    SYSTEM, TRANSACTION_HEADER, Value,
};

/// Where an [`Encoder`] stood, to return to with [`Encoder::rewind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(usize);

/// Writes groups. It appends to one buffer and allocates nothing else.
#[derive(Clone, Debug)]
pub struct Encoder {
    group: Vec<u8>,
    /// Where the transaction that is being written starts; the end of the buffer when there is none.
    transaction: usize,
    open: bool,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Encoder {
    /// Starts a group in this buffer, whose content is discarded and whose memory is used.
    #[must_use]
    pub fn new(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.push(FORMAT);
        Self { transaction: buffer.len(), group: buffer, open: false }
    }

    /// Whether the group holds no finished transaction.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.transaction == 1
    }

    /// Whether a transaction was begun and not ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// The size of the group so far, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.group.len()
    }

    /// The finished group. A transaction that was begun and not ended is left out.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.abort();
        self.group
    }

    /// Begins a transaction; one that was begun before and not ended is discarded.
    pub fn begin(&mut self) {
        self.abort();
        self.group.extend_from_slice(&[0; TRANSACTION_HEADER]);
        self.open = true;
    }

    /// Ends the transaction, which is now part of the group. One without changes is left out.
    pub fn end(&mut self) {
        let body = self.group.len() - self.transaction;
        if !self.open || body == TRANSACTION_HEADER {
            return self.abort();
        }
        let length = (body - TRANSACTION_HEADER) as u64;
        self.group[self.transaction..][..TRANSACTION_HEADER].copy_from_slice(&length.to_le_bytes());
        self.transaction = self.group.len();
        self.open = false;
    }

    /// Bytes of the changes of the transaction that was begun and not ended.
    #[must_use]
    pub fn open_bytes(&self) -> usize {
        if self.open { self.group.len() - self.transaction - TRANSACTION_HEADER } else { 0 }
    }

    /// Adds the changes of a transaction of another encoder, which that has begun and not ended, to the present one. They
    /// are not copied when there is nothing else here yet.
    pub fn append(&mut self, other: Self) {
        if self.is_empty() && !self.open {
            *self = other;
            return;
        }
        if !self.open {
            self.begin();
        }
        let start = other.group.len() - other.open_bytes();
        self.group.extend_from_slice(&other.group[start..]);
    }

    /// Discards the transaction that was begun and not ended.
    pub fn abort(&mut self) {
        self.group.truncate(self.transaction);
        self.open = false;
    }

    /// A point in the transaction to which it can be rewound.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.group.len())
    }

    /// Discards the changes of this transaction that were written after the mark.
    pub fn rewind(&mut self, mark: Mark) {
        if self.open {
            self.group.truncate(mark.0.max(self.transaction + TRANSACTION_HEADER));
        }
    }

    /// Writes a [`Change::Put`] of an integer.
    pub fn put_integer(&mut self, head: &PutHead<'_>, value: i64) {
        self.put_head(head, INTEGER);
        self.group.extend_from_slice(&value.to_le_bytes());
    }

    /// Writes a [`Change::Put`] of a string that is held in chunks, `length` bytes in all.
    pub fn put_bytes<'c>(
        &mut self,
        head: &PutHead<'_>,
        length: u64,
        chunks: impl IntoIterator<Item = &'c [u8]>,
    ) {
        self.put_head(head, BYTES);
        self.number(length);
        let start = self.group.len();
        for chunk in chunks {
            self.group.extend_from_slice(chunk);
        }
        debug_assert_eq!((self.group.len() - start) as u64, length, "the chunks make up the string");
    }

    /// Writes a [`Change::Put`] of a value with elements, whose blocks follow, each by [`Self::put_block`].
    pub fn put_collection(&mut self, head: &PutHead<'_>, kind: u8, header: &[u8], blocks: usize) {
        self.put_head(head, COLLECTION);
        self.group.push(kind);
        self.bytes(header);
        self.number(blocks as u64);
    }

    /// Writes one of the blocks that [`Self::put_collection`] announced.
    pub fn put_block(&mut self, label: &[u8], block: &[u8]) {
        self.bytes(label);
        self.bytes(block);
    }

    /// Writes any change.
    pub fn push(&mut self, change: &Change<'_>) {
        debug_assert!(self.open, "changes belong to transactions");
        match *change {
            Change::Put { ref head, value: Value::Integer(value) } => self.put_integer(head, value),
            Change::Put { ref head, value: Value::Bytes(bytes) } => {
                self.put_bytes(head, bytes.len() as u64, [bytes]);
            }
            Change::Put { ref head, value: Value::Collection(collection) } => {
                self.put_collection(
                    head,
                    collection.kind,
                    collection.header,
                    collection.blocks.iter().count(),
                );
                for (label, block) in collection.blocks.iter() {
                    self.put_block(label, block);
                }
            }
            Change::Block { database, key, label, change } => self.block(database, key, label, change),
            Change::Header { database, key, header } => {
                self.group.extend_from_slice(&[HEADER, database]);
                self.bytes(key);
                self.bytes(header);
            }
            Change::Splice { database, key, offset, bytes, length } => {
                self.group.extend_from_slice(&[SPLICE, database]);
                self.bytes(key);
                self.number(offset);
                self.bytes(bytes);
                self.number(length);
            }
            Change::Expire { database, key, expires_at_ms } => {
                self.group.extend_from_slice(&[
                    EXPIRE,
                    database,
                    flag(expires_at_ms.is_some(), FLAG_EXPIRES),
                ]);
                self.time(expires_at_ms);
                self.bytes(key);
            }
            Change::Delete { database, key } => {
                self.group.extend_from_slice(&[DELETE, database]);
                self.bytes(key);
            }
            Change::Flush { database } => self.group.extend_from_slice(&[FLUSH, database]),
            Change::Swap { a, b } => self.group.extend_from_slice(&[SWAP, a, b]),
            Change::System { table, name, content } => {
                self.group.extend_from_slice(&[
                    SYSTEM,
                    table.number(),
                    flag(content.is_some(), FLAG_PRESENT),
                ]);
                self.bytes(name);
                if let Some(content) = content {
                    self.bytes(content);
                }
            }
        }
    }

    fn block(&mut self, database: u8, key: &[u8], label: &[u8], change: BlockChange<'_>) {
        let record = match change {
            BlockChange::Put(_) => BLOCK_PUT,
            BlockChange::Splice { .. } => BLOCK_SPLICE,
            BlockChange::Remove => BLOCK_REMOVE,
        };
        self.group.extend_from_slice(&[record, database]);
        self.bytes(key);
        self.bytes(label);
        match change {
            BlockChange::Put(bytes) => self.bytes(bytes),
            BlockChange::Splice { offset, removed, inserted } => {
                self.number(offset);
                self.number(removed);
                self.bytes(inserted);
            }
            BlockChange::Remove => {}
        }
    }

    fn put_head(&mut self, head: &PutHead<'_>, kind: u8) {
        let flags = flag(head.expires_at_ms.is_some(), FLAG_EXPIRES) | flag(head.created, FLAG_CREATED);
        self.group.extend_from_slice(&[PUT, head.database, flags]);
        self.time(head.expires_at_ms);
        self.bytes(head.key);
        self.group.push(kind);
    }

    fn time(&mut self, time_ms: Option<u64>) {
        if let Some(time_ms) = time_ms {
            self.group.extend_from_slice(&time_ms.to_le_bytes());
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.group.extend_from_slice(bytes);
    }

    /// Seven bits a byte, the lowest first, the high bit set on all but the last.
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.group.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.group.push(number as u8);
    }
}

fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}
