//! Words that have no place in a file of the project.

use super::tree::Tree;

/// What is looked for and why it is a mistake. Put together from pieces, so that this file passes its own check.
const UNWANTED: [(&str, &str); 8] = [
    (
        concat!("/ho", "me/"),
        "a path of somebody's machine: write it relative to the project",
    ),
    (
        concat!("/ro", "ot/"),
        "a path of somebody's machine: write it relative to the project",
    ),
    (
        concat!("/Us", "ers/"),
        "a path of somebody's machine: write it relative to the project",
    ),
    (
        concat!("to", "do!("),
        "unfinished: do it, or return an error that says it is not supported",
    ),
    (
        concat!("unimpl", "emented!("),
        "unfinished: do it, or return an error that says it is not supported",
    ),
    (concat!("db", "g!("), "left over from a search for an error"),
    (
        concat!("FIX", "ME"),
        "unfinished: mend it, or write down the limitation where users read it",
    ),
    (
        concat!("#[al", "low("),
        "use `#[expect(lint, reason = \"…\")]`, which tells when it is no longer needed",
    ),
];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts() {
        for (number, line) in (1..).zip(text.lines()) {
            let unwanted = UNWANTED.iter().filter(|(word, _)| line.contains(word));
            findings.extend(unwanted.map(|(word, why)| format!("{path}:{number}: `{word}`: {why}")));
        }
    }
    findings
}
