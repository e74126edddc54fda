//! What SSCAN, HSCAN and ZSCAN have in common: their arguments and the form of their replies.

use super::scan::{DEFAULT_COUNT, scan_count};
use super::{Error, Result, flag};
use crate::protocol::{Reply, Shape};
use crate::types::{SharedItems, glob};

/// The options of a step of a walk over the elements of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct ElementScan<'a> {
    /// Elements to look at.
    pub count: usize,
    /// Whether values are left out.
    pub without_values: bool,
    pattern: Option<&'a [u8]>,
}

impl<'a> ElementScan<'a> {
    /// Reads options; `NOVALUES` only where there are values.
    pub fn parse(mut options: &[&'a [u8]], has_values: bool) -> Result<Self> {
        let mut parsed = Self { count: DEFAULT_COUNT, without_values: false, pattern: None };
        while let [option, rest @ ..] = options {
            options = rest;
            if has_values && flag(option, "NOVALUES") {
                parsed.without_values = true;
                continue;
            }
            let [argument, rest @ ..] = rest else { return Err(Error::SYNTAX) };
            if flag(option, "COUNT") {
                parsed.count = scan_count(argument)?;
            } else if flag(option, "MATCH") {
                parsed.pattern = Some(argument);
            } else {
                return Err(Error::SYNTAX);
            }
            options = rest;
        }
        Ok(parsed)
    }

    /// Whether an element of this name is wanted.
    pub fn wants(&self, element: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches_in_walk(pattern, element))
    }
}

/// The reply to a step: where the next one goes on, and what was found.
pub(super) fn scan_reply(cursor: u64, found: impl Into<SharedItems>) -> Reply {
    Reply::Array(vec![cursor.to_string().into(), Reply::Items(Shape::Array, found.into())])
}
