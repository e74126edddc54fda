//! Commands written as redis-cli takes them, `SET key "a\x00b"`, so that tables of tests read like a session.

/// The arguments of a command line: separated by blanks; in double quotes with the escapes `\n \r \t \\ \" \xHH`.
///
/// # Panics
/// When a quote is not closed or an escape is unknown: a mistake in the test.
#[must_use]
pub fn arguments(line: &str) -> Vec<Vec<u8>> {
    let mut arguments = Vec::new();
    let mut characters = line.chars().peekable();
    while let Some(&first) = characters.peek() {
        if first == ' ' {
            characters.next();
            continue;
        }
        let mut argument = Vec::new();
        let mut quoted = false;
        while let Some(character) = characters.next_if(|&character| quoted || character != ' ') {
            match character {
                '"' => quoted = !quoted,
                '\\' if quoted => argument.push(escape(&mut characters)),
                _ => argument.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        assert!(!quoted, "an open quote in {line}");
        arguments.push(argument);
    }
    arguments
}

fn escape(characters: &mut impl Iterator<Item = char>) -> u8 {
    match characters.next() {
        Some('n') => b'\n',
        Some('r') => b'\r',
        Some('t') => b'\t',
        Some('x') => {
            let digits: String = characters.take(2).collect();
            u8::from_str_radix(&digits, 16).unwrap_or_else(|_| panic!("\\x{digits} is no byte"))
        }
        Some(character @ ('\\' | '"')) => character as u8,
        other => panic!("an unknown escape: {other:?}"),
    }
}

/// A command line that [`arguments`] reads back as `arguments`.
#[must_use]
pub fn print(arguments: &[Vec<u8>]) -> String {
    let mut line = String::new();
    for argument in arguments {
        if !line.is_empty() {
            line.push(' ');
        }
        let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        if !argument.is_empty() && argument.iter().all(plain) {
            line.push_str(&String::from_utf8_lossy(argument));
        } else {
            line.push('"');
            for byte in argument {
                match byte {
                    b'"' => line.push_str("\\\""),
                    b'\\' => line.push_str("\\\\"),
                    b' '..=b'~' => line.push(char::from(*byte)),
                    _ => line.extend(["\\x", &format!("{byte:02x}")]),
                }
            }
            line.push('"');
        }
    }
    line
}

/// The bytes of a request: an array of bulk strings.
#[must_use]
pub fn encode<A: AsRef<[u8]>>(arguments: &[A]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        let argument = argument.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        bytes.extend_from_slice(argument);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{arguments, print};

    #[test]
    fn a_printed_command_is_read_back_as_it_was() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..1000 {
            let command: Vec<Vec<u8>> = (0..random.usize(1..5))
                .map(|_| (0..random.usize(0..6)).map(|_| random.u8(..)).collect())
                .collect();
            assert_eq!(arguments(&print(&command)), command);
        }
    }
}
