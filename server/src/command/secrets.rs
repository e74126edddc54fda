//! Passwords among arguments, which must not be written into any log.

use super::flag;

/// Stands for a password.
const REDACTED: &[u8] = b"(redacted)";
/// The options that are passwords.
const SECRET_OPTIONS: [&str; 1] = ["requirepass"];

/// The arguments of a request with every password replaced.
#[must_use]
pub fn redact<'a>(arguments: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let is_secret = |place: usize| match arguments {
        [name, ..] if flag(name, "auth") => place > 0,
        [name, ..] if flag(name, "hello") => {
            (1..=2).any(|back| place.checked_sub(back).is_some_and(|option| flag(arguments[option], "auth")))
        }
        [name, subcommand, ..] if flag(name, "config") && flag(subcommand, "set") => {
            place > 2 && place % 2 == 1 && SECRET_OPTIONS.iter().any(|name| flag(arguments[place - 1], name))
        }
        _ => false,
    };
    arguments
        .iter()
        .enumerate()
        .map(|(place, argument)| if is_secret(place) { REDACTED } else { argument })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(request: &str, expected: &str) {
        let arguments: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        assert_eq!(String::from_utf8_lossy(&redact(&arguments).join(&b' ')), expected, "{request}");
    }

    #[test]
    fn passwords_are_not_shown() {
        check("auth pw", "auth (redacted)");
        check("AUTH user pw", "AUTH (redacted) (redacted)");
        check("hello 3 auth user pw setname me", "hello 3 auth (redacted) (redacted) setname me");
        check("config set hz 10 RequirePass pw", "config set hz 10 RequirePass (redacted)");
        check("config get requirepass", "config get requirepass");
        check("set requirepass auth", "set requirepass auth");
        check("ping", "ping");
    }
}
