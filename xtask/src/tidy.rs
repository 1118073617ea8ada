//! The fast checks that no compiler makes. Each is a function from the tree to findings, so that a test can
//! break the rule on purpose.

mod clock_ban;
mod tree;
mod unsafe_code;
mod wording;

use std::path::Path;

use anyhow::Result;

use crate::crate_table::CrateTable;
pub use clock_ban::CANONICAL as CLOCK_BAN;
use tree::Tree;

/// A file of Rust longer than this is more than one subject.
const LONGEST_FILE_LINES: usize = 1_000;

/// Runs every check over the files of `root` that git knows or would add. Each finding names the file and what
/// to do; none means that all is well.
pub fn check(root: &Path) -> Result<Vec<String>> {
    let table = CrateTable::read(root)?;
    let tree = Tree::read(root)?;
    Ok([
        clock_ban::check(&tree, &table),
        unsafe_code::check(&tree),
        wording::check(&tree),
        files_are_short(&tree),
        examples_explain_themselves(&tree),
    ]
    .concat())
}

fn files_are_short(tree: &Tree) -> Vec<String> {
    tree.texts()
        .filter(|(path, text)| path.ends_with(".rs") && text.lines().count() > LONGEST_FILE_LINES)
        .map(|(path, text)| {
            format!(
                "{path}: {} lines, more than {LONGEST_FILE_LINES}: split it by subject",
                text.lines().count()
            )
        })
        .collect()
}

/// An example is read before any documentation is: it begins by saying what it shows.
fn examples_explain_themselves(tree: &Tree) -> Vec<String> {
    tree.texts()
        .filter(|(path, _)| path.starts_with("examples/") && path.ends_with(".rhai"))
        .filter(|(_, text)| !text.starts_with("//") && !text.starts_with("/*"))
        .map(|(path, _)| format!("{path}: begin the example with a comment that says what it shows"))
        .collect()
}
