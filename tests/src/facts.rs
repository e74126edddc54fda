//! What two servers tell of the same value in different words: parts that differ are left out or told apart.

use crate::value::Value;

/// What is told of a stream, without what depends on how it is kept and without times, and the times.
///
/// Times and ages are the facts that are named so, and the second to last number of what is told of a pending entry. Of
/// facts that only newer releases of Redis have, nothing is known.
#[must_use]
pub fn stream_facts(value: &Value) -> (Value, Vec<i64>) {
    let mut times = Vec::new();
    (facts_of(value, &mut times), times)
}

fn facts_of(value: &Value, times: &mut Vec<i64>) -> Value {
    const LEFT_OUT: &[&[u8]] = &[b"radix-tree-keys", b"radix-tree-nodes", b"inactive", b"active-time"];
    const TIMES: &[&[u8]] = &[b"idle", b"seen-time"];
    match value {
        Value::Array(elements) => {
            let mut facts = Vec::new();
            let mut rest = &elements[..];
            while let [first, others @ ..] = rest {
                rest = others;
                match others {
                    [_, behind @ ..] if LEFT_OUT.contains(&first.bytes()) => rest = behind,
                    [Value::Integer(time), behind @ ..] if TIMES.contains(&first.bytes()) => {
                        times.push(*time);
                        rest = behind;
                    }
                    // Of an entry that is pending: `[.., time, deliveries]`.
                    [Value::Integer(deliveries)] if (3..=4).contains(&elements.len()) => {
                        times.extend(first.integer());
                        facts.push(Value::Integer(*deliveries));
                        rest = &[];
                    }
                    _ => facts.push(facts_of(first, times)),
                }
            }
            Value::Array(facts)
        }
        Value::Map(pairs) => {
            let mut facts = Vec::new();
            for (name, value) in pairs {
                match value {
                    _ if LEFT_OUT.contains(&name.bytes()) => {}
                    Value::Integer(time) if TIMES.contains(&name.bytes()) => times.push(*time),
                    value => facts.push((name.clone(), facts_of(value, times))),
                }
            }
            Value::Map(facts)
        }
        other => other.clone(),
    }
}

/// The value of a string without the count that Redis keeps in a sketch when it has counted.
#[must_use]
pub fn sketch(value: Value) -> Value {
    const MAGIC: &[u8] = b"HYLL";
    const COUNT: std::ops::Range<usize> = 8..16;
    match value {
        Value::Bulk(mut bytes) if bytes.starts_with(MAGIC) && bytes.len() >= COUNT.end => {
            bytes[COUNT].fill(0);
            Value::Bulk(bytes)
        }
        other => other,
    }
}
