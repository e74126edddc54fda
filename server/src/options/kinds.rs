//! How the values of options are read from text and printed; error texts are those of Redis 7.

use std::fmt::Display;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr};

use super::values::{BindAddress, BufferLimit, ClientOutputBufferLimits, Named, OutputClass};
use super::{GIB, KIB, MIB};
use crate::keyspace::EventClasses;

/// A kind of value.
pub(super) trait Kind {
    /// The type of the option's field.
    type Value;
    /// Whether a value may be several words.
    const IS_LIST: bool = false;
    /// Reads a value; `present` is the one before, for kinds of which a part can be set.
    fn parse(&self, text: &str, present: &Self::Value) -> Result<Self::Value, String>;
    /// Prints a value so that `parse` reads it.
    fn print(&self, value: &Self::Value) -> String;
    /// Prints a value for people, still so that `parse` reads it.
    fn show(&self, value: &Self::Value) -> String {
        self.print(value)
    }
    /// Describes what `parse` takes.
    fn accepts(&self) -> String;
}

/// An integer from `min` to `max`.
pub(super) struct Integer<T> {
    min: T,
    max: T,
}

impl<T> Integer<T> {
    pub(super) const fn new(min: T, max: T) -> Self {
        Self { min, max }
    }
}

impl<T: Copy + Display + PartialOrd + TryFrom<i64>> Kind for Integer<T> {
    type Value = T;

    fn parse(&self, text: &str, _: &T) -> Result<T, String> {
        let value: i64 = text.parse().map_err(|_| not_an_integer())?;
        // Redis reads only the form that it prints: no `+1`, no `01`.
        if value.to_string() != text {
            return Err(not_an_integer());
        }
        T::try_from(value)
            .ok()
            .filter(|value| (self.min..=self.max).contains(value))
            .ok_or_else(|| out_of_range(self.min, self.max))
    }

    fn print(&self, value: &T) -> String {
        value.to_string()
    }

    fn accepts(&self) -> String {
        format!("{} to {}", self.min, self.max)
    }
}

/// An integer that is taken as the nearest one from `min` to `max`.
pub(super) struct Clamped {
    pub min: u32,
    pub max: u32,
}

impl Kind for Clamped {
    type Value = u32;

    fn parse(&self, text: &str, present: &u32) -> Result<u32, String> {
        let value = Integer::new(0, i32::MAX as u32).parse(text, present)?;
        Ok(value.clamp(self.min, self.max))
    }

    fn print(&self, value: &u32) -> String {
        value.to_string()
    }

    fn accepts(&self) -> String {
        format!("{} to {}", self.min, self.max)
    }
}

fn not_an_integer() -> String {
    "argument couldn't be parsed into an integer".to_owned()
}

fn out_of_range(min: impl Display, max: impl Display) -> String {
    format!("argument must be between {min} and {max} inclusive")
}

/// A number of bytes from `min` to `max`, with an optional unit.
pub(super) struct Size {
    min: u64,
    max: u64,
}

/// Units of sizes; those that `show` uses come first, the biggest before the smaller ones.
const UNITS: [(&str, u64); 8] = [
    ("gb", GIB),
    ("mb", MIB),
    ("kb", KIB),
    ("", 1),
    ("b", 1),
    ("k", 1000),
    ("m", 1_000_000),
    ("g", 1_000_000_000),
];

impl Size {
    pub(super) const fn new(min: u64, max: u64) -> Self {
        Self { min, max }
    }
}

/// Reads `64mb`, `1000`, `1K`; `None` if it is no size or does not fit.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn show_size(bytes: u64) -> String {
    let (unit, factor) = UNITS
        .iter()
        .find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor))
        .unwrap_or(&("", 1));
    format!("{}{unit}", bytes / factor)
}

impl Kind for Size {
    type Value = u64;

    fn parse(&self, text: &str, _: &u64) -> Result<u64, String> {
        let bytes = parse_size(text).ok_or("argument must be a memory value")?;
        if (self.min..=self.max).contains(&bytes) { Ok(bytes) } else { Err(out_of_range(self.min, self.max)) }
    }

    fn print(&self, value: &u64) -> String {
        value.to_string()
    }

    fn show(&self, value: &u64) -> String {
        show_size(*value)
    }

    fn accepts(&self) -> String {
        // The widest bounds say no more than that it is a size.
        match (self.min, self.max) {
            (0, max) if max >= super::MAX => "size".to_owned(),
            (min, max) if max >= super::MAX => format!("size, at least {}", show_size(min)),
            (min, max) => format!("size, {} to {}", show_size(min), show_size(max)),
        }
    }
}

/// One of the names of an enum.
pub(super) struct Choice<T>(PhantomData<T>);

impl<T> Choice<T> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Named> Choice<T> {
    fn names() -> String {
        T::NAMES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}

impl<T: Named> Kind for Choice<T> {
    type Value = T;

    fn parse(&self, text: &str, _: &T) -> Result<T, String> {
        T::NAMES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
            .map(|(_, value)| *value)
            .ok_or_else(|| format!("argument(s) must be one of the following: {}", Self::names()))
    }

    fn print(&self, value: &T) -> String {
        value.name().to_owned()
    }

    fn accepts(&self) -> String {
        Self::names()
    }
}

/// `yes` or `no`.
pub(super) struct YesNo;

impl Kind for YesNo {
    type Value = bool;

    fn parse(&self, text: &str, _: &bool) -> Result<bool, String> {
        match text {
            _ if text.eq_ignore_ascii_case("yes") => Ok(true),
            _ if text.eq_ignore_ascii_case("no") => Ok(false),
            _ => Err("argument must be 'yes' or 'no'".to_owned()),
        }
    }

    fn print(&self, value: &bool) -> String {
        if *value { "yes" } else { "no" }.to_owned()
    }

    fn accepts(&self) -> String {
        "yes or no".to_owned()
    }
}

/// Numbers from 0 to 100, or none.
pub(super) struct Percentiles;

impl Kind for Percentiles {
    type Value = Vec<f64>;
    const IS_LIST: bool = true;

    fn parse(&self, text: &str, _: &Vec<f64>) -> Result<Vec<f64>, String> {
        let read = |word: &str| {
            let number: f64 =
                word.parse().map_err(|_| "Invalid latency-tracking-info-percentiles parameters")?;
            let is_within = (0.0..=100.0).contains(&number);
            is_within
                .then_some(number)
                .ok_or("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
        };
        let numbers: Result<Vec<f64>, &str> = text.split_ascii_whitespace().map(read).collect();
        numbers.map_err(str::to_owned)
    }

    fn print(&self, value: &Vec<f64>) -> String {
        value.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    fn accepts(&self) -> String {
        "numbers from 0 to 100".to_owned()
    }
}

/// Any text, the empty one included.
pub(super) struct Text;

impl Kind for Text {
    type Value = String;

    fn parse(&self, text: &str, _: &String) -> Result<String, String> {
        // It becomes a path or a line of the configuration file.
        if text.contains('\0') {
            Err("argument must not contain a zero byte".to_owned())
        } else {
            Ok(text.to_owned())
        }
    }

    fn print(&self, value: &String) -> String {
        value.clone()
    }

    fn accepts(&self) -> String {
        "text".to_owned()
    }
}

/// IP addresses with spaces between them; `*` is every IPv4 address of the machine.
pub(super) struct Addresses;

impl Kind for Addresses {
    type Value = Vec<BindAddress>;
    const IS_LIST: bool = true;

    fn parse(&self, text: &str, _: &Vec<BindAddress>) -> Result<Vec<BindAddress>, String> {
        let parse = |word: &str| {
            let (is_optional, address) = word.strip_prefix('-').map_or((false, word), |rest| (true, rest));
            let ip = match address {
                "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                _ => address.parse().map_err(|_| format!("'{word}' is not an IP address"))?,
            };
            Ok(BindAddress { ip, is_optional })
        };
        let addresses = text.split_ascii_whitespace().map(parse).collect::<Result<Vec<_>, String>>()?;
        if addresses.is_empty() { Err("at least one IP address is needed".to_owned()) } else { Ok(addresses) }
    }

    fn print(&self, value: &Vec<BindAddress>) -> String {
        value.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    fn accepts(&self) -> String {
        "IP addresses, or * for every IPv4 address of the machine; with - in front one that it may lack"
            .to_owned()
    }
}

/// Letters of classes of keyspace events.
pub(super) struct Flags;

impl Kind for Flags {
    type Value = EventClasses;

    fn parse(&self, text: &str, _: &EventClasses) -> Result<EventClasses, String> {
        EventClasses::parse(text)
            .ok_or_else(|| "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".to_owned())
    }

    fn print(&self, value: &EventClasses) -> String {
        value.to_string()
    }

    fn accepts(&self) -> String {
        "letters of KEg$lshzxetdmnA".to_owned()
    }
}

/// `class hard soft seconds`, once or several times; classes that are not named keep their limits.
pub(super) struct OutputLimits;

impl Kind for OutputLimits {
    type Value = ClientOutputBufferLimits;
    const IS_LIST: bool = true;

    fn parse(
        &self,
        text: &str,
        present: &ClientOutputBufferLimits,
    ) -> Result<ClientOutputBufferLimits, String> {
        let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
        let (groups, rest) = words.as_chunks::<4>();
        if !rest.is_empty() {
            return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
        }
        let mut limits = *present;
        for [class, hard, soft, seconds] in groups {
            let class = OutputClass::parse(class)
                .ok_or("Invalid client class specified in buffer limit configuration.")?;
            let limit = parse_size(hard)
                .zip(parse_size(soft))
                .zip(seconds.parse().ok())
                .map(|((hard_bytes, soft_bytes), soft_s)| BufferLimit { hard_bytes, soft_bytes, soft_s })
                .ok_or("Error in hard, soft or soft_seconds setting in buffer limit configuration.")?;
            limits[class] = limit;
        }
        Ok(limits)
    }

    fn print(&self, value: &ClientOutputBufferLimits) -> String {
        print_limits(value, |bytes| bytes.to_string())
    }

    fn show(&self, value: &ClientOutputBufferLimits) -> String {
        print_limits(value, show_size)
    }

    fn accepts(&self) -> String {
        "`class hard soft seconds`, for one or more classes".to_owned()
    }
}

fn print_limits(limits: &ClientOutputBufferLimits, size: impl Fn(u64) -> String) -> String {
    let print = |class: &OutputClass| {
        let limit = limits[*class];
        format!("{} {} {} {}", class.name(), size(limit.hard_bytes), size(limit.soft_bytes), limit.soft_s)
    };
    OutputClass::ALL.iter().map(print).collect::<Vec<_>>().join(" ")
}

/// An option of Redis that has one value here.
pub(super) struct OnlyValue(pub(super) &'static str);

impl Kind for OnlyValue {
    type Value = ();
    const IS_LIST: bool = true;

    fn parse(&self, text: &str, (): &()) -> Result<(), String> {
        if text.eq_ignore_ascii_case(self.0) {
            Ok(())
        } else {
            Err(format!("argument must be '{}' in kvasm", self.0))
        }
    }

    fn print(&self, (): &()) -> String {
        self.0.to_owned()
    }

    fn accepts(&self) -> String {
        if self.0.is_empty() { "the empty text only".to_owned() } else { format!("{} only", self.0) }
    }
}
