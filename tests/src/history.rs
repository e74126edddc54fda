//! A checker of histories: could these transactions have run one after the other?
//!
//! Every write puts a value that is never put again, and whoever writes a key has read it before. So the values that a
//! key had are known in their order, and with them who must have come before whom: the writer of a value before who
//! read or replaced it, and who read a value before who replaced it. There is an order exactly if these arrows have no
//! cycle (Adya, "Weak Consistency", 1999: a history without such a cycle is serializable).

use std::collections::{BTreeMap, BTreeSet};

/// What a transaction that was committed did.
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    /// Keys with the values that it found; `None` is none. In the order of reading, before its own writes.
    pub reads: Vec<(String, Option<String>)>,
    /// Keys with the values that it put, in that order.
    pub writes: Vec<(String, String)>,
}

type Version = (String, Option<String>);

/// Why no order explains what the transactions have read; `None` when there is one.
#[must_use]
pub fn contradiction(transactions: &[Transaction]) -> Option<String> {
    let mut writer: BTreeMap<Version, usize> = BTreeMap::new();
    let mut replaced_by: BTreeMap<Version, usize> = BTreeMap::new();
    for (number, transaction) in transactions.iter().enumerate() {
        let last: BTreeMap<&String, &String> =
            transaction.writes.iter().map(|(key, value)| (key, value)).collect();
        for (key, value) in last {
            writer.insert((key.clone(), Some(value.clone())), number);
            let found = transaction.reads.iter().find(|(read, _)| read == key)?;
            if let Some(other) = replaced_by.insert(found.clone(), number) {
                return Some(format!("lost update: {other} and {number} both replaced {found:?}"));
            }
        }
    }
    let mut arrows: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); transactions.len()];
    for (number, transaction) in transactions.iter().enumerate() {
        for version in &transaction.reads {
            if version.1.is_some() {
                let Some(from) = writer.get(version) else {
                    return Some(format!("{number} read {version:?}, which no transaction has left"));
                };
                arrows[*from].insert(number);
            }
            if let Some(next) = replaced_by.get(version).filter(|next| **next != number) {
                arrows[number].insert(*next);
            }
        }
    }
    cycle(&arrows).map(|cycle| {
        let shown: Vec<String> =
            cycle.iter().map(|number| format!("{number}: {:?}", transactions[*number])).collect();
        format!(
            "these must each have come before the next, and the last before the first:\n{}",
            shown.join("\n")
        )
    })
}

/// A cycle, if the arrows have one.
fn cycle(arrows: &[BTreeSet<usize>]) -> Option<Vec<usize>> {
    let mut done = vec![false; arrows.len()];
    for start in 0..arrows.len() {
        // The path from the start, each with the arrows that are still to be followed.
        let mut path = vec![(start, arrows[start].clone())];
        while let Some((number, rest)) = path.last_mut() {
            let number = *number;
            match rest.pop_first() {
                Some(next) if done[next] => {}
                Some(next) => {
                    if let Some(place) = path.iter().position(|(on_path, _)| *on_path == next) {
                        return Some(path[place..].iter().map(|(number, _)| *number).collect());
                    }
                    path.push((next, arrows[next].clone()));
                }
                None => {
                    done[number] = true;
                    path.pop();
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction(reads: &[(&str, &str)], writes: &[(&str, &str)]) -> Transaction {
        let value = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Transaction {
            reads: reads.iter().map(|(key, text)| ((*key).to_owned(), value(text))).collect(),
            writes: writes.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect(),
        }
    }

    #[track_caller]
    fn check(transactions: &[Transaction], expected: &str) {
        let found = contradiction(transactions).unwrap_or_default();
        assert!(found.starts_with(expected) && found.is_empty() == expected.is_empty(), "{found}");
    }

    #[test]
    fn histories_that_no_order_explains_are_found() {
        check(
            &[transaction(&[("a", "")], &[("a", "1")]), transaction(&[("a", "1"), ("b", "")], &[("b", "2")])],
            "",
        );
        check(
            &[transaction(&[("a", "")], &[("a", "1")]), transaction(&[("a", "")], &[("a", "2")])],
            "lost update",
        );
        let skew = [
            transaction(&[("a", ""), ("b", "")], &[("a", "1")]),
            transaction(&[("a", ""), ("b", "")], &[("b", "2")]),
        ];
        check(&skew, "these must");
        let intermediate =
            [transaction(&[("a", "")], &[("a", "1"), ("a", "2")]), transaction(&[("a", "1")], &[])];
        check(&intermediate, "1 read");
        let torn = [
            transaction(&[("a", ""), ("b", "")], &[("a", "1"), ("b", "1")]),
            transaction(&[("a", "1"), ("b", "")], &[]),
        ];
        check(&torn, "these must");
    }
}
