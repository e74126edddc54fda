//! SHA-256 of 8 KiB.
#![no_std]
#![no_main]

include!("prelude.rs");

/// The first 32 bits of the fractional parts of the roots (square for the start, cube for the rounds) of the primes.
const fn root_bits(index: u32, cube: bool) -> u32 {
    let mut prime = 2u128;
    let mut left = index;
    loop {
        let mut divisor = 2;
        let mut is_prime = true;
        while divisor * divisor <= prime {
            if prime % divisor == 0 {
                is_prime = false;
            }
            divisor += 1;
        }
        if is_prime {
            if left == 0 {
                break;
            }
            left -= 1;
        }
        prime += 1;
    }
    // The largest 40-bit root with root^k <= prime * 2^(32 k).
    let mut root = 0u128;
    let mut bit = 1u128 << 39;
    while bit > 0 {
        let candidate = root | bit;
        let (power, target) = if cube {
            (candidate * candidate * candidate, prime << 96)
        } else {
            (candidate * candidate, prime << 64)
        };
        if power <= target {
            root = candidate;
        }
        bit >>= 1;
    }
    root as u32
}

const fn roots<const N: usize>(cube: bool) -> [u32; N] {
    let mut words = [0; N];
    let mut index = 0;
    while index < N {
        words[index] = root_bits(index as u32, cube);
        index += 1;
    }
    words
}

const START: [u32; 8] = roots(false);
static ROUNDS: [u32; 64] = roots(true);

fn compress(state: &mut [u32; 8], block: &[u8]) {
    let mut words = [0u32; 64];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    for index in 16..64 {
        let low = words[index - 15];
        let high = words[index - 2];
        let low = low.rotate_right(7) ^ low.rotate_right(18) ^ low >> 3;
        let high = high.rotate_right(17) ^ high.rotate_right(19) ^ high >> 10;
        words[index] = words[index - 16].wrapping_add(low).wrapping_add(words[index - 7]).wrapping_add(high);
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for (word, round) in words.iter().zip(&ROUNDS) {
        let high = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let choice = e & f ^ !e & g;
        let first = h.wrapping_add(high).wrapping_add(choice).wrapping_add(*round).wrapping_add(*word);
        let low = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let majority = a & b ^ a & c ^ b & c;
        (h, g, f, e) = (g, f, e, d.wrapping_add(first));
        (d, c, b, a) = (c, b, a, first.wrapping_add(low).wrapping_add(majority));
    }
    for (word, change) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *word = word.wrapping_add(change);
    }
}

fn sha256(message: &[u8]) -> [u32; 8] {
    let mut state = START;
    let mut blocks = message.chunks_exact(64);
    for block in &mut blocks {
        compress(&mut state, block);
    }
    let rest = blocks.remainder();
    let mut tail = [0; 128];
    tail[..rest.len()].copy_from_slice(rest);
    tail[rest.len()] = 0x80;
    let end = if rest.len() < 56 { 64 } else { 128 };
    tail[end - 8..end].copy_from_slice(&(message.len() as u64 * 8).to_be_bytes());
    for block in tail[..end].chunks_exact(64) {
        compress(&mut state, block);
    }
    state
}

fn work() -> i64 {
    assert!(sha256(b"abc")[0] == 0xba78_16bf);
    let mut message = [0; 8 << 10];
    fill(&mut message);
    i64::from(sha256(&message)[0])
}
