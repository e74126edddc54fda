//! `LATENCY`: what took long, and how long commands take.

mod graph;

use std::fmt::Write as _;

use super::help::help;
use super::table::ADMIN;
use super::{Command, Context, Group, Result, find_named, full_name};
use crate::protocol::Reply;
use crate::state::{LatencyHistogram, LatencySeries};

/// The rows of this file.
pub const COMMANDS: &[Command] = &[Command::container("latency", LATENCY).docs(
    Group::Server,
    "2.8.13",
    "Depends on the subcommand",
    "Tells what took long, and how long commands take.",
    "",
)];

const LATENCY: &[Command] = &[
    Command::new("doctor", 2, doctor).flags(ADMIN).docs(
        Group::Server,
        "2.8.13",
        "O(N) where N is the number of samples",
        "Tells what took long and what may help, in words.",
        "",
    ),
    Command::new("graph", 3, graph).flags(ADMIN).docs(
        Group::Server,
        "2.8.13",
        "O(N) where N is the number of samples",
        "Draws how long an event took.",
        "event",
    ),
    help(Group::Server, "2.8.13"),
    Command::new("histogram", -2, histogram).flags(ADMIN).docs(
        Group::Server,
        "7.0.0",
        "O(N) where N is the number of commands",
        "Returns how many calls of commands took how long, in microseconds that double.",
        "[command [command ...]]",
    ),
    Command::new("history", 3, history).flags(ADMIN).docs(
        Group::Server,
        "2.8.13",
        "O(N) where N is the number of samples",
        "Returns when an event was slow and how long it took: seconds of unix time and milliseconds.",
        "event",
    ),
    Command::new("latest", 2, latest).flags(ADMIN).docs(
        Group::Server,
        "2.8.13",
        "O(N) where N is the number of events",
        "Returns of each event its name, when it last took long, how long, and the longest ever, in milliseconds.",
        "",
    ),
    Command::new("reset", -2, reset).flags(ADMIN).docs(
        Group::Server,
        "2.8.13",
        "O(N) where N is the number of events",
        "Forgets events, or all of them; returns how many it forgot.",
        "[event [event ...]]",
    ),
];

fn latest(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    let events = ctx.server.latency.iter().filter_map(|(name, series)| {
        let last = series.samples().last()?;
        Some(Reply::Array(vec![
            Reply::text(name),
            last.time_s.into(),
            last.latency_ms.into(),
            series.max_ms.into(),
        ]))
    });
    Ok(Reply::Array(events.collect()))
}

fn history(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let found = ctx.server.latency.get(args[2]);
    let samples = found.into_iter().flat_map(|(_, series)| series.samples());
    let pairs = samples.map(|sample| {
        let pair = [sample.time_s, sample.latency_ms];
        Reply::Array(pair.map(Reply::from).into())
    });
    Ok(Reply::Array(pairs.collect()))
}

fn reset(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let monitor = &mut ctx.server.latency;
    let names: Vec<Vec<u8>> = match &args[2..] {
        [] => monitor.iter().map(|(name, _)| name.into()).collect(),
        names => names.iter().map(|name| name.to_vec()).collect(),
    };
    Ok(names.iter().filter(|name| monitor.reset(name)).count().into())
}

fn graph(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let Some((name, series)) = ctx.server.latency.get(args[2]) else {
        let name = String::from_utf8_lossy(args[2]);
        return Err(format!("ERR No samples available for event '{name}'").into());
    };
    Ok(Reply::Verbatim(graph::draw(name, series, ctx.keyspace.now_ms() / 1000)))
}

fn doctor(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    let threshold_ms = ctx.server.options.latency_monitor_threshold_ms;
    if threshold_ms == 0 {
        return Ok(Reply::Verbatim(
            "Nobody watches how long things take. CONFIG SET latency-monitor-threshold <milliseconds> starts that.\n"
                .to_owned(),
        ));
    }
    let mut report = String::new();
    for (name, series) in ctx.server.latency.iter() {
        describe(name, series, &mut report);
    }
    if report.is_empty() {
        report = format!("Nothing took as long as {threshold_ms} ms since this was asked or set.\n");
    }
    Ok(Reply::Verbatim(report))
}

fn describe(name: &str, series: &LatencySeries, report: &mut String) {
    let advice = match name {
        "command" => "SLOWLOG GET shows which commands took long; those on many elements or keys do.",
        "fast-command" => {
            "Commands that take constant time took long: the process did not get the processor, or memory is swapped."
        }
        "expire-cycle" => "Many keys ended at the same time; spreading their times to live helps.",
        _ => "The disk is slow, or shared with others; with appendfsync always, clients wait for it.",
    };
    let count = series.samples().len() as u64;
    let sum_ms: u64 = series.samples().map(|sample| sample.latency_ms).sum();
    // A String takes whatever is written to it.
    let _ = writeln!(
        report,
        "{name}: in {count} seconds, {} ms on average, {} ms at worst. {advice}",
        sum_ms / count.max(1),
        series.max_ms
    );
}

fn histogram(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let counted = &ctx.server.statistics.per_command;
    let places: Vec<usize> = match &args[2..] {
        [] => (0..counted.len()).collect(),
        names => names.iter().flat_map(|name| places_of(name)).collect(),
    };
    let called = places.into_iter().filter_map(|place| {
        let latency = &counted.get(place)?.latency;
        (latency.calls() > 0).then(|| (Reply::text(full_name(place)), describe_calls(latency)))
    });
    Ok(Reply::Map(called.collect()))
}

/// The places of a command and of its subcommands, or of one of these, written `config|get`.
fn places_of(name: &[u8]) -> Vec<usize> {
    let found = find_named(name);
    found.into_iter().flat_map(|found| found.place..=found.place + found.row.subcommands.len()).collect()
}

fn describe_calls(latency: &LatencyHistogram) -> Reply {
    let levels = latency.cumulative().into_iter();
    let levels = levels.map(|(us, calls)| (Reply::from(us), Reply::from(calls)));
    Reply::fields([("calls", latency.calls().into()), ("histogram_usec", Reply::Map(levels.collect()))])
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;

    #[test]
    fn events_are_told_and_forgotten() {
        let mut fixture = Fixture::new();
        for (event, time_s, latency_ms) in [("command", 7, 20), ("command", 9, 11), ("fast-command", 8, 12)] {
            fixture.server.latency.add(event, time_s, latency_ms, 10);
        }
        fixture.check(&[
            ("LATENCY LATEST", "[[$command :9 :11 :20] [$fast-command :8 :12 :12]]"),
            ("LATENCY HISTORY COMMAND", "[[:7 :20] [:9 :11]]"),
            ("LATENCY HISTORY fork", "[]"),
            ("LATENCY GRAPH fork", "-ERR No samples available for event 'fork'"),
            ("LATENCY RESET fork command", ":1"),
            ("LATENCY HISTORY command", "[]"),
            ("LATENCY RESET", ":1"),
            ("LATENCY LATEST", "[]"),
        ]);
    }

    #[test]
    fn calls_are_shown_by_the_names_of_commands_and_containers() {
        let mut fixture = Fixture::new();
        for name in ["config|get", "config|set", "set"] {
            let [place] = places_of(name.as_bytes())[..] else { panic!("{name} has one place") };
            let counted = fixture.server.statistics.command(place);
            counted.latency.add(500);
            counted.latency.add(5000);
        }
        let calls = "{$calls: :2, $histogram_usec: {:1: :1, :8: :2}}";
        fixture.check(&[
            ("LATENCY HISTOGRAM set get nope", &format!("{{$set: {calls}}}")),
            ("LATENCY HISTOGRAM config", &format!("{{$config|get: {calls}, $config|set: {calls}}}")),
            ("LATENCY HISTOGRAM config|set config|nope", &format!("{{$config|set: {calls}}}")),
            ("LATENCY HISTOGRAM", &format!("{{$set: {calls}, $config|get: {calls}, $config|set: {calls}}}")),
        ]);
    }

    #[test]
    fn the_doctor_says_what_is_known() {
        let mut fixture = Fixture::new();
        let says = |fixture: &mut Fixture, word: &str| {
            let Reply::Verbatim(report) = fixture.run("LATENCY DOCTOR") else { panic!("text") };
            assert!(report.contains(word) && report.ends_with('\n'), "{report}");
        };
        says(&mut fixture, "latency-monitor-threshold");
        fixture.server.options.latency_monitor_threshold_ms = 10;
        says(&mut fixture, "Nothing");
        for event in ["command", "fast-command", "expire-cycle", "log-commit"] {
            fixture.server.latency.add(event, 1, 20, 10);
            fixture.server.latency.add(event, 2, 40, 10);
            says(&mut fixture, &format!("{event}: in 2 seconds, 30 ms on average, 40 ms at worst."));
        }
    }
}
