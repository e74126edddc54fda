//! A host that is a map, for whoever runs procedures without a server. Included by path; the parent module has `Host` and
//! `Severity` in scope.

use std::collections::HashMap;

use super::{Host, Severity};

/// The data a procedure sees, and what it logged.
#[derive(Default)]
pub struct MapHost {
    /// Keys and their values; reading the key `a-list` fails as one of another type does.
    pub data: HashMap<Vec<u8>, Vec<u8>>,
    /// Levels and lines.
    pub log: Vec<(Severity, String)>,
}

impl Host for MapHost {
    type Error = &'static str;

    fn get(
        &mut self,
        key: &[u8],
        offset: u64,
        limit: usize,
        copy: &mut dyn FnMut(&[u8]),
    ) -> Result<Option<u64>, Self::Error> {
        if key == b"a-list" {
            return Err("WRONGTYPE");
        }
        Ok(self.data.get(key).map(|value| {
            let rest = value.get(offset as usize..).unwrap_or_default();
            let wanted = &rest[..rest.len().min(limit)];
            // In two pieces, as a long value is held in several.
            let (first, second) = wanted.split_at(wanted.len().min(3));
            copy(first);
            copy(second);
            value.len() as u64
        }))
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Self::Error> {
        match self.data.get_mut(key) {
            Some(old) => value.clone_into(old),
            None => drop(self.data.insert(key.to_vec(), value.to_vec())),
        }
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<bool, Self::Error> {
        Ok(self.data.remove(key).is_some())
    }

    fn exists(&mut self, key: &[u8]) -> Result<bool, Self::Error> {
        Ok(self.data.contains_key(key))
    }

    fn increment(&mut self, key: &[u8], delta: i64) -> Result<i64, Self::Error> {
        let old =
            self.data.get(key).map_or(Some(0), |value| std::str::from_utf8(value).ok()?.parse::<i64>().ok());
        let new = old
            .and_then(|old| old.checked_add(delta))
            .ok_or("ERR value is not an integer or out of range")?;
        self.data.insert(key.to_vec(), new.to_string().into_bytes());
        Ok(new)
    }

    fn command(&mut self, request: &[u8], read_only: bool, reply: &mut Vec<u8>) -> Result<(), Self::Error> {
        reply.extend_from_slice(if read_only { b"+read-only " } else { b"+" });
        reply.extend_from_slice(request);
        Ok(())
    }

    fn log(&mut self, level: Severity, message: &[u8]) {
        self.log.push((level, String::from_utf8_lossy(message).into_owned()));
    }

    fn validate_resp(&self, value: &[u8]) -> Result<u64, Self::Error> {
        if value.ends_with(b"\r\n") { Ok(1) } else { Err("ERR not a RESP value") }
    }
}
