//! Writing values in forms that Redis 7.0 and later read, but for hashes with ends, which need 7.4. The plain forms are
//! chosen: the reader packs values as it likes them.

use super::packed::ListpackWriter;
use super::value::{Strings, Value, form, pairs};

/// Adds a length.
pub fn write_length(length: u64, output: &mut Vec<u8>) {
    match length {
        0..=0x3f => output.push(length as u8),
        0x40..=0x3fff => output.extend_from_slice(&[0x40 | (length >> 8) as u8, length as u8]),
        0x4000..=0xffff_ffff => {
            output.push(0x80);
            output.extend_from_slice(&(length as u32).to_be_bytes());
        }
        _ => {
            output.push(0x81);
            output.extend_from_slice(&length.to_be_bytes());
        }
    }
}

/// Adds a string, uncompressed.
pub fn write_string(string: &[u8], output: &mut Vec<u8>) {
    write_length(string.len() as u64, output);
    output.extend_from_slice(string);
}

/// Adds the number of a form and a value in that form.
pub fn write_value(value: &Value, output: &mut Vec<u8>) {
    match value {
        Value::String(string) => {
            output.push(form::STRING);
            write_string(string, output);
        }
        Value::List(elements) => write_list(elements, output),
        Value::Set(members) => {
            output.push(form::SET);
            write_length(members.len() as u64, output);
            members.iter().for_each(|member| write_string(member, output));
        }
        Value::SortedSet(members, scores) => {
            output.push(form::SORTED_SET);
            write_length(members.len() as u64, output);
            for (member, score) in members.iter().zip(scores) {
                write_string(member, output);
                output.extend_from_slice(&score.to_bits().to_le_bytes());
            }
        }
        Value::Hash(fields) => {
            output.push(form::HASH);
            write_length(fields.len() as u64 / 2, output);
            fields.iter().for_each(|string| write_string(string, output));
        }
        Value::ExpiringHash(fields, ends) => write_expiring_hash(fields, ends, output),
        Value::Stream(stream) => {
            output.push(form::STREAM_2);
            stream.write(output);
        }
    }
}

/// Writes fields with their ends, which count from the first of them, plus one: 0 is none.
fn write_expiring_hash(fields: &Strings, ends: &[Option<u64>], output: &mut Vec<u8>) {
    let first_ms = ends.iter().flatten().min().copied().unwrap_or_default();
    output.push(form::EXPIRING_HASH);
    output.extend_from_slice(&first_ms.to_le_bytes());
    write_length(ends.len() as u64, output);
    for ((field, value), end_ms) in pairs(fields).zip(ends) {
        write_length(end_ms.map_or(0, |end_ms| end_ms - first_ms + 1), output);
        write_string(field, output);
        write_string(value, output);
    }
}

/// Writes a list as packed nodes; an element that is long has a node of its own.
fn write_list(elements: &Strings, output: &mut Vec<u8>) {
    const NODE_BYTES: usize = 8 * 1024;
    const PLAIN: u64 = 1;
    const PACKED: u64 = 2;
    let mut nodes: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut open: Option<ListpackWriter> = None;
    let mut close = |open: &mut Option<ListpackWriter>, plain: Option<&[u8]>| {
        nodes.extend(open.take().map(|node| (PACKED, node.finish())));
        nodes.extend(plain.map(|element| (PLAIN, element.to_vec())));
    };
    for element in elements.iter() {
        if element.len() > NODE_BYTES {
            close(&mut open, Some(element));
            continue;
        }
        if open.as_ref().is_some_and(|node| node.len() + element.len() > NODE_BYTES) {
            close(&mut open, None);
        }
        open.get_or_insert_with(ListpackWriter::new).string(element);
    }
    close(&mut open, None);
    output.push(form::LIST_QUICKLIST_2);
    write_length(nodes.len() as u64, output);
    for (container, node) in nodes {
        write_length(container, output);
        write_string(&node, output);
    }
}
