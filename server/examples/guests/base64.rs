//! Encodes 6 KiB as base64 and decodes it again.
#![no_std]
#![no_main]

include!("prelude.rs");

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode(input: &[u8], output: &mut [u8]) -> usize {
    let mut written = 0;
    for chunk in input.chunks(3) {
        let bytes = [chunk[0], *chunk.get(1).unwrap_or(&0), *chunk.get(2).unwrap_or(&0)];
        let word = u32::from(bytes[0]) << 16 | u32::from(bytes[1]) << 8 | u32::from(bytes[2]);
        for position in 0..4 {
            output[written + position] = if position <= chunk.len() {
                ALPHABET[(word >> (18 - 6 * position) & 63) as usize]
            } else {
                b'='
            };
        }
        written += 4;
    }
    written
}

fn value(byte: u8) -> Option<u32> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    } as u32)
}

fn decode(input: &[u8], output: &mut [u8]) -> usize {
    let mut written = 0;
    for chunk in input.chunks_exact(4) {
        let mut word = 0;
        let mut count = 0;
        for byte in chunk {
            word <<= 6;
            if let Some(value) = value(*byte) {
                word |= value;
                count += 1;
            }
        }
        for position in 0..count - 1 {
            output[written] = (word >> (16 - 8 * position)) as u8;
            written += 1;
        }
    }
    written
}

fn work() -> i64 {
    let mut input = [0; 6 << 10];
    let mut text = [0; 8 << 10];
    let mut output = [0; 6 << 10];
    fill(&mut input);
    let mut sum = 0;
    for _ in 0..1 {
        let encoded = encode(&input, &mut text);
        let decoded = decode(&text[..encoded], &mut output);
        assert!(output[..decoded] == input);
        sum += (encoded + decoded) as i64;
    }
    sum
}
