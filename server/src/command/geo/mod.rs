//! Commands for places on the earth, which are sorted sets whose scores are positions.
//!
//! `search` finds what is near.

pub(super) mod search;

#[cfg(test)]
mod tests;

use super::sorted_set::{AddOptions, add, read};
use super::{Command, Context, Error, Flags, Group, Result, flag};
use crate::protocol::Reply;
use crate::types::geohash::Point;
use crate::types::parse_float;

/// The rows of these commands.
pub const COMMANDS: &[Command] = &[
    Command::new("geoadd", -5, geoadd).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(1, 1, 1).docs(
        Group::Geo,
        "3.2.0",
        "O(log(N)) for each member",
        "Adds members with their positions, or moves them.",
        "key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]",
    ),
    Command::new("geodist", -4, geodist).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::Geo,
        "3.2.0",
        "O(log(N))",
        "Returns the distance between two members.",
        "key member1 member2 [M | KM | FT | MI]",
    ),
    Command::new("geohash", -2, geohash).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::Geo,
        "3.2.0",
        "O(log(N)) for each member",
        "Returns the positions of members as geohashes.",
        "key [member [member ...]]",
    ),
    Command::new("geopos", -2, geopos).flags(&[Flags::READONLY]).keys(1, 1, 1).docs(
        Group::Geo,
        "3.2.0",
        "O(log(N)) for each member",
        "Returns the longitudes and latitudes of members.",
        "key [member [member ...]]",
    ),
];

/// Reads a longitude and a latitude.
fn point(longitude: &[u8], latitude: &[u8]) -> Result<Point> {
    let degrees = |argument| parse_float(argument).ok_or(Error::NOT_A_FLOAT);
    let (longitude, latitude) = (degrees(longitude)?, degrees(latitude)?);
    let invalid = || format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}").into();
    Point::new(longitude, latitude).ok_or_else(invalid)
}

/// The metres in a unit.
fn unit_m(argument: &[u8]) -> Result<f64> {
    match argument {
        _ if flag(argument, "M") => Ok(1.0),
        _ if flag(argument, "KM") => Ok(1000.0),
        _ if flag(argument, "FT") => Ok(0.3048),
        _ if flag(argument, "MI") => Ok(1609.34),
        _ => Err(Error::text("ERR unsupported unit provided. please use M, KM, FT, MI")),
    }
}

fn distance_reply(distance: f64) -> Reply {
    format!("{distance:.4}").into()
}

/// Longitude and latitude, with the digits that Redis prints of them.
fn point_reply(point: Point) -> Reply {
    let degrees = |value: f64| {
        let text = format!("{value:.17}");
        Reply::Decimal(text.trim_end_matches('0').trim_end_matches('.').to_owned())
    };
    Reply::Array(vec![degrees(point.longitude), degrees(point.latitude)])
}

fn geoadd(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let mut options = AddOptions::default();
    let mut places = &args[2..];
    while let [option, rest @ ..] = places {
        match option {
            _ if flag(option, "NX") => options.nx = true,
            _ if flag(option, "XX") => options.xx = true,
            _ if flag(option, "CH") => options.ch = true,
            _ => break,
        }
        places = rest;
    }
    let (places, odd) = places.as_chunks::<3>();
    if places.is_empty() || !odd.is_empty() || (options.nx && options.xx) {
        return Err(Error::SYNTAX);
    }
    let entries = places
        .iter()
        .map(|[longitude, latitude, member]| Ok((point(longitude, latitude)?.score(), *member)))
        .collect::<Result<Vec<_>>>()?;
    add(ctx, args[1], options, &entries)
}

fn geodist(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let unit_m = match args[4..] {
        [] => 1.0,
        [unit] => unit_m(unit)?,
        _ => return Err(Error::SYNTAX),
    };
    let set = read(ctx, args[1])?;
    let place = |member: &[u8]| set.and_then(|set| set.score(member)).map(Point::from_score);
    let places = place(args[2]).zip(place(args[3]));
    Ok(places.map_or(Reply::Null, |(one, other)| distance_reply(one.distance_m(other) / unit_m)))
}

fn geohash(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    of_each(ctx, args, &Reply::Null, |point| point.geohash().into())
}

fn geopos(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    of_each(ctx, args, &Reply::NullArray, point_reply)
}

fn of_each(ctx: &mut Context<'_>, args: &[&[u8]], missing: &Reply, reply: fn(Point) -> Reply) -> Result {
    let set = read(ctx, args[1])?;
    let score = |member: &&[u8]| set.and_then(|set| set.score(member));
    let replies = args[2..].iter().map(score);
    let replies =
        replies.map(|score| score.map_or_else(|| missing.clone(), |score| reply(Point::from_score(score))));
    Ok(Reply::Array(replies.collect()))
}
