//! What a trigger's function is given, in the order that `docs/triggers.md` promises.

/// The arguments about an event: its name, the values before and after if they are given, the number of the database, and
/// the elements.
#[must_use]
pub fn arguments<'a>(
    event: &'a str,
    (before, after): (Option<&'a [u8]>, Option<&'a [u8]>),
    database: &'a str,
    elements: impl Iterator<Item = &'a [u8]>,
) -> Vec<Option<&'a [u8]>> {
    let mut arguments = vec![Some(event.as_bytes()), before, after, Some(database.as_bytes())];
    arguments.extend(elements.map(Some));
    arguments
}
