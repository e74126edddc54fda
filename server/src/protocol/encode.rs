//! Replies to bytes, for both protocol versions.
//!
//! This is our own code and not `redis-protocol`'s, because its encoder wants a tree of its own frames: a copy of
//! every value, and a hash map for every map reply. Here a stored value is copied once, into the output.

use itoa::Integer;

use super::{Reply, Shape, Version};
use crate::types::{SharedItems, StringValue, format_float, scored};

/// Appends `reply` to `output`.
pub fn encode(reply: &Reply, version: Version, output: &mut Vec<u8>) {
    let resp3 = version == Version::Resp3;
    match reply {
        Reply::Simple(text) => line(output, b'+', text.as_bytes()),
        Reply::Error(text) => line(output, b'-', text.trim_end_matches(['\r', '\n']).as_bytes()),
        Reply::Integer(value) => number(output, b':', *value),
        Reply::Bulk(value) => bulk_value(output, value),
        Reply::Text(text) => bulk(output, text.as_bytes()),
        Reply::Bytes(bytes) => bulk(output, bytes),
        Reply::Null => output.extend_from_slice(if resp3 { b"_\r\n" } else { b"$-1\r\n" }),
        Reply::NullArray => output.extend_from_slice(if resp3 { b"_\r\n" } else { b"*-1\r\n" }),
        Reply::Double(value) => double(output, *value, resp3),
        Reply::Decimal(text) if resp3 => line(output, b',', text.as_bytes()),
        Reply::Boolean(value) if resp3 => line(output, b'#', if *value { b"t" } else { b"f" }),
        Reply::Boolean(value) => number(output, b':', i64::from(*value)),
        Reply::BigNumber(digits) if resp3 => line(output, b'(', digits.as_bytes()),
        Reply::Verbatim(text) if resp3 => verbatim(output, text),
        Reply::BigNumber(text) | Reply::Decimal(text) | Reply::Verbatim(text) => {
            bulk(output, text.as_bytes());
        }
        Reply::Array(items) => aggregate(output, b'*', items, version),
        Reply::Set(items) => aggregate(output, if resp3 { b'~' } else { b'*' }, items, version),
        Reply::Push(items) => aggregate(output, if resp3 { b'>' } else { b'*' }, items, version),
        Reply::Items(shape, items) => shared_items(output, *shape, items, resp3),
        Reply::Map(pairs) => {
            if resp3 {
                number(output, b'%', pairs.len());
            } else {
                number(output, b'*', pairs.len() * 2);
            }
            for (key, value) in pairs {
                encode(key, version, output);
                encode(value, version, output);
            }
        }
        Reply::Sequence(replies) => replies.iter().for_each(|reply| encode(reply, version, output)),
    }
}

fn shared_items(output: &mut Vec<u8>, shape: Shape, items: &SharedItems, resp3: bool) {
    match shape {
        Shape::Pairs if resp3 => return pairs(output, items),
        Shape::Scored => return scores(output, items, resp3),
        Shape::Map if resp3 => number(output, b'%', items.len() / 2),
        Shape::Set if resp3 => number(output, b'~', items.len()),
        Shape::Array | Shape::Set | Shape::Map | Shape::Pairs => number(output, b'*', items.len()),
    }
    items.iter().for_each(|item| bulk(output, item));
}

fn scores(output: &mut Vec<u8>, items: &SharedItems, resp3: bool) {
    number(output, b'*', if resp3 { items.len() / 2 } else { items.len() });
    for (member, score) in scored(items) {
        if resp3 {
            number(output, b'*', 2);
        }
        bulk(output, member);
        double(output, score, resp3);
    }
}

fn double(output: &mut Vec<u8>, value: f64, resp3: bool) {
    let text = format_float(value);
    if resp3 { line(output, b',', text.as_bytes()) } else { bulk(output, text.as_bytes()) }
}

fn aggregate(output: &mut Vec<u8>, prefix: u8, items: &[Reply], version: Version) {
    number(output, prefix, items.len());
    for item in items {
        encode(item, version, output);
    }
}

fn pairs(output: &mut Vec<u8>, items: &SharedItems) {
    number(output, b'*', items.len() / 2);
    for (index, item) in items.iter().enumerate() {
        if index % 2 == 0 {
            number(output, b'*', 2);
        }
        bulk(output, item);
    }
}

fn number(output: &mut Vec<u8>, prefix: u8, value: impl Integer) {
    output.push(prefix);
    output.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    output.extend_from_slice(b"\r\n");
}

/// A line ends at the first line break, so text that has one (an error quoting its input) gets spaces instead.
fn line(output: &mut Vec<u8>, prefix: u8, text: &[u8]) {
    output.push(prefix);
    if memchr::memchr2(b'\r', b'\n', text).is_none() {
        output.extend_from_slice(text);
    } else {
        output.extend(text.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
    }
    output.extend_from_slice(b"\r\n");
}

fn bulk(output: &mut Vec<u8>, bytes: &[u8]) {
    number(output, b'$', bytes.len());
    output.extend_from_slice(bytes);
    output.extend_from_slice(b"\r\n");
}

fn bulk_value(output: &mut Vec<u8>, value: &StringValue) {
    if let Some(bytes) = value.contiguous() {
        return bulk(output, bytes);
    }
    number(output, b'$', value.len());
    value.append_to(output);
    output.extend_from_slice(b"\r\n");
}

fn verbatim(output: &mut Vec<u8>, text: &str) {
    const FORMAT: &[u8] = b"txt:";
    number(output, b'=', FORMAT.len() + text.len());
    output.extend_from_slice(FORMAT);
    output.extend_from_slice(text.as_bytes());
    output.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::scored_items;

    #[track_caller]
    fn check(reply: &Reply, resp2: &str, resp3: &str) {
        for (version, expected) in [(Version::Resp2, resp2), (Version::Resp3, resp3)] {
            let mut output = Vec::new();
            encode(reply, version, &mut output);
            assert_eq!(String::from_utf8(output).unwrap(), expected, "{version:?}");
        }
    }

    #[test]
    fn each_kind_of_reply_has_its_form_in_both_versions() {
        check(&Reply::OK, "+OK\r\n", "+OK\r\n");
        check(&Reply::error("ERR x\r\ny\n"), "-ERR x  y\r\n", "-ERR x  y\r\n");
        check(&Reply::Integer(-7), ":-7\r\n", ":-7\r\n");
        check(&Reply::Bulk(StringValue::from_bytes(b"12")), "$2\r\n12\r\n", "$2\r\n12\r\n");
        check(&Reply::Bulk(StringValue::from_bytes(b"ab")), "$2\r\nab\r\n", "$2\r\nab\r\n");
        check(&Reply::text(""), "$0\r\n\r\n", "$0\r\n\r\n");
        check(&Reply::Null, "$-1\r\n", "_\r\n");
        check(&Reply::NullArray, "*-1\r\n", "_\r\n");
        check(&Reply::Double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n");
        check(&Reply::Decimal("0.50".into()), "$4\r\n0.50\r\n", ",0.50\r\n");
        check(&Reply::Boolean(true), ":1\r\n", "#t\r\n");
        check(&Reply::BigNumber("12".into()), "$2\r\n12\r\n", "(12\r\n");
        check(&Reply::Verbatim("hi".into()), "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n");
        check(&Reply::Array(vec![]), "*0\r\n", "*0\r\n");
        check(&Reply::Set(vec![1_i64.into()]), "*1\r\n:1\r\n", "~1\r\n:1\r\n");
        check(&Reply::Push(vec![1_i64.into()]), "*1\r\n:1\r\n", ">1\r\n:1\r\n");
        check(&Reply::Map(vec![(Reply::OK, Reply::Null)]), "*2\r\n+OK\r\n$-1\r\n", "%1\r\n+OK\r\n_\r\n");
        let items: SharedItems = ["a", "b"].iter().collect();
        let flat = "*2\r\n$1\r\na\r\n$1\r\nb\r\n";
        check(&Reply::Items(Shape::Array, items.clone()), flat, flat);
        check(&Reply::Items(Shape::Set, items.clone()), flat, &flat.replace("*2", "~2"));
        check(&Reply::Items(Shape::Map, items.clone()), flat, &flat.replace("*2", "%1"));
        check(&Reply::Items(Shape::Pairs, items), flat, &format!("*1\r\n{flat}"));
        let scored = || scored_items([(&b"a"[..], 1.5)]);
        let (flat, pairs) = ("*2\r\n$1\r\na\r\n$3\r\n1.5\r\n", "*1\r\n*2\r\n$1\r\na\r\n,1.5\r\n");
        check(&Reply::Items(Shape::Scored, scored()), flat, pairs);
        check(&Reply::Sequence(vec![Reply::OK, Reply::OK]), "+OK\r\n+OK\r\n", "+OK\r\n+OK\r\n");
        check(&Reply::Sequence(vec![]), "", "");
    }
}
