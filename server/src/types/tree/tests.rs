//! Promises of the tree, against a plain vector of labels and blocks.

use smallvec::SmallVec;

use super::*;

/// A block of so many entries.
fn block(entries: usize) -> Block {
    Block::new(entries, &vec![0; entries])
}

/// Everything that can be asked of a tree has the answer that the vector gives.
fn check(tree: &Tree<u32>, model: &[(u32, usize)]) {
    let entries: usize = model.iter().map(|(_, entries)| entries).sum();
    assert_eq!((tree.entries(), tree.is_empty()), (entries, model.is_empty()));
    let blocks: Vec<_> = tree.blocks().map(|(label, block)| (*label, block.entries())).collect();
    assert_eq!(blocks, model);
    let label = |place: Option<Place>| place.map(|place| *tree.get(&place).0);
    assert_eq!(label(tree.first()), model.first().map(|(label, _)| *label));
    assert_eq!(label(tree.last()), model.last().map(|(label, _)| *label));
    let (mut place, mut rank) = (tree.first(), 0);
    for (index, (wanted, entries)) in model.iter().enumerate() {
        let at = place.expect("a place for each block");
        assert_eq!(tree.find(|label| label <= wanted), Some(at.clone()));
        assert_eq!(tree.find_label(wanted), Some(at.clone()));
        if let Some(lower) = wanted.checked_sub(1) {
            assert_eq!(tree.find_label(&lower), tree.previous(&at).or_else(|| tree.first()));
        }
        assert_eq!(tree.rank(&at), rank);
        assert_eq!(tree.find_rank(rank), Some((at.clone(), 0)));
        assert_eq!(tree.find_rank(rank + entries - 1), Some((at.clone(), entries - 1)));
        let before = index.checked_sub(1).map(|index| model[index].0);
        assert_eq!(label(tree.previous(&at)), before);
        rank += entries;
        place = tree.next(&at);
    }
    assert_eq!((place, tree.find_rank(entries)), (None, None));
}

#[test]
fn a_tree_answers_as_a_vector_does_whatever_is_replaced() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let start = random.u32(..3000);
        let mut model: Vec<(u32, usize)> = (0..start).map(|index| (index * 1_000_000, 1)).collect();
        let mut tree = Tree::from_blocks(model.iter().map(|(label, entries)| (*label, block(*entries))));
        check(&tree, &model);
        // Some runs grow and others shrink, at the ends and in the middle.
        let growth = random.usize(..3);
        for step in 0..2000 {
            let Some(last) = model.len().checked_sub(1) else { break };
            let index = [0, last, random.usize(..=last)][random.usize(..3)];
            let place = tree.find(|label| *label <= model[index].0).expect("a block");
            let snapshot = (step % 500 == 0).then(|| (tree.clone(), model.clone()));
            let join = random.bool().then(|| tree.neighbours(&place)).flatten();
            let (place, index, count) = match join {
                Some((left, _)) => {
                    let label = *tree.get(&left).0;
                    (left, model.partition_point(|(other, _)| *other < label), 2)
                }
                None => (place, index, 1),
            };
            let parts = if random.u8(..4) == 0 { random.usize(..3) } else { growth };
            let new: Vec<(u32, usize)> = (0..parts as u32)
                .map(|part| (model[index].0 + part * 37 % 911, random.usize(1..5)))
                .collect();
            let mut new: Vec<_> = new
                .into_iter()
                .filter(|(label, _)| model.get(index + count).is_none_or(|(next, _)| label < next))
                .collect();
            new.sort_unstable();
            new.dedup_by_key(|(label, _)| *label);
            let blocks: SmallVec<[_; 2]> =
                new.iter().map(|(label, entries)| (*label, block(*entries))).collect();
            tree.replace(&place, count, blocks);
            model.splice(index..index + count, new);
            if step % 100 == 0 {
                check(&tree, &model);
            }
            if let Some((tree, model)) = snapshot {
                check(&tree, &model);
            }
        }
        check(&tree, &model);
    }
}

#[test]
fn nodes_that_grow_at_an_end_are_full_and_those_that_shrink_join() {
    let mut tree = Tree::from_blocks([(0_u32, block(1))]);
    for label in 1..100_000 {
        let last = tree.last().expect("a block");
        let before = (*tree.get(&last).0, tree.get(&last).1.clone());
        tree.replace(&last, 1, SmallVec::from_vec(vec![before, (label, block(1))]));
    }
    let full = tree.memory_usage();
    let packed = Tree::from_blocks((0..100_000_u32).map(|label| (label, block(1)))).memory_usage();
    assert!(full < packed * 11 / 10, "{full} bytes, {packed} if made at once");
    let mut random = fastrand::Rng::with_seed(1);
    while tree.entries() > 1000 {
        let (place, _) = tree.find_rank(random.usize(..tree.entries())).expect("an entry");
        tree.replace(&place, 1, SmallVec::new());
    }
    let thin = tree.memory_usage();
    assert!(thin < full / 20, "{thin} bytes for a hundredth of the blocks, {full} for all");
}
