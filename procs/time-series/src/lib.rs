//! A time series. Readings are entries of a stream `readings:<sensor>`; a trigger sums them up by minutes in the hash
//! `minutes:<sensor>` and lets old readings go.

#![no_std]

#[cfg(not(target_arch = "wasm32"))]
pub mod scenarios;

use kvasm_sdk::prelude::*;

/// What precedes the sensor in the key of its stream, and of its hash.
const READINGS: &[u8] = b"readings:";
const MINUTES: &[u8] = b"minutes:";
/// Readings that are kept as they are.
const RECENT: usize = 1000;
const MINUTE_MS: u64 = 60_000;

/// What is known of a minute: text such as `3 600 150 250` in its field.
struct Minute {
    count: u32,
    sum: i64,
    least: i32,
    most: i32,
}

/// Sums up the entries that an `XADD` has added. One that is no reading is refused, and with it the command.
#[trigger(on = "xadd", keys = "readings:*")]
pub fn downsample(db: &mut Db, event: &Event) -> Result<()> {
    let minutes = minutes_key(event.key().strip_prefix(READINGS).unwrap_or_default());
    for id in event.elements() {
        // It may be gone: the command may have trimmed the stream as well.
        let Some(entry) = db.stream(event.key()).get(StreamId::parse(id)?)? else { continue };
        let value = entry.get("value").ok_or("READING has no value")?;
        let value = core::str::from_utf8(value)?.parse()?;
        let field = entry.id.ms / MINUTE_MS;
        let before = db.hash(&minutes).get(field)?;
        let minute = Minute::parse(before.as_deref())?.with(value);
        db.hash_mut(&minutes).set(field, minute.to_text())?;
    }
    db.stream_mut(event.key()).trim_to(RECENT)?;
    Ok(())
}

/// Of each minute, in order: its number since 1970, how many readings it had, the least, the average, the most.
/// `FCALL_RO minutes 0 oven`
#[procedure]
pub fn minutes(db: &Db, sensor: &[u8]) -> Result<Vec<Reply>> {
    let mut minutes = Vec::new();
    for (number, text) in db.hash(&minutes_key(sensor)).iter()? {
        let number: u64 = core::str::from_utf8(&number)?.parse()?;
        minutes.push((number, Minute::parse(Some(&text))?));
    }
    minutes.sort_by_key(|(number, _)| *number);
    let reply = |(number, minute): (u64, Minute)| {
        let average = minute.sum as f64 / f64::from(minute.count);
        (number, minute.count, minute.least, average, minute.most).into_reply()
    };
    minutes.into_iter().map(reply).collect()
}

fn minutes_key(sensor: &[u8]) -> Vec<u8> {
    [MINUTES, sensor].concat()
}

impl Minute {
    fn parse(text: Option<&[u8]>) -> Result<Self> {
        let Some(text) = text else {
            return Ok(Self { count: 0, sum: 0, least: i32::MAX, most: i32::MIN });
        };
        let mut words = core::str::from_utf8(text)?.split(' ');
        let mut word = || words.next().ok_or("MINUTE is not what the trigger wrote");
        Ok(Self {
            count: word()?.parse()?,
            sum: word()?.parse()?,
            least: word()?.parse()?,
            most: word()?.parse()?,
        })
    }

    fn with(self, value: i32) -> Self {
        Self {
            count: self.count.saturating_add(1),
            sum: self.sum.saturating_add(value.into()),
            least: self.least.min(value),
            most: self.most.max(value),
        }
    }

    fn to_text(&self) -> String {
        format!("{} {} {} {}", self.count, self.sum, self.least, self.most)
    }
}
