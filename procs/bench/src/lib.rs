//! Procedures whose speed `bench/` compares with the same in Lua (`bench/lua`), and on which the cost of metering is
//! measured. Each returns a number that depends on all of its work.

#![no_std]
#![allow(clippy::must_use_candidate, reason = "the results of procedures go to clients")]

use kvasm_sdk::prelude::*;

/// Reads a key and writes it: the usual work of a short procedure. The length of what was there.
#[procedure]
pub fn get_put(db: &mut Db, key: &[u8], value: &[u8]) -> i64 {
    let length = db.get(key).map_or(0, |old| old.len());
    db.put(key, value);
    length as i64
}

/// The `n`-th Fibonacci number, by recursion: calls.
#[procedure]
pub fn fib(_db: &Db, n: u32) -> i64 {
    fn fib(n: u32) -> i64 {
        if n < 2 { i64::from(n) } else { fib(n - 1) + fib(n - 2) }
    }
    fib(n)
}

/// How many primes there are up to `limit`, by the sieve of Eratosthenes: short loops over memory.
#[procedure]
pub fn sieve(_db: &Db, limit: usize) -> usize {
    let mut is_composite = vec![false; limit + 1];
    let mut primes = 0;
    for number in 2..=limit {
        if is_composite[number] {
            continue;
        }
        primes += 1;
        let mut multiple = number * number;
        while multiple <= limit {
            is_composite[multiple] = true;
            multiple += number;
        }
    }
    primes
}

/// One record of the text that `json_scan` scans.
const RECORD: &str = r#"{"id":1234,"name":"Ada \"Countess\" Lovelace","tags":["math","engine"],"born":1815}"#;

/// Scans an array of `records` objects: branches on bytes. The sum of its numbers, and a million for each string.
#[procedure]
pub fn json_scan(_db: &Db, records: usize) -> i64 {
    let text = vec![RECORD; records].join(",");
    let bytes = text.as_bytes();
    let (mut strings, mut sum) = (0_i64, 0_i64);
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at += 1;
                while bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                strings += 1;
            }
            b'0'..=b'9' => {
                let mut number = 0;
                while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
                    number = number * 10 + i64::from(digit - b'0');
                    at += 1;
                }
                sum += number;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    strings * 1_000_000 + sum
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Encodes `length` bytes in base64: shifts and a small table. The sum of the output's bytes.
#[procedure]
pub fn base64(_db: &Db, length: usize) -> i64 {
    base64_of(&sample(length)).iter().map(|&byte| i64::from(byte)).sum()
}

fn base64_of(input: &[u8]) -> Vec<u8> {
    let mut output = Vec::with_capacity(input.len().div_ceil(3) * 4);
    for chunk in input.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for position in 0..4 {
            let index = (group >> (18 - 6 * position)) & 63;
            output.push(if position > chunk.len() { b'=' } else { BASE64[index as usize] });
        }
    }
    output
}

/// The first 63 bits of the SHA-256 of `length` bytes: arithmetic on 32-bit words.
#[procedure]
pub fn sha256(_db: &Db, length: usize) -> u64 {
    let [first, second, ..] = sha256_of(sample(length));
    (u64::from(first) << 32 | u64::from(second)) >> 1
}

fn sha256_of(mut message: Vec<u8>) -> [u32; 8] {
    let bits = message.len() as u64 * 8;
    message.push(0x80);
    let padded = (message.len() + size_of_val(&bits)).next_multiple_of(64);
    message.resize(padded - size_of_val(&bits), 0);
    message.extend_from_slice(&bits.to_be_bytes());
    let mut state = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];
    for block in message.chunks_exact(64) {
        sha256_block(&mut state, block);
    }
    state
}

#[rustfmt::skip]
const ROUNDS: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

#[allow(clippy::many_single_char_names, reason = "the names of FIPS 180-4")]
fn sha256_block(state: &mut [u32; 8], block: &[u8]) {
    let mut words = [0_u32; 64];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    for at in 16..64 {
        let (x, y) = (words[at - 15], words[at - 2]);
        let small0 = x.rotate_right(7) ^ x.rotate_right(18) ^ (x >> 3);
        let small1 = y.rotate_right(17) ^ y.rotate_right(19) ^ (y >> 10);
        words[at] = words[at - 16].wrapping_add(small0).wrapping_add(words[at - 7]).wrapping_add(small1);
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for (round, word) in ROUNDS.iter().zip(words) {
        let big1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let choice = (e & f) ^ (!e & g);
        let first = h.wrapping_add(big1).wrapping_add(choice).wrapping_add(*round).wrapping_add(word);
        let big0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let majority = (a & b) ^ (a & c) ^ (b & c);
        let second = big0.wrapping_add(majority);
        (h, g, f, e, d, c, b, a) = (g, f, e, d.wrapping_add(first), c, b, a, first.wrapping_add(second));
    }
    for (word, added) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *word = word.wrapping_add(added);
    }
}

/// Sorts `length` pseudo-random numbers: comparisons and moves. A sum that weighs each number by its place.
#[procedure]
pub fn sort(_db: &Db, length: usize) -> i64 {
    let mut numbers: Vec<u32> = sample(length * 4)
        .chunks_exact(4)
        .map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect();
    numbers.sort_unstable();
    numbers
        .iter()
        .zip(1_i64..)
        .fold(0, |sum, (&number, place)| sum.wrapping_add(place.wrapping_mul(number.into())))
}

/// `length` bytes without a pattern, the same every time (xorshift).
fn sample(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    };
    core::iter::repeat_with(next).take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_right() {
        let db = Db::test();
        assert_eq!(fib(&db, 20), 6765);
        assert_eq!(sieve(&db, 20_000), 2262);
        assert_eq!(json_scan(&db, 3), 3 * (7_000_000 + 1234 + 1815));
        // FIPS 180-4's example, and an empty message.
        assert_eq!(sha256_of(b"abc".to_vec())[..2], [0xba78_16bf, 0x8f01_cfea]);
        assert_eq!(sha256(&db, 0), 0xe3b0_c442_98fc_1c14 >> 1);
        // RFC 4648's examples.
        let texts = ["", "f", "fo", "foo"].map(|text| base64_of(text.as_bytes()));
        assert_eq!(texts, ["", "Zg==", "Zm8=", "Zm9v"].map(Vec::from));
        assert_eq!(base64(&db, 3), base64_of(&sample(3)).iter().copied().map(i64::from).sum());
        assert_eq!(sort(&db, 1), i64::from(u32::from_le_bytes(sample(4).try_into().unwrap_or_default())));
    }

    #[test]
    fn get_put_replaces_and_tells_the_old_length() {
        let mut db = Db::test();
        assert_eq!((get_put(&mut db, b"k", b"abc"), get_put(&mut db, b"k", b"")), (0, 3));
        assert_eq!(db.get(b"k").as_deref(), Some(b"".as_slice()));
    }
}
