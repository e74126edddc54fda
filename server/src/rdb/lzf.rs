//! Decompressing LZF, as Marc Lehmann's liblzf writes it. No crate for it is kept up.

use super::{Error, Result};

const TOO_SHORT: Error = Error::Malformed("compressed data cut short");
const WRONG_LENGTH: Error = Error::Malformed("compressed data of another length");

/// Decompresses what makes exactly `len` bytes.
pub fn decompress(input: &[u8], len: usize) -> Result<Vec<u8>> {
    const LITERAL_MAX: u8 = 32;
    const LONG: usize = 7;
    // One compressed byte makes less than this many: what announces more is not believed.
    const MAX_RATIO: usize = 264;
    if len > input.len().saturating_mul(MAX_RATIO) {
        return Err(WRONG_LENGTH);
    }
    let mut output = Vec::with_capacity(len);
    let mut rest = input;
    let mut next = || -> Result<u8> {
        let (first, after) = rest.split_first().ok_or(TOO_SHORT)?;
        rest = after;
        Ok(*first)
    };
    while output.len() < len {
        let control = next()?;
        if control < LITERAL_MAX {
            for _ in 0..=control {
                output.push(next()?);
            }
            continue;
        }
        let mut count = usize::from(control >> 5);
        if count == LONG {
            count += usize::from(next()?);
        }
        let distance = (usize::from(control & 0x1f) << 8 | usize::from(next()?)) + 1;
        let start =
            output.len().checked_sub(distance).ok_or(Error::Malformed("compressed data before its start"))?;
        // The copy may reach into what it writes.
        for at in start..start + count + 2 {
            output.push(output[at]);
        }
    }
    if output.len() == len && rest.is_empty() { Ok(output) } else { Err(WRONG_LENGTH) }
}

#[cfg(test)]
mod tests {
    use super::decompress;

    #[test]
    fn literals_and_overlapping_copies_are_expanded() {
        assert_eq!(decompress(b"\x00a\xe0\x01\x00", 11).unwrap(), b"aaaaaaaaaaa");
        assert_eq!(decompress(b"\x02abc\x20\x02", 6).unwrap(), b"abcabc");
    }

    #[test]
    fn what_is_no_compressed_data_is_refused() {
        let table: [(&[u8], usize); 6] = [
            (b"", 1),
            (b"\x05ab", 6),
            (b"\x20\x00", 3),
            (b"\x00a", 2),
            (b"\x01ab", 1),
            (b"\x00a", usize::MAX),
        ];
        for (input, len) in table {
            assert!(decompress(input, len).is_err(), "{input:?}");
        }
    }
}
