//! A shopping cart in a hash. Of each article it has the fields `quantity:<article>` and `price:<article>`, and of all
//! together `pieces` and `cents`, which every change keeps right.

#![no_std]

#[cfg(not(target_arch = "wasm32"))]
pub mod scenarios;

use kvasm_sdk::prelude::*;

const QUANTITY: &[u8] = b"quantity:";
const PRICE: &[u8] = b"price:";
/// Quantities and prices beyond this are mistakes; their products and sums stay far within 64 bits.
const MOST: i64 = 1_000_000_000;

/// Puts so many of an article into the cart, in place of what was there, at the present price:
/// `FCALL put 2 cart:1 prices tea 2`. The pieces in the cart and what they cost.
#[procedure]
pub fn put(db: &mut Db, cart: &[u8], prices: &[u8], article: &[u8], quantity: u32) -> Result<(i64, i64)> {
    let price = number(db.hash(prices).get(article)?)?.ok_or("ARTICLE is not on the price list")?;
    let quantity = i64::from(quantity);
    if price > MOST || quantity > MOST {
        return Err("CART that is too much".into());
    }
    let (quantity_field, price_field) = ([QUANTITY, article].concat(), [PRICE, article].concat());
    let mut cart = db.hash_mut(cart);
    let old_quantity = number(cart.get(&quantity_field)?)?.unwrap_or(0);
    let old_price = number(cart.get(&price_field)?)?.unwrap_or(0);
    if quantity == 0 {
        cart.delete_all([quantity_field, price_field])?;
    } else {
        cart.set_all([(quantity_field, quantity), (price_field, price)])?;
    }
    let pieces = cart.increment("pieces", quantity - old_quantity)?;
    let cents = cart.increment("cents", quantity * price - old_quantity * old_price)?;
    if pieces == 0 {
        // An empty cart need not be kept.
        cart.delete_all(["pieces", "cents"])?;
    }
    Ok((pieces, cents))
}

/// The articles with their quantities, by name, and what all of them cost: `FCALL_RO cart 1 cart:1`.
#[procedure]
pub fn cart(db: &Db, cart: &[u8]) -> Result<(Vec<(Vec<u8>, i64)>, i64)> {
    let cents = number(db.hash(cart).get("cents")?)?.unwrap_or(0);
    Ok((articles(db, cart)?, cents))
}

/// Takes what is in the cart out of the stock, a hash of quantities, and empties the cart. What it cost. When an article
/// is short, nothing has happened.
#[procedure]
pub fn checkout(db: &mut Db, cart: &[u8], stock: &[u8]) -> Result<i64> {
    let cents = number(db.hash(cart).get("cents")?)?.ok_or("CART is empty")?;
    for (article, quantity) in articles(db, cart)? {
        let left = db.hash_mut(stock).increment(&article, -quantity)?;
        if left < 0 {
            let name = article.escape_ascii();
            return Err(format!("STOCK only {} of {name}", left + quantity).into());
        }
    }
    db.delete(cart);
    Ok(cents)
}

fn articles(db: &Db, cart: &[u8]) -> Result<Vec<(Vec<u8>, i64)>> {
    let mut articles = Vec::new();
    for (field, value) in db.hash(cart).iter()? {
        if let Some(article) = field.strip_prefix(QUANTITY) {
            articles.push((article.to_vec(), number(Some(value))?.unwrap_or(0)));
        }
    }
    articles.sort();
    Ok(articles)
}

fn number(text: Option<Vec<u8>>) -> Result<Option<i64>> {
    let text = text.as_deref().map(core::str::from_utf8).transpose()?;
    Ok(text.map(str::parse).transpose()?)
}
