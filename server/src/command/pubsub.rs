//! Publish/subscribe. A message waits for its transaction to commit; the engine then delivers it.

use super::help::{help, wrong_arguments};
use super::{Command, Context, Error, Flags, Group, Result};
use crate::keyspace::Keyspace;
use crate::protocol::Reply;
use crate::state::{Message, SubscriptionKind};
use crate::types::glob;

const SUBSCRIBE: &[Flags] =
    &[Flags::PUBSUB, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::WHILE_SUBSCRIBED];
const INQUIRE: &[Flags] = &[Flags::PUBSUB, Flags::LOADING, Flags::STALE, Flags::ABOUT_SERVER];

/// The rows of this file.
pub const COMMANDS: &[Command] = &[
    Command::new("subscribe", -2, subscribe).flags(SUBSCRIBE).docs(
        Group::PubSub,
        "2.0.0",
        "O(N) where N is the number of channels",
        "Subscribes to channels.",
        "channel [channel ...]",
    ),
    Command::new("unsubscribe", -1, unsubscribe).flags(SUBSCRIBE).docs(
        Group::PubSub,
        "2.0.0",
        "O(N) where N is the number of channels",
        "Unsubscribes from channels; from all, if none is named.",
        "[channel [channel ...]]",
    ),
    Command::new("psubscribe", -2, psubscribe).flags(SUBSCRIBE).docs(
        Group::PubSub,
        "2.0.0",
        "O(N) where N is the number of patterns",
        "Subscribes to all channels that match a pattern.",
        "pattern [pattern ...]",
    ),
    Command::new("punsubscribe", -1, punsubscribe).flags(SUBSCRIBE).docs(
        Group::PubSub,
        "2.0.0",
        "O(N) where N is the number of patterns",
        "Unsubscribes from patterns; from all, if none is named.",
        "[pattern [pattern ...]]",
    ),
    Command::new("publish", 3, publish)
        .flags(&[Flags::PUBSUB, Flags::LOADING, Flags::STALE, Flags::FAST, Flags::MAY_REPLICATE])
        .docs(
            Group::PubSub,
            "2.0.0",
            "O(N+M) where N is the number of clients that listen to the channel and M is the number of patterns",
            "Sends a message to all subscribers of a channel, and returns how many they are.",
            "channel message",
        ),
    Command::container("pubsub", PUBSUB).docs(
        Group::PubSub,
        "2.8.0",
        "Depends on the subcommand",
        "Tells about channels and their subscribers.",
        "",
    ),
];

const PUBSUB: &[Command] = &[
    Command::new("channels", -2, channels).flags(INQUIRE).docs(
        Group::PubSub,
        "2.8.0",
        "O(N) where N is the number of channels",
        "Returns the channels that have subscribers and match the pattern.",
        "[pattern]",
    ),
    Command::new("numpat", 2, pattern_count).flags(INQUIRE).docs(
        Group::PubSub,
        "2.8.0",
        "O(1)",
        "Returns how many different patterns have subscribers.",
        "",
    ),
    Command::new("numsub", -2, subscriber_counts).flags(INQUIRE).docs(
        Group::PubSub,
        "2.8.0",
        "O(N) where N is the number of channels",
        "Returns how many subscribers each channel has, those by pattern not counted.",
        "[channel [channel ...]]",
    ),
    Command::new("shardchannels", -2, shard_channels).flags(INQUIRE).docs(
        Group::PubSub,
        "7.0.0",
        "O(1)",
        "Returns an empty array, because there are no shard channels without a cluster.",
        "[pattern]",
    ),
    Command::new("shardnumsub", -2, shard_subscriber_counts).flags(INQUIRE).docs(
        Group::PubSub,
        "7.0.0",
        "O(N) where N is the number of channels",
        "Returns 0 for each channel, because there are no shard channels without a cluster.",
        "[shardchannel [shardchannel ...]]",
    ),
    help(Group::PubSub, "6.2.0"),
];

fn subscribe(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    add(ctx, SubscriptionKind::Channel, "subscribe", &args[1..])
}

fn unsubscribe(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    Ok(remove(ctx, SubscriptionKind::Channel, "unsubscribe", &args[1..]))
}

fn psubscribe(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    add(ctx, SubscriptionKind::Pattern, "psubscribe", &args[1..])
}

fn punsubscribe(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    Ok(remove(ctx, SubscriptionKind::Pattern, "punsubscribe", &args[1..]))
}

fn add(ctx: &mut Context<'_>, kind: SubscriptionKind, word: &'static str, names: &[&[u8]]) -> Result {
    let Some(mailbox) = ctx.mailbox else {
        return Err(Error::text("ERR Only a connection can subscribe"));
    };
    let confirmations = names.iter().map(|name| {
        ctx.server.pubsub.subscribe(kind, ctx.session.id, mailbox, name);
        confirm(ctx, word, Reply::bytes(name))
    });
    Ok(Reply::Sequence(confirmations.collect()))
}

fn remove(ctx: &mut Context<'_>, kind: SubscriptionKind, word: &'static str, names: &[&[u8]]) -> Reply {
    let id = ctx.session.id;
    let names = if names.is_empty() {
        ctx.server.pubsub.subscriptions(kind, id)
    } else {
        names.iter().map(|name| name.to_vec()).collect()
    };
    if names.is_empty() {
        return Reply::Sequence(vec![confirm(ctx, word, Reply::Null)]);
    }
    let confirmations = names.into_iter().map(|name| {
        ctx.server.pubsub.unsubscribe(kind, id, &name);
        confirm(ctx, word, Reply::Bytes(name))
    });
    Reply::Sequence(confirmations.collect())
}

/// The push message that answers one change of subscriptions, and the session's counts brought in step.
fn confirm(ctx: &mut Context<'_>, word: &'static str, name: Reply) -> Reply {
    let session = &mut *ctx.session;
    (session.channels, session.patterns) = ctx.server.pubsub.counts(session.id);
    Reply::Push(vec![Reply::text(word), name, (session.channels + session.patterns).into()])
}

fn publish(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let receivers = ctx.server.pubsub.receivers(args[1]);
    if receivers > 0 {
        note_message(ctx.keyspace, ctx.messages, args[1], args[2]);
    }
    Ok(receivers.into())
}

/// Keeps a message until its transaction commits, behind the events that there have been.
pub fn note_message(keyspace: &Keyspace, messages: &mut Vec<Message>, channel: &[u8], payload: &[u8]) {
    let after_events = keyspace.journal().events().len();
    messages.push(Message { channel: channel.to_vec(), payload: payload.to_vec(), after_events });
}

fn channels(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let pattern = optional_pattern(args)?;
    let names = ctx.server.pubsub.channels().map(|(name, _)| name);
    Ok(Reply::list(names.filter(|name| pattern.is_none_or(|pattern| glob::matches(pattern, name)))))
}

/// The pattern of `CHANNELS` and `SHARDCHANNELS`.
fn optional_pattern<'a>(args: &[&'a [u8]]) -> Result<Option<&'a [u8]>> {
    if args.len() > 3 {
        return Err(wrong_arguments(args));
    }
    Ok(args.get(2).copied())
}

fn pattern_count(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    Ok(ctx.server.pubsub.pattern_count().into())
}

fn subscriber_counts(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    Ok(counts(args, |name| ctx.server.pubsub.subscribers(name)))
}

fn shard_channels(_: &mut Context<'_>, args: &[&[u8]]) -> Result {
    optional_pattern(args)?;
    Ok(Reply::Array(Vec::new()))
}

fn shard_subscriber_counts(_: &mut Context<'_>, args: &[&[u8]]) -> Result {
    Ok(counts(args, |_| 0))
}

fn counts(args: &[&[u8]], of: impl Fn(&[u8]) -> usize) -> Reply {
    Reply::Array(args[2..].iter().flat_map(|name| [Reply::bytes(name), of(name).into()]).collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;

    #[test]
    fn each_change_of_subscriptions_is_confirmed_with_their_number() {
        let mut fixture = Fixture::new();
        fixture.check(&[
            ("UNSUBSCRIBE", "[[$unsubscribe nil :0]]"),
            ("UNSUBSCRIBE a", "[[$unsubscribe $a :0]]"),
            ("SUBSCRIBE a a b", "[[$subscribe $a :1] [$subscribe $a :1] [$subscribe $b :2]]"),
            ("PSUBSCRIBE a*", "[[$psubscribe $a* :3]]"),
            ("UNSUBSCRIBE", "[[$unsubscribe $a :2] [$unsubscribe $b :1]]"),
            ("UNSUBSCRIBE", "[[$unsubscribe nil :1]]"),
            ("PUNSUBSCRIBE x a*", "[[$punsubscribe $x :1] [$punsubscribe $a* :0]]"),
        ]);
        assert!(!fixture.session.is_subscriber());
    }

    #[test]
    fn a_message_waits_for_its_transaction_and_tells_how_many_will_get_it() {
        let mut fixture = Fixture::new();
        fixture.check(&[
            ("PUBLISH abc x", ":0"),
            ("SUBSCRIBE abc", "[[$subscribe $abc :1]]"),
            ("PSUBSCRIBE a* *c x", "[[$psubscribe $a* :2] [$psubscribe $*c :3] [$psubscribe $x :4]]"),
            ("PUBLISH abc hello", ":3"),
        ]);
        assert!(fixture.mailbox.is_empty(), "it is not delivered yet");
        let messages = std::mem::take(&mut fixture.messages);
        assert_eq!(messages.len(), 1, "nobody listened to the first");
        fixture.server.pubsub.deliver(&messages[0].channel, &messages[0].payload);
        assert_eq!(fixture.mailbox.len(), 3);
    }

    #[test]
    fn channels_and_their_subscribers_are_told() {
        let mut fixture = Fixture::new();
        fixture.run("SUBSCRIBE abc b");
        fixture.run("PSUBSCRIBE *");
        fixture.check(&[
            ("PUBSUB CHANNELS", "[$abc $b]"),
            ("PUBSUB CHANNELS a*", "[$abc]"),
            (
                "PUBSUB CHANNELS a b",
                "-ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP.",
            ),
            ("PUBSUB NUMSUB abc c", "[$abc :1 $c :0]"),
            ("PUBSUB NUMSUB", "[]"),
            ("PUBSUB NUMPAT", ":1"),
            ("PUBSUB SHARDCHANNELS", "[]"),
            ("PUBSUB SHARDNUMSUB abc", "[$abc :0]"),
        ]);
    }
}
