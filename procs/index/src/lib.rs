//! An index kept by a trigger. A person is a text such as `name=Ada city=London` under `person:<id>`; `city:London` holds
//! the ids of all people there, sorted, one per line, and is never out of step with the data.
//!
//! Each change rewrites a city's whole list, so this fits cities of some thousands of people.

#![no_std]

#[cfg(not(target_arch = "wasm32"))]
pub mod scenarios;

use kvasm_sdk::prelude::*;

/// What precedes the id in a person's key.
const PERSON: &[u8] = b"person:";
/// What precedes the city in the key of its list.
const CITY: &[u8] = b"city:";

/// Runs in the transaction of every change of a person, be it by a client, by expiry or by another procedure.
#[trigger(
    on = "set,append,setrange,setbit,restore,del,expired,rename_from,rename_to,copy_to,move_from,move_to",
    keys = "person:*"
)]
pub fn index_city(db: &mut Db, event: &Event) -> Result<()> {
    let id = event.key().strip_prefix(PERSON).unwrap_or_default();
    if id.is_empty() || id.contains(&b'\n') {
        return Err("INDEX the id of a person is one line of text".into());
    }
    let (before, after) = (event.before(), event.after());
    let (left, entered) = (city(before.as_deref()), city(after.as_deref()));
    if left == entered {
        return Ok(());
    }
    if let Some(city) = left {
        set_listed(db, city, id, false);
    }
    if let Some(city) = entered {
        set_listed(db, city, id, true);
    }
    Ok(())
}

/// The ids of the people in a city: `FCALL_RO people_in 0 London`.
#[procedure]
pub fn people_in(db: &Db, city: &[u8]) -> Vec<Vec<u8>> {
    let list = db.get(&list_key(city)).unwrap_or_default();
    ids(&list).into_iter().map(Vec::from).collect()
}

/// The value of the field `city` of a person.
fn city(person: Option<&[u8]>) -> Option<&[u8]> {
    let mut fields = person?.split(|byte| *byte == b' ');
    fields.find_map(|field| field.strip_prefix(b"city=")).filter(|city| !city.is_empty())
}

fn list_key(city: &[u8]) -> Vec<u8> {
    [CITY, city].concat()
}

fn ids(list: &[u8]) -> Vec<&[u8]> {
    if list.is_empty() { Vec::new() } else { list.split(|byte| *byte == b'\n').collect() }
}

/// Puts an id on a city's list or takes it off; without ids there is no list.
fn set_listed(db: &mut Db, city: &[u8], id: &[u8], listed: bool) {
    let key = list_key(city);
    let list = db.get(&key).unwrap_or_default();
    let mut ids = ids(&list);
    match (ids.binary_search(&id), listed) {
        (Ok(at), false) => {
            ids.remove(at);
        }
        (Err(at), true) => ids.insert(at, id),
        _ => return,
    }
    if ids.is_empty() {
        db.delete(&key);
    } else {
        db.put(&key, &ids.join(&b'\n'));
    }
}
