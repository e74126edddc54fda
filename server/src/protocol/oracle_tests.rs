//! Our encodings as another implementation of the protocol reads them: `redis-protocol`.

use redis_protocol::{resp2, resp3};

use super::{Reply, Version, decode_reply, encode};
use crate::types::StringValue;

/// A random reply, `depth` levels deep at the most.
fn random_reply(random: &mut fastrand::Rng, depth: u32) -> Reply {
    let text = |random: &mut fastrand::Rng| {
        (0..random.usize(..20)).map(|_| random.alphanumeric()).collect::<String>()
    };
    let many = |random: &mut fastrand::Rng| {
        (0..random.usize(..5)).map(|_| random_reply(random, depth - 1)).collect::<Vec<_>>()
    };
    match random.u8(..if depth > 0 { 13 } else { 10 }) {
        0 => Reply::Simple(text(random).into()),
        1 => Reply::Error(format!("ERR {}", text(random)).into()),
        2 => Reply::Integer(random.i64(..)),
        3 => Reply::Bulk(StringValue::raw(text(random).as_bytes())),
        4 => Reply::Bulk(StringValue::from_integer(random.i64(..))),
        5 => Reply::Null,
        6 => Reply::Double(random.i32(..).into()),
        7 => Reply::Boolean(random.bool()),
        8 => Reply::BigNumber(random.u128(..).to_string()),
        9 => Reply::Verbatim(text(random)),
        10 => Reply::Array(many(random)),
        11 => Reply::Push(many(random)),
        _ => Reply::Map(vec![(Reply::text("key"), random_reply(random, depth - 1))]),
    }
}

/// Whether another implementation's frame says what the reply says.
fn same(frame: &resp3::types::OwnedFrame, reply: &Reply) -> bool {
    use resp3::types::OwnedFrame as Frame;
    let all = |frames: &[Frame], replies: &[Reply]| {
        frames.len() == replies.len() && frames.iter().zip(replies).all(|(frame, reply)| same(frame, reply))
    };
    match (frame, reply) {
        (Frame::SimpleString { data, .. }, Reply::Simple(text))
        | (Frame::BlobString { data, .. }, Reply::Text(text)) => data == text.as_bytes(),
        (Frame::SimpleError { data, .. }, Reply::Error(text)) => data == text,
        (Frame::Number { data, .. }, Reply::Integer(integer)) => data == integer,
        (Frame::BlobString { data, .. }, Reply::Bulk(value)) => data[..] == *value.to_bytes(),
        (Frame::Null, Reply::Null) => true,
        (Frame::Double { data, .. }, Reply::Double(number)) => data.to_bits() == number.to_bits(),
        (Frame::Boolean { data, .. }, Reply::Boolean(value)) => data == value,
        (Frame::BigNumber { data, .. }, Reply::BigNumber(digits)) => data == digits.as_bytes(),
        (Frame::VerbatimString { data, .. }, Reply::Verbatim(text)) => data == text.as_bytes(),
        (Frame::Array { data, .. }, Reply::Array(items)) | (Frame::Push { data, .. }, Reply::Push(items)) => {
            all(data, items)
        }
        (Frame::Map { data, .. }, Reply::Map(pairs)) => {
            data.len() == pairs.len()
                && data
                    .iter()
                    .zip(pairs)
                    .all(|((key, value), pair)| same(key, &pair.0) && same(value, &pair.1))
        }
        _ => false,
    }
}

#[test]
fn another_implementation_reads_what_was_meant() {
    for seed in 0..2000 {
        let reply = random_reply(&mut fastrand::Rng::with_seed(seed), 3);
        let mut bytes = Vec::new();
        encode(&reply, Version::Resp3, &mut bytes);
        let (frame, length) = resp3::decode::complete::decode(&bytes).unwrap().expect("a whole value");
        assert_eq!(length, bytes.len(), "seed {seed}");
        assert!(same(&frame, &reply), "seed {seed}: {reply:?} is read as {frame:?}");
        bytes.clear();
        encode(&reply, Version::Resp2, &mut bytes);
        let (_, length) = resp2::decode::decode(&bytes).unwrap().expect("a whole value");
        assert_eq!(length, bytes.len(), "seed {seed}, RESP2");
    }
}

#[test]
fn what_another_implementation_wrote_is_read_as_it_was_meant() {
    for seed in 0..2000 {
        let reply = random_reply(&mut fastrand::Rng::with_seed(seed), 3);
        let mut ours = Vec::new();
        encode(&reply, Version::Resp3, &mut ours);
        let (frame, _) = resp3::decode::complete::decode(&ours).unwrap().expect("a whole value");
        let mut theirs = vec![0; 4 * ours.len() + 64];
        let length = resp3::encode::complete::encode(&mut theirs, &frame, false).unwrap();
        let read = decode_reply(&theirs[..length]);
        assert!(read.is_some_and(|read| same(&frame, &read)), "seed {seed}: {reply:?}");
    }
}
