//! The filters of `CLIENT KILL` and `CLIENT LIST`.

use std::net::SocketAddr;

use super::super::connection::DEFAULT_USER;
use super::{Error, Result, flag, integer};
use crate::state::{ClientId, Session};

/// What Redis calls the type of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientType {
    /// It sends commands.
    Normal,
    /// It is subscribed to something.
    PubSub,
    /// It takes part in replication: nobody does.
    Replication,
}

impl ClientType {
    /// The type of this name.
    pub(super) fn named(name: &[u8]) -> Result<Self> {
        let types = [
            ("normal", Self::Normal),
            ("slave", Self::Replication),
            ("replica", Self::Replication),
            ("pubsub", Self::PubSub),
            ("master", Self::Replication),
        ];
        types.into_iter().find_map(|(word, of)| flag(name, word).then_some(of)).ok_or_else(|| {
            let name = String::from_utf8_lossy(name);
            format!("ERR Unknown client type '{name}'").into()
        })
    }

    /// The type of this client.
    pub(super) fn of(session: &Session) -> Self {
        if session.is_subscriber() { Self::PubSub } else { Self::Normal }
    }
}

/// Which connections to kill: those that pass all that is set.
#[derive(Debug, Default)]
pub(super) struct Filter<'a> {
    id: Option<ClientId>,
    client_type: Option<ClientType>,
    address: Option<&'a [u8]>,
    local_address: Option<&'a [u8]>,
    min_age_s: Option<u64>,
    skips_own: bool,
}

impl<'a> Filter<'a> {
    /// The old form: the connection from this address, even the client's own.
    pub(super) fn address(address: &'a [u8]) -> Self {
        Self { address: Some(address), ..Self::default() }
    }

    /// The new form: pairs of an option and a value.
    pub(super) fn parse(pairs: &[&'a [u8]]) -> Result<Self> {
        let mut filter = Self { skips_own: true, ..Self::default() };
        for pair in pairs.chunks(2) {
            let [option, value] = *pair else { return Err(Error::SYNTAX) };
            match option {
                _ if flag(option, "ID") => {
                    filter.id = Some(positive(value, "ERR client-id should be greater than 0")?);
                }
                _ if flag(option, "TYPE") => filter.client_type = Some(ClientType::named(value)?),
                _ if flag(option, "ADDR") => filter.address = Some(value),
                _ if flag(option, "LADDR") => filter.local_address = Some(value),
                _ if flag(option, "MAXAGE") => {
                    filter.min_age_s = Some(positive(value, "ERR maxage should be greater than 0")?);
                }
                _ if flag(option, "USER") => {
                    if value != DEFAULT_USER {
                        return Err(format!("ERR No such user '{}'", String::from_utf8_lossy(value)).into());
                    }
                }
                _ if flag(option, "SKIPME") && flag(value, "yes") => filter.skips_own = true,
                _ if flag(option, "SKIPME") && flag(value, "no") => filter.skips_own = false,
                _ => return Err(Error::SYNTAX),
            }
        }
        Ok(filter)
    }

    /// Whether a connection passes; `own` is the number of the client that asks.
    pub(super) fn matches(&self, session: &Session, own: ClientId, now_s: u64) -> bool {
        let is_at = |address: Option<SocketAddr>, wanted: &[u8]| {
            address.is_some_and(|address| address.to_string().as_bytes() == wanted)
        };
        self.id.is_none_or(|id| id == session.id)
            && self.client_type.is_none_or(|wanted| wanted == ClientType::of(session))
            && self.address.is_none_or(|wanted| is_at(session.address, wanted))
            && self.local_address.is_none_or(|wanted| is_at(session.local_address, wanted))
            && self.min_age_s.is_none_or(|min_s| now_s.saturating_sub(session.connected_s) >= min_s)
            && !(self.skips_own && session.id == own)
    }
}

fn positive(value: &[u8], message: &'static str) -> Result<u64> {
    let value = integer(value).ok().and_then(|value| u64::try_from(value).ok());
    value.filter(|value| *value > 0).ok_or(Error::text(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: ClientId = 1;

    #[track_caller]
    fn check(pairs: &str, expected: &[ClientId]) {
        let words: Vec<&[u8]> = pairs.split(' ').map(str::as_bytes).collect();
        let filter = Filter::parse(&words).unwrap();
        let at = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        let mut sessions: Vec<Session> =
            (1..=3).map(|id| Session::new(id, at(1000 + id as u16), at(6379), 100 * id)).collect();
        sessions[2].patterns = 1;
        let matching = sessions.iter().filter(|session| filter.matches(session, OWN, 400));
        assert_eq!(matching.map(|session| session.id).collect::<Vec<_>>(), expected, "{pairs}");
    }

    #[test]
    fn a_connection_is_killed_when_it_passes_every_filter() {
        check("LADDR 127.0.0.1:6379", &[2, 3]);
        check("laddr 127.0.0.1:6379 skipme no", &[1, 2, 3]);
        check("ID 2", &[2]);
        check("ID 1", &[]);
        check("ADDR 127.0.0.1:1003", &[3]);
        check("ADDR 127.0.0.1:1003 ID 2", &[]);
        check("TYPE pubsub", &[3]);
        check("TYPE normal", &[2]);
        check("TYPE replica", &[]);
        check("USER default MAXAGE 150", &[2]);
        check("MAXAGE 301", &[]);
    }

    #[test]
    fn a_wrong_filter_is_refused_as_redis_does() {
        for (pairs, expected) in [
            ("ID 0", "ERR client-id should be greater than 0"),
            ("ID x", "ERR client-id should be greater than 0"),
            ("MAXAGE -1", "ERR maxage should be greater than 0"),
            ("TYPE x", "ERR Unknown client type 'x'"),
            ("USER x", "ERR No such user 'x'"),
            ("SKIPME x", "ERR syntax error"),
            ("ID 1 ADDR", "ERR syntax error"),
        ] {
            let words: Vec<&[u8]> = pairs.split(' ').map(str::as_bytes).collect();
            assert_eq!(Filter::parse(&words).unwrap_err(), Error::text(expected), "{pairs}");
        }
    }
}
