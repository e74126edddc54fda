//! `CLIENT TRACKING` and its relatives: client-side caching.

use std::collections::BTreeSet;

use super::super::{Command, Context, Error, Group, Result, flag, integer};
use super::OWN;
use crate::protocol::Reply;
use crate::state::{ClientId, Tracker, TrackingMode};

/// Prefixes that one client may have: every change of a key is compared with all of them.
const MAX_PREFIXES: usize = 1000;

pub(super) const TRACKING: Command = Command::new("tracking", -3, tracking).flags(OWN).docs(
    Group::Connection,
    "6.0.0",
    "O(1). Some options may introduce additional complexity.",
    "Starts or stops telling the connection, or another one, when keys change that it may have cached.",
    "<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
);

pub(super) const CACHING: Command = Command::new("caching", 3, caching).flags(OWN).docs(
    Group::Connection,
    "6.0.0",
    "O(1)",
    "Says whether the keys of the next command are to be tracked.",
    "<YES | NO>",
);

pub(super) const TRACKING_INFO: Command = Command::new("trackinginfo", 2, info).flags(OWN).docs(
    Group::Connection,
    "6.2.0",
    "O(1)",
    "Returns what the connection has chosen with CLIENT TRACKING.",
    "",
);

pub(super) const REDIRECTION: Command = Command::new("getredir", 2, redirection).flags(OWN).docs(
    Group::Connection,
    "6.0.0",
    "O(1)",
    "Returns the number of the connection that is told in place of this one: 0 if none, -1 without tracking.",
    "",
);

/// The options of `CLIENT TRACKING` as they are given.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "any of them may be given; which go together is checked later"
)]
struct Options<'a> {
    redirect: Option<ClientId>,
    prefixes: Vec<&'a [u8]>,
    broadcast: bool,
    opt_in: bool,
    opt_out: bool,
    no_loop: bool,
}

impl<'a> Options<'a> {
    fn parse(ctx: &Context<'_>, words: &[&'a [u8]]) -> Result<Self> {
        let mut options = Self::default();
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            match word {
                _ if flag(word, "REDIRECT") => {
                    let number = words.next().ok_or(Error::SYNTAX)?;
                    if options.redirect.is_some() {
                        return Err(Error::text("ERR A client can only redirect to a single other client"));
                    }
                    let id = ClientId::try_from(integer(number)?).ok();
                    let id = id.filter(|id| ctx.server.clients.get(*id).is_some());
                    let missing = Error::text("ERR The client ID you want redirect to does not exist");
                    options.redirect = Some(id.ok_or(missing)?);
                }
                _ if flag(word, "PREFIX") => options.prefixes.push(words.next().ok_or(Error::SYNTAX)?),
                _ if flag(word, "BCAST") => options.broadcast = true,
                _ if flag(word, "OPTIN") => options.opt_in = true,
                _ if flag(word, "OPTOUT") => options.opt_out = true,
                _ if flag(word, "NOLOOP") => options.no_loop = true,
                _ => return Err(Error::SYNTAX),
            }
        }
        Ok(options)
    }

    fn mode(&self) -> TrackingMode {
        match (self.broadcast, self.opt_in, self.opt_out) {
            (true, ..) => TrackingMode::Broadcast,
            (_, true, _) => TrackingMode::OptIn,
            (_, _, true) => TrackingMode::OptOut,
            _ => TrackingMode::Read,
        }
    }

    /// Whether the options go together, and with what the client has chosen before.
    fn check(&self, before: Option<&Tracker>) -> Result<()> {
        let was = |mode| before.is_some_and(|tracker| tracker.mode == mode);
        let text = if !self.broadcast && !self.prefixes.is_empty() {
            "ERR PREFIX option requires BCAST mode to be enabled"
        } else if before.is_some() && was(TrackingMode::Broadcast) != self.broadcast {
            "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling \
             it with a different mode."
        } else if self.broadcast && (self.opt_in || self.opt_out) {
            "ERR OPTIN and OPTOUT are not compatible with BCAST"
        } else if self.opt_in && self.opt_out {
            "ERR You can't specify both OPTIN mode and OPTOUT mode"
        } else if self.opt_in && was(TrackingMode::OptOut) || self.opt_out && was(TrackingMode::OptIn) {
            "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling \
             it with a different mode."
        } else {
            return self.check_prefixes(before);
        };
        Err(Error::text(text))
    }

    fn check_prefixes(&self, before: Option<&Tracker>) -> Result<()> {
        let overlaps = |one: &[u8], other: &[u8]| one.starts_with(other) || other.starts_with(one);
        let refuse = |prefix: &[u8], what: &str, other: &[u8]| {
            let [prefix, other] = [prefix, other].map(String::from_utf8_lossy);
            Err(Error::from(format!(
                "ERR Prefix '{prefix}' overlaps with {what} prefix '{other}'. Prefixes for a single client must not \
                 overlap."
            )))
        };
        let existing = before.map(|tracker| &tracker.prefixes);
        if self.prefixes.len() + existing.map_or(0, BTreeSet::len) > MAX_PREFIXES {
            return Err(Error::text("ERR too many prefixes for a single client"));
        }
        for (place, prefix) in self.prefixes.iter().enumerate() {
            if let Some(other) = existing.into_iter().flatten().find(|other| overlaps(prefix, other)) {
                return refuse(prefix, "an existing", other);
            }
            if let Some(other) = self.prefixes[place + 1..].iter().find(|other| overlaps(prefix, other)) {
                return refuse(prefix, "another provided", other);
            }
        }
        Ok(())
    }

    fn into_tracker(self) -> Tracker {
        let mode = self.mode();
        let mut prefixes: BTreeSet<Vec<u8>> = self.prefixes.iter().map(|prefix| prefix.to_vec()).collect();
        if mode == TrackingMode::Broadcast && prefixes.is_empty() {
            prefixes.insert(Vec::new());
        }
        Tracker { mode, no_loop: self.no_loop, redirect: self.redirect, prefixes, ..Tracker::default() }
    }
}

fn tracking(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let options = Options::parse(ctx, &args[3..])?;
    if flag(args[2], "ON") {
        options.check(ctx.server.tracking.get(ctx.session.id))?;
        ctx.server.tracking.start(ctx.session.id, options.into_tracker());
        ctx.keyspace.observe(true);
    } else if flag(args[2], "OFF") {
        stop(ctx);
    } else {
        return Err(Error::SYNTAX);
    }
    Ok(Reply::OK)
}

/// Stops telling the client anything.
pub(in crate::command) fn stop(ctx: &mut Context<'_>) {
    ctx.server.tracking.stop(ctx.session.id);
    ctx.keyspace.observe(!ctx.server.tracking.is_idle());
}

fn caching(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let Some(tracker) = ctx.server.tracking.get_mut(ctx.session.id) else {
        return Err(Error::text(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode \
             enabled",
        ));
    };
    match args[2] {
        word if flag(word, "YES") && tracker.mode != TrackingMode::OptIn => {
            Err(Error::text("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."))
        }
        word if flag(word, "NO") && tracker.mode != TrackingMode::OptOut => {
            Err(Error::text("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."))
        }
        word if flag(word, "YES") || flag(word, "NO") => {
            tracker.caching = true;
            Ok(Reply::OK)
        }
        _ => Err(Error::SYNTAX),
    }
}

/// The number of the client that is told in place of this one: 0 if none, -1 if nobody is told.
pub(super) fn redirect_of(tracker: Option<&Tracker>) -> i64 {
    tracker.map_or(-1, |tracker| tracker.redirect.map_or(0, |id| id as i64))
}

fn redirection(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    Ok(Reply::Integer(redirect_of(ctx.server.tracking.get(ctx.session.id))))
}

fn info(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    let tracker = ctx.server.tracking.get(ctx.session.id);
    let flags = tracker.map_or(vec!["off"], |tracker| {
        let (mode, caching) = match tracker.mode {
            TrackingMode::Read => (None, None),
            TrackingMode::OptIn => (Some("optin"), Some("caching-yes")),
            TrackingMode::OptOut => (Some("optout"), Some("caching-no")),
            TrackingMode::Broadcast => (Some("bcast"), None),
        };
        let caching = caching.filter(|_| tracker.caching);
        let no_loop = tracker.no_loop.then_some("noloop");
        let broken = tracker.is_broken.then_some("broken_redirect");
        [Some("on"), mode, caching, no_loop, broken].into_iter().flatten().collect()
    });
    Ok(Reply::fields([
        ("flags", Reply::Set(flags.into_iter().map(Reply::text).collect())),
        ("redirect", Reply::Integer(redirect_of(tracker))),
        ("prefixes", Reply::list(tracker.map(|tracker| &tracker.prefixes).into_iter().flatten())),
    ]))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::Fixture;
    use super::*;

    #[test]
    fn options_that_do_not_go_together_are_refused() {
        let switch =
            "before disabling tracking for this client, and then re-enabling it with a different mode.";
        Fixture::new().check(&[
            ("CLIENT TRACKING maybe", "-ERR syntax error"),
            ("CLIENT TRACKING ON all", "-ERR syntax error"),
            ("CLIENT TRACKING ON REDIRECT", "-ERR syntax error"),
            ("CLIENT TRACKING ON PREFIX", "-ERR syntax error"),
            ("CLIENT TRACKING ON REDIRECT x", "-ERR value is not an integer or out of range"),
            ("CLIENT TRACKING ON REDIRECT 7", "-ERR The client ID you want redirect to does not exist"),
            ("CLIENT TRACKING ON PREFIX a", "-ERR PREFIX option requires BCAST mode to be enabled"),
            ("CLIENT TRACKING ON BCAST OPTIN", "-ERR OPTIN and OPTOUT are not compatible with BCAST"),
            ("CLIENT TRACKING ON OPTIN OPTOUT", "-ERR You can't specify both OPTIN mode and OPTOUT mode"),
            ("CLIENT TRACKING ON OPTIN", "+OK"),
            ("CLIENT TRACKING ON OPTOUT", &format!("-ERR You can't switch OPTIN/OPTOUT mode {switch}")),
            ("CLIENT TRACKING ON BCAST", &format!("-ERR You can't switch BCAST mode on/off {switch}")),
            ("CLIENT TRACKING OFF", "+OK"),
            (
                "CLIENT TRACKING ON BCAST PREFIX foo PREFIX fo",
                "-ERR Prefix 'foo' overlaps with another provided prefix 'fo'. Prefixes for a single client must not \
                 overlap.",
            ),
            ("CLIENT TRACKING ON BCAST PREFIX foo", "+OK"),
            (
                "CLIENT TRACKING ON BCAST PREFIX foobar",
                "-ERR Prefix 'foobar' overlaps with an existing prefix 'foo'. Prefixes for a single client must not \
                 overlap.",
            ),
            ("CLIENT TRACKING ON BCAST PREFIX bar", "+OK"),
            ("CLIENT TRACKINGINFO", "{$flags: [$on $bcast], $redirect: :0, $prefixes: [$bar $foo]}"),
        ]);
    }

    #[test]
    fn a_client_has_no_more_prefixes_than_it_may() {
        let prefixes = |from: usize, to: usize| {
            let prefixes: Vec<String> = (from..to).map(|number| format!(" PREFIX {number:04}")).collect();
            prefixes.concat()
        };
        let mut fixture = Fixture::new();
        fixture.check(&[
            (&format!("CLIENT TRACKING ON BCAST{}", prefixes(0, MAX_PREFIXES)), "+OK"),
            (
                &format!("CLIENT TRACKING ON BCAST{}", prefixes(MAX_PREFIXES, MAX_PREFIXES + 1)),
                "-ERR too many prefixes for a single client",
            ),
        ]);
    }

    #[test]
    fn caching_is_said_in_the_mode_that_asks_for_it() {
        let mut fixture = Fixture::new();
        fixture.check(&[
            (
                "CLIENT CACHING YES",
                "-ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT \
                 mode enabled",
            ),
            ("CLIENT TRACKING ON OPTOUT NOLOOP", "+OK"),
            (
                "CLIENT CACHING YES",
                "-ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
            ),
            ("CLIENT CACHING maybe", "-ERR syntax error"),
            ("CLIENT CACHING NO", "+OK"),
            (
                "CLIENT TRACKINGINFO",
                "{$flags: [$on $optout $caching-no $noloop], $redirect: :0, $prefixes: []}",
            ),
            ("CLIENT TRACKING OFF", "+OK"),
            ("CLIENT TRACKINGINFO", "{$flags: [$off], $redirect: :-1, $prefixes: []}"),
            ("CLIENT GETREDIR", ":-1"),
            ("CLIENT TRACKING ON OPTIN", "+OK"),
            (
                "CLIENT CACHING NO",
                "-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
            ),
            ("CLIENT CACHING YES", "+OK"),
            ("CLIENT GETREDIR", ":0"),
            ("RESET", "+RESET"),
        ]);
        assert!(fixture.server.tracking.is_idle(), "RESET ends it");
    }
}
