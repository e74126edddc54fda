//! A top list. The result of a game is a text such as `ada 120` under `score:<game>`; the sorted set `top` has what each
//! player got in all games. It is kept by differences, which is right because each change reaches the trigger once.

#![no_std]

#[cfg(not(target_arch = "wasm32"))]
pub mod scenarios;

use kvasm_sdk::prelude::*;

/// The sorted set of players by points.
const TOP: &[u8] = b"top";

/// Takes away what the result counted before, and adds what it counts now.
#[trigger(
    on = "set,append,setrange,setbit,restore,del,expired,rename_from,rename_to,copy_to,move_from,move_to",
    keys = "score:*"
)]
pub fn count_score(db: &mut Db, event: &Event) -> Result<()> {
    let (before, after) = (event.before(), event.after());
    // What is no result now is refused; what was none before was never counted.
    if let Some(Score { player, points }) = before.as_deref().and_then(Score::parse) {
        award(db, player, -points)?;
    }
    if let Some(after) = after.as_deref() {
        let Some(Score { player, points }) = Score::parse(after) else {
            let key = event.key().escape_ascii();
            return Err(format!("SCORE {key} is not a player and points, such as 'ada 120'").into());
        };
        award(db, player, points)?;
    }
    Ok(())
}

/// The best players and their points: `FCALL_RO best_players 0 10`.
#[procedure]
pub fn best_players(db: &Db, count: usize) -> Result<Vec<(Vec<u8>, f64)>> {
    Ok(db.sorted_set(TOP).range(..)?.rev().take(count).collect())
}

struct Score<'a> {
    player: &'a str,
    points: i32,
}

impl<'a> Score<'a> {
    fn parse(text: &'a [u8]) -> Option<Self> {
        let (player, points) = core::str::from_utf8(text).ok()?.split_once(' ')?;
        Some(Self { player, points: points.parse().ok().filter(|points| *points >= 0)? })
    }
}

/// Adds points to a player's; somebody without any is not on the list.
fn award(db: &mut Db, player: &str, points: i32) -> Result<()> {
    let mut top = db.sorted_set_mut(TOP);
    if top.increment(player, points.into())? == 0.0 {
        top.remove(player)?;
    }
    Ok(())
}
