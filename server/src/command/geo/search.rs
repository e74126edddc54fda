//! GEOSEARCH, GEORADIUS and their relatives.

use crate::command::sorted_set::{read, store};
use crate::command::{Command, Context, Error, Flags, Group, Result, flag, integer};
use crate::keyspace::{EventKind, events};
use crate::protocol::Reply;
use crate::types::geohash::{Area, Point};
use crate::types::{SharedItems, SortedSetValue, parse_float, scored};

use super::{distance_reply, point, point_reply, unit_m};

const COMPLEXITY: &str =
    "O(N+log(M)) where N is the number of members in a box around the area, and M inside of it";

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("georadius", -6, georadius).flags(&[Flags::WRITE, Flags::DENYOOM]).stored_keys(6).docs(
        Group::Geo,
        "3.2.0",
        COMPLEXITY,
        "Returns or stores the members within a distance of a place; use GEOSEARCH instead.",
        "key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] \
         [ASC | DESC] [STORE key] [STOREDIST key]",
    ),
    Command::new("georadius_ro", -6, georadius_ro).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::Geo,
        "3.2.10",
        COMPLEXITY,
        "Returns the members within a distance of a place; use GEOSEARCH instead.",
        "key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] \
         [ASC | DESC]",
    ),
    Command::new("georadiusbymember", -5, georadiusbymember)
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .stored_keys(5)
        .docs(
            Group::Geo,
            "3.2.0",
            COMPLEXITY,
            "Returns or stores the members within a distance of another; use GEOSEARCH instead.",
            "key member radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] \
             [ASC | DESC] [STORE key] [STOREDIST key]",
        ),
    Command::new("georadiusbymember_ro", -5, georadiusbymember_ro)
        .flags(&[Flags::READONLY])
        .keys(1, 1, 1)
        .docs(
            Group::Geo,
            "3.2.10",
            COMPLEXITY,
            "Returns the members within a distance of another; use GEOSEARCH instead.",
            "key member radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] \
             [ASC | DESC]",
        ),
    Command::new("geosearch", -7, geosearch).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::Geo,
        "6.2.0",
        COMPLEXITY,
        "Returns the members in a circle or a box around a place or a member.",
        "key <FROMMEMBER member | FROMLONLAT longitude latitude> <BYRADIUS radius <M | KM | FT | MI> | BYBOX width \
         height <M | KM | FT | MI>> [ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]",
    ),
    Command::new("geosearchstore", -8, geosearchstore).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(1, 2, 1).docs(
        Group::Geo,
        "6.2.0",
        COMPLEXITY,
        "Stores the members in a circle or a box around a place or a member.",
        "destination source <FROMMEMBER member | FROMLONLAT longitude latitude> <BYRADIUS radius <M | KM | FT | MI> | \
         BYBOX width height <M | KM | FT | MI>> [ASC | DESC] [COUNT count [ANY]] [STOREDIST]",
    ),
];

/// Which options a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// `GEORADIUS` and `GEORADIUSBYMEMBER`, with `STORE` if it may write.
    Radius { stores: bool },
    /// `GEOSEARCH` and `GEOSEARCHSTORE`.
    Search { stores: bool },
}

/// A wish for an area: in the unit in which distances are told.
#[derive(Clone, Copy, Debug)]
struct Measured {
    area: Area,
    unit_m: f64,
}

/// What a command asks for.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "the options of the command, each on its own")]
struct Request<'a> {
    /// `None` as long as it is not told, and when it is a member of a key that does not exist.
    centre: Option<Point>,
    from_member: bool,
    from_place: bool,
    measured: Option<Measured>,
    by_radius: bool,
    by_box: bool,
    /// Whether the nearest comes first; `None` leaves the order as it is.
    ascending: Option<bool>,
    /// At most so many; 0 for all.
    count: usize,
    any: bool,
    with_place: bool,
    with_distance: bool,
    with_score: bool,
    destination: Option<&'a [u8]>,
    /// Whether distances are stored, and not positions.
    stores_distance: bool,
}

/// A member in the area.
#[derive(Clone, Copy, Debug)]
struct Found<'a> {
    member: &'a [u8],
    score: f64,
    point: Point,
    distance_m: f64,
}

fn georadius(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    around_place(ctx, args, true)
}

fn georadius_ro(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    around_place(ctx, args, false)
}

fn georadiusbymember(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    around_member(ctx, args, true)
}

fn georadiusbymember_ro(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    around_member(ctx, args, false)
}

fn around_place(ctx: &mut Context<'_>, args: &[&[u8]], stores: bool) -> Result {
    let set = read(ctx, args[1])?.cloned();
    let mut request = Request {
        centre: Some(point(args[2], args[3])?),
        measured: Some(circle(args[4], args[5])?),
        ..Request::default()
    };
    request.parse(&args[6..], Family::Radius { stores }, set.as_ref())?;
    request.check_stored("STORE option in GEORADIUS")?;
    request.answer(ctx, set.as_ref(), events::GEORADIUSSTORE)
}

fn around_member(ctx: &mut Context<'_>, args: &[&[u8]], stores: bool) -> Result {
    let set = read(ctx, args[1])?.cloned();
    let mut request = Request::default();
    if let Some(set) = &set {
        request.centre = Some(member_point(set, args[2])?);
        request.measured = Some(circle(args[3], args[4])?);
    }
    request.parse(&args[5..], Family::Radius { stores }, set.as_ref())?;
    request.check_stored("STORE option in GEORADIUS")?;
    request.answer(ctx, set.as_ref(), events::GEORADIUSSTORE)
}

fn geosearch(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let set = read(ctx, args[1])?.cloned();
    let mut request = Request::default();
    request.parse(&args[2..], Family::Search { stores: false }, set.as_ref())?;
    request.check(args[0])?;
    request.answer(ctx, set.as_ref(), events::GEOSEARCHSTORE)
}

fn geosearchstore(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let set = read(ctx, args[2])?.cloned();
    let mut request = Request { destination: Some(args[1]), ..Request::default() };
    request.parse(&args[3..], Family::Search { stores: true }, set.as_ref())?;
    request.check_stored("GEOSEARCHSTORE")?;
    request.check(args[0])?;
    request.answer(ctx, set.as_ref(), events::GEOSEARCHSTORE)
}

fn member_point(set: &SortedSetValue, member: &[u8]) -> Result<Point> {
    let unknown = Error::text("ERR could not decode requested zset member");
    set.score(member).map(Point::from_score).ok_or(unknown)
}

fn length(argument: &[u8], message: &'static str) -> Result<f64> {
    parse_float(argument).ok_or(Error::text(message))
}

fn circle(radius: &[u8], unit: &[u8]) -> Result<Measured> {
    let radius = length(radius, "ERR need numeric radius")?;
    if radius < 0.0 {
        return Err(Error::text("ERR radius cannot be negative"));
    }
    let unit_m = unit_m(unit)?;
    Ok(Measured { area: Area::Circle { radius_m: radius * unit_m }, unit_m })
}

fn rectangle(width: &[u8], height: &[u8], unit: &[u8]) -> Result<Measured> {
    let width = length(width, "ERR need numeric width")?;
    let height = length(height, "ERR need numeric height")?;
    if width < 0.0 || height < 0.0 {
        return Err(Error::text("ERR height or width cannot be negative"));
    }
    let unit_m = unit_m(unit)?;
    Ok(Measured { area: Area::Box { width_m: width * unit_m, height_m: height * unit_m }, unit_m })
}

impl<'a> Request<'a> {
    /// Reads options.
    fn parse(
        &mut self,
        mut options: &[&'a [u8]],
        family: Family,
        set: Option<&SortedSetValue>,
    ) -> Result<()> {
        while let [option, rest @ ..] = options {
            options = match rest {
                [count, rest @ ..] if flag(option, "COUNT") => {
                    let count = integer(count)?;
                    if count <= 0 {
                        return Err(Error::text("ERR COUNT must be > 0"));
                    }
                    self.count = usize::try_from(count).unwrap_or(usize::MAX);
                    rest
                }
                _ if self.take_flag(option) => rest,
                _ => match family {
                    Family::Radius { stores } => self.parse_store(option, rest, stores)?,
                    Family::Search { stores } => self.parse_search(option, rest, stores, set)?,
                },
            };
        }
        Ok(())
    }

    /// Takes an option that is a single word.
    fn take_flag(&mut self, option: &[u8]) -> bool {
        match option {
            _ if flag(option, "WITHDIST") => self.with_distance = true,
            _ if flag(option, "WITHHASH") => self.with_score = true,
            _ if flag(option, "WITHCOORD") => self.with_place = true,
            _ if flag(option, "ANY") => self.any = true,
            _ if flag(option, "ASC") => self.ascending = Some(true),
            _ if flag(option, "DESC") => self.ascending = Some(false),
            _ => return false,
        }
        true
    }

    fn parse_store<'b>(
        &mut self,
        option: &[u8],
        rest: &'b [&'a [u8]],
        stores: bool,
    ) -> Result<&'b [&'a [u8]]> {
        let stores_distance = flag(option, "STOREDIST");
        match rest {
            [key, rest @ ..] if stores && (stores_distance || flag(option, "STORE")) => {
                (self.destination, self.stores_distance) = (Some(*key), stores_distance);
                Ok(rest)
            }
            _ => Err(Error::SYNTAX),
        }
    }

    fn parse_search<'b>(
        &mut self,
        option: &[u8],
        rest: &'b [&'a [u8]],
        stores: bool,
        set: Option<&SortedSetValue>,
    ) -> Result<&'b [&'a [u8]]> {
        match rest {
            [member, rest @ ..] if flag(option, "FROMMEMBER") && !self.from_place => {
                self.centre = set.map(|set| member_point(set, member)).transpose()?;
                self.from_member = true;
                Ok(rest)
            }
            [longitude, latitude, rest @ ..] if flag(option, "FROMLONLAT") && !self.from_member => {
                self.centre = Some(point(longitude, latitude)?);
                self.from_place = true;
                Ok(rest)
            }
            [radius, unit, rest @ ..] if flag(option, "BYRADIUS") && !self.by_box => {
                self.measured = Some(circle(radius, unit)?);
                self.by_radius = true;
                Ok(rest)
            }
            [width, height, unit, rest @ ..] if flag(option, "BYBOX") && !self.by_radius => {
                self.measured = Some(rectangle(width, height, unit)?);
                self.by_box = true;
                Ok(rest)
            }
            _ if stores && flag(option, "STOREDIST") => {
                self.stores_distance = true;
                Ok(rest)
            }
            _ => Err(Error::SYNTAX),
        }
    }

    /// Refuses what cannot be stored.
    fn check_stored(&self, what: &str) -> Result<()> {
        if self.destination.is_some() && (self.with_distance || self.with_score || self.with_place) {
            let text = format!("ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options");
            return Err(text.into());
        }
        Ok(())
    }

    /// Refuses a search without a centre or an area.
    fn check(&self, name: &[u8]) -> Result<()> {
        let name = String::from_utf8_lossy(name);
        if !self.from_member && !self.from_place {
            let text = format!("ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}");
            return Err(text.into());
        }
        if self.measured.is_none() {
            return Err(format!("ERR exactly one of BYRADIUS and BYBOX can be specified for {name}").into());
        }
        Ok(())
    }

    /// Searches, and answers or stores what was found.
    fn answer(&self, ctx: &mut Context<'_>, set: Option<&SortedSetValue>, event: EventKind) -> Result {
        if self.any && self.count == 0 {
            return Err(Error::text("ERR the ANY argument requires COUNT argument"));
        }
        let (mut candidates, mut found, mut unit_m) = (Vec::new(), Vec::new(), 1.0);
        if let (Some(set), Some(centre), Some(measured)) = (set, self.centre, self.measured) {
            unit_m = measured.unit_m;
            let ranges = measured.area.scores(centre).into_iter();
            candidates.extend(ranges.map(|(min, end)| members_between(set, min, end)));
            found = self.choose(&candidates, centre, measured.area);
        }
        let Some(destination) = self.destination else {
            return Ok(Reply::Array(found.iter().map(|found| self.reply(found, unit_m)).collect()));
        };
        let score =
            |found: &Found<'_>| if self.stores_distance { found.distance_m / unit_m } else { found.score };
        let mut entries: Vec<_> = found.iter().map(|found| (score(found), found.member)).collect();
        store(ctx, destination, &mut entries, event)
    }

    /// Those of the candidates that are wanted, in the order that is wanted.
    fn choose<'c>(&self, candidates: &'c [SharedItems], centre: Point, area: Area) -> Vec<Found<'c>> {
        let limit = if self.any { self.count } else { usize::MAX };
        let within = |(member, score)| {
            let point = Point::from_score(score);
            Some(Found { member, score, point, distance_m: area.distance_m(centre, point)? })
        };
        let mut found: Vec<_> = candidates.iter().flat_map(scored).filter_map(within).take(limit).collect();
        // The nearest ones are meant if only some are asked for, unless any will do.
        let ascending = self.ascending.or((self.count != 0 && !self.any).then_some(true));
        match ascending {
            Some(true) => found.sort_by(|one, other| one.distance_m.total_cmp(&other.distance_m)),
            Some(false) => found.sort_by(|one, other| other.distance_m.total_cmp(&one.distance_m)),
            None => {}
        }
        if self.count != 0 {
            found.truncate(self.count);
        }
        found
    }

    fn reply(&self, found: &Found<'_>, unit_m: f64) -> Reply {
        let member = Reply::bytes(found.member);
        if !(self.with_distance || self.with_score || self.with_place) {
            return member;
        }
        let mut parts = vec![member];
        if self.with_distance {
            parts.push(distance_reply(found.distance_m / unit_m));
        }
        if self.with_score {
            parts.push(Reply::Integer(found.score as i64));
        }
        if self.with_place {
            parts.push(point_reply(found.point));
        }
        Reply::Array(parts)
    }
}

/// The members with scores from `min` up to but without `end`.
fn members_between(set: &SortedSetValue, min: f64, end: f64) -> SharedItems {
    let rank = |bound: f64| set.count_before(|score, _| score < bound);
    set.items(rank(min)..rank(end), false)
}
