//! Definitions: libraries and triggers by name, of which the keyspace knows bytes only. They change as keys do.

use super::Keyspace;
use super::undo::Step;
use crate::store::SystemTable;
use crate::store::record::Change;

impl Keyspace {
    /// The definitions of one kind, by name.
    #[must_use]
    pub fn definitions(&self, kind: SystemTable) -> Vec<(&[u8], &[u8])> {
        let found = self.definitions.iter().filter(|((of, _), _)| *of == kind);
        let mut found: Vec<_> = found.map(|((_, name), content)| (&name[..], &content[..])).collect();
        found.sort_unstable();
        found
    }

    /// One definition.
    #[must_use]
    pub fn definition(&self, kind: SystemTable, name: &[u8]) -> Option<&[u8]> {
        self.definitions.get(&(kind, name.to_vec())).map(Vec::as_slice)
    }

    /// Sets or removes a definition; it is journalled and undone like a key.
    pub fn define(&mut self, kind: SystemTable, name: &[u8], content: Option<&[u8]>) {
        self.journal.push(&Change::System { table: kind, name, content });
        let name = (kind, name.to_vec());
        let before = match content {
            Some(content) => self.definitions.insert(name.clone(), content.to_vec()),
            None => self.definitions.remove(&name),
        };
        if self.undo.is_recording() {
            self.undo.push(Step::Definition { name, content: before });
        }
    }

    /// Restores a definition without journalling it.
    pub fn restore_definition(&mut self, name: (SystemTable, Vec<u8>), content: Option<Vec<u8>>) {
        match content {
            Some(content) => self.definitions.insert(name, content),
            None => self.definitions.remove(&name),
        };
    }
}
