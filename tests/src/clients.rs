//! What the tests of client libraries have in common: the pages about them, with the programs that these show.

use crate::repository;

/// The blocks of a language on the page `docs/clients/NAME.md`, as one text.
///
/// # Panics
/// When there is no such page or no such block.
#[must_use]
pub fn page_code(name: &str, language: &str) -> String {
    let path = repository().join(format!("docs/clients/{name}.md"));
    let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let begin = format!("```{language}\n");
    let blocks = page.split(&begin).skip(1);
    let code: String = blocks.map(|block| block.split("```").next().unwrap_or_default()).collect();
    assert!(!code.is_empty(), "{} shows no {language}", path.display());
    code
}

/// Proves that a page shows the program that a test runs.
///
/// # Panics
/// When it shows another one.
pub fn check_page(name: &str, language: &str, program: &str) {
    assert_eq!(page_code(name, language), program, "docs/clients/{name}.md does not show what is tested");
}
