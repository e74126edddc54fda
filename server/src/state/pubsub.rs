//! Channels, patterns and who is subscribed to them.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::{ClientId, Mailbox};
use crate::protocol::Reply;
use crate::types::{StringValue, glob};

/// A message that waits for its transaction to commit.
#[derive(Clone, Debug)]
pub struct Message {
    /// Where it is published.
    pub channel: Vec<u8>,
    /// What it says.
    pub payload: Vec<u8>,
    /// How many events the transaction had raised before it, so that messages and notifications are sent in order.
    pub after_events: usize,
}

type Subscribers = BTreeMap<ClientId, Rc<Mailbox>>;

/// See the module's description.
#[derive(Debug, Default)]
pub struct PubSub {
    channels: BTreeMap<Vec<u8>, Subscribers>,
    patterns: BTreeMap<Vec<u8>, Subscribers>,
    by_client: BTreeMap<ClientId, Subscriptions>,
}

#[derive(Debug, Default)]
struct Subscriptions {
    channels: BTreeSet<Vec<u8>>,
    patterns: BTreeSet<Vec<u8>>,
}

/// The two kinds of subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To the channel with this name.
    Channel,
    /// To all channels that match a pattern.
    Pattern,
}

impl PubSub {
    /// Subscribes a client; `false` if it was subscribed already.
    pub fn subscribe(&mut self, kind: Kind, client: ClientId, mailbox: &Rc<Mailbox>, name: &[u8]) -> bool {
        let subscriptions = self.by_client.entry(client).or_default();
        let (all, own) = match kind {
            Kind::Channel => (&mut self.channels, &mut subscriptions.channels),
            Kind::Pattern => (&mut self.patterns, &mut subscriptions.patterns),
        };
        all.entry(name.to_vec()).or_default().insert(client, Rc::clone(mailbox));
        own.insert(name.to_vec())
    }

    /// Unsubscribes a client; `false` if it was not subscribed.
    pub fn unsubscribe(&mut self, kind: Kind, client: ClientId, name: &[u8]) -> bool {
        let Some(subscriptions) = self.by_client.get_mut(&client) else { return false };
        let (all, own) = match kind {
            Kind::Channel => (&mut self.channels, &mut subscriptions.channels),
            Kind::Pattern => (&mut self.patterns, &mut subscriptions.patterns),
        };
        if let Some(subscribers) = all.get_mut(name) {
            subscribers.remove(&client);
            if subscribers.is_empty() {
                all.remove(name);
            }
        }
        own.remove(name)
    }

    /// What a client is subscribed to.
    #[must_use]
    pub fn subscriptions(&self, kind: Kind, client: ClientId) -> Vec<Vec<u8>> {
        let of = |subscriptions: &Subscriptions| match kind {
            Kind::Channel => subscriptions.channels.iter().cloned().collect(),
            Kind::Pattern => subscriptions.patterns.iter().cloned().collect(),
        };
        self.by_client.get(&client).map(of).unwrap_or_default()
    }

    /// How many channels and patterns a client is subscribed to.
    #[must_use]
    pub fn counts(&self, client: ClientId) -> (usize, usize) {
        self.by_client.get(&client).map_or((0, 0), |own| (own.channels.len(), own.patterns.len()))
    }

    /// Forgets a client that has gone.
    pub fn remove(&mut self, client: ClientId) {
        for kind in [Kind::Channel, Kind::Pattern] {
            for name in self.subscriptions(kind, client) {
                self.unsubscribe(kind, client, &name);
            }
        }
        self.by_client.remove(&client);
    }

    /// How many subscriptions match a channel: a client counts once for each.
    #[must_use]
    pub fn receivers(&self, channel: &[u8]) -> usize {
        self.subscribers(channel)
            + self.matching(channel).map(|(_, subscribers)| subscribers.len()).sum::<usize>()
    }

    /// How many clients are subscribed to a channel by its name.
    #[must_use]
    pub fn subscribers(&self, channel: &[u8]) -> usize {
        self.channels.get(channel).map_or(0, BTreeMap::len)
    }

    /// Sends a message to all subscribers.
    pub fn deliver(&self, channel: &[u8], payload: &[u8]) {
        let bytes = channel.len() + payload.len();
        let channel_reply = Reply::Bulk(StringValue::raw(channel));
        let payload = Reply::Bulk(StringValue::raw(payload));
        if let Some(subscribers) = self.channels.get(channel) {
            for mailbox in subscribers.values() {
                let parts = vec![Reply::text("message"), channel_reply.clone(), payload.clone()];
                mailbox.post(Reply::Push(parts), bytes);
            }
        }
        for (pattern, subscribers) in self.matching(channel) {
            let pattern = Reply::Bulk(StringValue::raw(pattern));
            for mailbox in subscribers.values() {
                let parts =
                    [Reply::text("pmessage"), pattern.clone(), channel_reply.clone(), payload.clone()];
                let parts = parts.into();
                mailbox.post(Reply::Push(parts), bytes);
            }
        }
    }

    /// Whether nobody is subscribed to anything.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty()
    }

    /// The channels that have subscribers.
    pub fn channels(&self) -> impl Iterator<Item = (&[u8], usize)> {
        self.channels.iter().map(|(name, subscribers)| (name.borrow(), subscribers.len()))
    }

    /// How many different patterns there are.
    #[must_use]
    pub fn pattern_count(&self) -> usize {
        self.patterns.len()
    }

    fn matching<'a>(&'a self, channel: &'a [u8]) -> impl Iterator<Item = (&'a Vec<u8>, &'a Subscribers)> {
        self.patterns.iter().filter(|(pattern, _)| glob::matches(pattern, channel))
    }
}
