use proptest::prelude::*;

use super::super::{CHUNK_LEN, IntegerBuffer};
use super::StringValue;

#[test]
fn a_value_takes_three_words() {
    assert!(size_of::<StringValue>() <= 24);
}

#[test]
fn encodings_are_those_of_redis() {
    let changed = |from: &[u8], change: fn(&mut StringValue)| {
        let mut value = StringValue::from_bytes(from);
        change(&mut value);
        value
    };
    for (value, encoding) in [
        (StringValue::from_bytes(b"12"), "int"),
        (StringValue::from_bytes(b"-9223372036854775808"), "int"),
        (StringValue::from_bytes(b"012"), "embstr"),
        (StringValue::from_bytes(b""), "embstr"),
        (StringValue::from_bytes(&[b'a'; 44]), "embstr"),
        (StringValue::from_bytes(&[b'a'; 45]), "raw"),
        (StringValue::raw(b"12"), "raw"),
        (changed(b"12", |value| value.append(b"3")), "raw"),
        (changed(b"12", |value| value.overwrite(b"13")), "int"),
        (changed(b"ab", |value| value.overwrite(b"13")), "int"),
        (changed(b"ab", |value| value.overwrite(b"cd")), "embstr"),
        (changed(b"ab", |value| value.set_range(0, b"x")), "raw"),
        (changed(b"ab", |value| value.set_range(9, b"")), "embstr"),
    ] {
        assert_eq!(value.encoding(), encoding, "{value:?}");
    }
}

#[test]
fn overwriting_an_unshared_value_of_the_same_length_reuses_its_memory() {
    let mut value = StringValue::from_bytes(b"one value");
    let place = |value: &StringValue| value.contiguous().map(<[u8]>::as_ptr);
    let before = place(&value);
    value.overwrite(b"two value");
    assert_eq!(place(&value), before);

    let old = value.clone();
    value.overwrite(b"six value");
    assert_ne!(place(&value), before);
    assert_eq!((old.to_bytes().as_ref(), value.to_bytes().as_ref()), (&b"two value"[..], &b"six value"[..]));
}

#[test]
fn changing_a_clone_copies_one_chunk() {
    let mut value = StringValue::from_bytes(&vec![7; 10 * CHUNK_LEN]);
    let old = value.clone();
    value.set_range(5 * CHUNK_LEN + 3, b"x");
    let (mut one, mut other) = (IntegerBuffer::new(), IntegerBuffer::new());
    let copied =
        value.chunks(&mut one).zip(old.chunks(&mut other)).filter(|(new, old)| new.as_ptr() != old.as_ptr());
    assert_eq!(copied.count(), 1);
    assert_eq!(old, StringValue::from_bytes(&vec![7; 10 * CHUNK_LEN]));
}

#[test]
fn zeroes_that_nobody_wrote_take_no_memory() {
    const LEN: usize = 512 * 1024 * 1024;
    let mut value = StringValue::from_bytes(b"");
    value.set_range(LEN - 1, b"x");
    assert_eq!(value.len(), LEN);
    assert!(value.memory_usage() < 3 * CHUNK_LEN, "{}", value.memory_usage());
    assert_eq!(value.range(LEN - 3, LEN), b"\0\0x");
}

#[test]
fn appending_does_not_copy_each_time() {
    let mut value = StringValue::from_bytes(b"");
    let mut moves = 0;
    let mut place = std::ptr::null();
    for _ in 0..CHUNK_LEN {
        value.append(b"x");
        let now = value.contiguous().map_or(std::ptr::null(), <[u8]>::as_ptr);
        moves += usize::from(now != place);
        place = now;
    }
    assert!(moves <= 20, "{moves} moves");
    // The last chunk is full, and has no room beyond that.
    assert!(value.memory_usage() < CHUNK_LEN + 256, "{}", value.memory_usage());
}

#[test]
fn debug_shows_the_beginning_only() {
    assert_eq!(format!("{:?}", StringValue::from_bytes(b"a\x00")), r#""a\x00" (embstr, 2 bytes)"#);
    assert!(format!("{:?}", StringValue::from_bytes(&[b'a'; 1000])).len() < 80);
}

/// A change of a string, with lengths small or around the end of a chunk.
#[derive(Debug, Clone)]
enum Change {
    Overwrite(Vec<u8>),
    Append(Vec<u8>),
    SetRange(usize, Vec<u8>),
    Grow(usize),
    Clone,
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let around_a_chunk = (CHUNK_LEN - 5..CHUNK_LEN + 5, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]);
    prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..50),
        2 => any::<i64>().prop_map(|integer| integer.to_string().into_bytes()),
        1 => around_a_chunk,
    ]
}

fn offset() -> impl Strategy<Value = usize> {
    prop_oneof![3 => 0..100usize, 1 => CHUNK_LEN - 60..CHUNK_LEN + 10, 1 => 0..4 * CHUNK_LEN]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        bytes().prop_map(Change::Overwrite),
        bytes().prop_map(Change::Append),
        (offset(), bytes()).prop_map(|(offset, bytes)| Change::SetRange(offset, bytes)),
        offset().prop_map(Change::Grow),
        Just(Change::Clone),
    ]
}

/// The same change of a plain vector.
fn apply_to_model(model: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Overwrite(bytes) => model.clone_from(bytes),
        Change::Append(tail) => model.extend_from_slice(tail),
        Change::SetRange(offset, bytes) if !bytes.is_empty() => {
            model.resize(model.len().max(offset + bytes.len()), 0);
            model[*offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        Change::Grow(len) => model.resize(model.len().max(*len), 0),
        Change::SetRange(..) | Change::Clone => {}
    }
}

fn check(value: &StringValue, model: &[u8], (start, end): (usize, usize)) {
    assert_eq!(value.len(), model.len());
    assert_eq!(value.is_empty(), model.is_empty());
    assert_eq!(value.to_bytes(), model);
    assert_eq!(*value, StringValue::from_bytes(model));
    assert_eq!(value.as_integer(), super::parse_integer(model));
    let clipped = &model[start.min(model.len())..end.max(start).min(model.len())];
    assert_eq!(value.range(start, end), clipped);
    let mut output = vec![0; end.saturating_sub(start)];
    let copied = value.copy_range(start, &mut output);
    assert_eq!(&output[..copied], clipped);
    let mut scratch = IntegerBuffer::new();
    assert!(
        value.chunks(&mut scratch).zip(model.chunks(CHUNK_LEN)).all(|(chunk, expected)| chunk == expected)
    );
    let mut all = b"before".to_vec();
    value.append_to(&mut all);
    assert_eq!(&all[6..], model);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_string_behaves_as_a_vector(
        changes in proptest::collection::vec((change(), (offset(), offset())), 1..25)
    ) {
        let mut value = StringValue::from_bytes(b"");
        let mut model = Vec::new();
        let mut kept = Vec::new();
        for (change, range) in changes {
            match &change {
                Change::Overwrite(bytes) => value.overwrite(bytes),
                Change::Append(tail) => value.append(tail),
                Change::SetRange(offset, bytes) => value.set_range(*offset, bytes),
                Change::Grow(len) => value.grow_to(*len),
                Change::Clone => kept.push((value.clone(), model.clone())),
            }
            apply_to_model(&mut model, &change);
            check(&value, &model, range);
        }
        // What was cloned in between has not changed since.
        for (clone, model) in &kept {
            check(clone, model, (0, 100));
        }
    }
}
