use proptest::prelude::*;

use super::*;

const SPARSE_MAX_BYTES: usize = 3000;

fn elements(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| format!("element:{number}").into_bytes()).collect()
}

fn sketch_of(elements: &[Vec<u8>], sparse_max_bytes: usize) -> StringValue {
    let mut sketch = empty();
    for element in elements {
        add(&mut sketch, &[element], sparse_max_bytes).expect("a sketch");
    }
    sketch
}

#[test]
fn elements_are_hashed_as_redis_does() {
    for (element, hash) in [
        (&b""[..], 0xd8df_ea65_85bc_9732_u64),
        (b"a", 0x53d2_470a_9b43_b1a7),
        (b"12345678", 0x95eb_b863_8913_2953),
        (b"hello world, again", 0xbcc1_ad20_07f1_5a61),
    ] {
        assert_eq!(murmur64a(element, HASH_SEED), hash, "{}", element.escape_ascii());
    }
}

#[test]
fn counts_are_near_the_truth_in_either_form() {
    for (count, sparse_max_bytes) in [0, 1, 2, 10, 100, 1000, 10_000, 100_000]
        .into_iter()
        .flat_map(|count| [(count, 0), (count, SPARSE_MAX_BYTES), (count.min(2000), usize::MAX)])
    {
        let sketch = sketch_of(&elements(count), sparse_max_bytes);
        let found = super::count(&sketch).expect("a sketch");
        let error = found.abs_diff(count as u64) as f64;
        // Three times the standard error.
        assert!(error <= (count as f64 * 0.025).max(0.5), "{count}: {found}, {sparse_max_bytes}");
    }
}

#[test]
fn a_sketch_becomes_dense_when_its_runs_become_too_long() {
    let sketch = sketch_of(&elements(10), SPARSE_MAX_BYTES);
    assert_eq!(form(&sketch), Ok(Form::Sparse));
    let sketch = sketch_of(&elements(10), 40);
    assert_eq!((form(&sketch), sketch.len()), (Ok(Form::Dense), DENSE_BYTES));
    let sketch = sketch_of(&elements(10_000), SPARSE_MAX_BYTES);
    assert_eq!((form(&sketch), sketch.len()), (Ok(Form::Dense), DENSE_BYTES));
}

#[test]
fn a_count_that_redis_has_cached_is_taken_until_the_sketch_changes() {
    for sparse_max_bytes in [SPARSE_MAX_BYTES, 0] {
        let mut sketch = sketch_of(&elements(3), sparse_max_bytes);
        sketch.set_range(CACHE_AT, &77_u64.to_le_bytes());
        assert_eq!(count(&sketch), Ok(77));
        assert_eq!(add(&mut sketch, &[b"element:1"], sparse_max_bytes), Ok(None));
        assert_eq!(count(&sketch), Ok(77));
        assert!(add(&mut sketch, &[b"other"], sparse_max_bytes).is_ok_and(|changed| changed.is_some()));
        assert_eq!(count(&sketch), Ok(4));
    }
}

#[test]
fn what_is_no_sketch_is_refused() {
    let sparse = |runs: &[u8]| [&header(Form::Sparse)[..], runs].concat();
    let mut other_form = sparse(&sparse::NOTHING);
    other_form[FORM_AT] = 2;
    for (bytes, why) in [
        (b"".to_vec(), NoSketch::Other),
        (b"HYLL".to_vec(), NoSketch::Other),
        (vec![b'x'; DENSE_BYTES], NoSketch::Other),
        (header(Form::Dense).to_vec(), NoSketch::Other),
        (other_form, NoSketch::Other),
        // No runs, too few, too many, half of one.
        (sparse(&[]), NoSketch::Corrupted),
        (sparse(&[0x7f, 0xfe]), NoSketch::Corrupted),
        (sparse(&[0x7f, 0xff, 0x00]), NoSketch::Corrupted),
        (sparse(&[0x7f]), NoSketch::Corrupted),
    ] {
        let string = StringValue::raw(&bytes);
        assert_eq!(count(&string), Err(why), "{}", bytes.escape_ascii());
    }
}

proptest! {
    #[test]
    fn both_forms_hold_the_same_registers(seeds in prop::collection::vec(any::<u16>(), 0..600)) {
        let elements: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.to_le_bytes().to_vec()).collect();
        let registers = |sketch: &StringValue| {
            let mut registers = Registers::default();
            registers.merge(sketch).expect("a sketch");
            registers.0
        };
        let (sparse, dense) = (sketch_of(&elements, usize::MAX), sketch_of(&elements, 0));
        prop_assert!(registers(&sparse) == registers(&dense));
    }

    #[test]
    fn a_merged_sketch_is_that_of_all_elements(first in 0_usize..300, second in 0_usize..300, dense: bool) {
        let elements = elements(first + second);
        let mut registers = Registers::default();
        for part in [&elements[..first], &elements[first..]] {
            registers.merge(&sketch_of(part, SPARSE_MAX_BYTES)).expect("a sketch");
        }
        let mut merged = empty();
        registers.apply(&mut merged, dense, SPARSE_MAX_BYTES).expect("a sketch");
        prop_assert_eq!(count(&merged), count(&sketch_of(&elements, SPARSE_MAX_BYTES)));
        prop_assert_eq!(form(&merged) == Ok(Form::Dense), dense);
    }

    #[test]
    fn no_runs_make_the_reader_panic(runs: Vec<u8>, element: Vec<u8>) {
        let mut string = StringValue::raw(&[&header(Form::Sparse)[..], &runs].concat());
        let _ = count(&string);
        let _ = add(&mut string, &[&element], usize::MAX);
    }

    #[test]
    fn only_the_bytes_told_are_new(before in 0_usize..200, more in prop::collection::vec(0_usize..400, 1..5)) {
        let mut sketch = sketch_of(&elements(before), 0);
        if form(&sketch) == Ok(Form::Dense) {
            let old = sketch.to_bytes().into_owned();
            let more: Vec<Vec<u8>> = more.iter().map(|n| format!("element:{n}").into_bytes()).collect();
            let more: Vec<&[u8]> = more.iter().map(Vec::as_slice).collect();
            let changed = add(&mut sketch, &more, 0).expect("a sketch").unwrap_or(0..0);
            let new = sketch.to_bytes();
            for at in (0..new.len()).filter(|at| !changed.contains(at)) {
                prop_assert_eq!(old[at], new[at]);
            }
        }
    }
}
