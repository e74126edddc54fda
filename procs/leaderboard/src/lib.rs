//! A leaderboard in a sorted set. Rolling a season over keeps its final table and starts the next one, all at once:
//! nobody can score in between, and nobody sees half of it.

#![no_std]

#[cfg(not(target_arch = "wasm32"))]
pub mod scenarios;

use core::time::Duration;

use kvasm_sdk::prelude::*;

/// How long the final table of a season is kept.
const ARCHIVED: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Adds points to a player's: `FCALL award 1 board ada 10`. The sum, and the place from 1.
#[procedure]
pub fn award(db: &mut Db, board: &[u8], player: &[u8], points: f64) -> Result<(f64, usize)> {
    if !points.is_finite() || points < 0.0 {
        return Err("POINTS must be a number that is not negative".into());
    }
    let mut board = db.sorted_set_mut(board);
    let sum = board.increment(player, points)?;
    let ahead = board.reverse_rank(player)?.unwrap_or_default();
    Ok((sum, ahead + 1))
}

/// The best players with their points: `FCALL_RO top 1 board 10`.
#[procedure]
pub fn top(db: &Db, board: &[u8], count: usize) -> Result<Vec<(Vec<u8>, f64)>> {
    Ok(db.sorted_set(board).range(..)?.rev().take(count).collect())
}

/// A player's points and place from 1, and who is next above; nil for somebody without points.
#[procedure]
pub fn standing(db: &Db, board: &[u8], player: &[u8]) -> Result<Option<(f64, usize, Option<Vec<u8>>)>> {
    let board = db.sorted_set(board);
    let (Some(points), Some(below)) = (board.score(player)?, board.rank(player)?) else {
        return Ok(None);
    };
    let mut above = board.range(below + 1..)?;
    let place = above.len() + 1;
    Ok(Some((points, place, above.next().map(|(player, _)| player))))
}

/// Ends the season: `FCALL roll_over 2 board board:spring 10` keeps the table as `board:spring` and lets each player
/// begin with 10 percent of the points. How many players there are.
#[procedure]
pub fn roll_over(db: &mut Db, board: &[u8], archive: &[u8], carried_percent: u8) -> Result<usize> {
    if carried_percent > 100 {
        return Err("PERCENT must be at most 100".into());
    }
    if db.exists(archive) {
        return Err("SEASON there is an archive of that name".into());
    }
    db.command(Command::new("RENAME").arg(board).arg(archive))?;
    db.expire(archive, ARCHIVED);
    let table: Vec<_> = db.sorted_set(archive).range(..)?.collect();
    if carried_percent > 0 {
        let carried =
            |(player, points): &(Vec<u8>, f64)| (player.clone(), points * f64::from(carried_percent) / 100.0);
        db.sorted_set_mut(board).add_all(table.iter().map(carried))?;
    }
    Ok(table.len())
}
