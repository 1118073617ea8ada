//! The name that was probably meant.

/// The candidate nearest to `wanted`, when one is near enough to be worth showing.
pub fn name<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = wanted.chars().count();
    // Every other name is near to a single letter.
    let allowed = (1 + length / 4).min(length / 2);
    let lower = wanted.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean …?`, or nothing.
pub fn question<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    name(wanted, candidates).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// Edits, where leaving out words joined by `_` (`user` for `username`, `code` for `status_code`) is one.
fn distance(wanted: &str, candidate: &str) -> usize {
    let edits = strsim::damerau_levenshtein(wanted, candidate);
    let part = wanted.len() >= 4
        && (candidate.starts_with(wanted) || candidate.split('_').any(|word| word == wanted));
    if part { edits.min(1) } else { edits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_its_name_and_a_stranger_none() {
        let keys = ["username", "domain", "password"];
        assert_eq!(name("pasword", keys), Some("password"));
        assert_eq!(name("user", keys), Some("username"));
        assert_eq!(name("Domain", keys), Some("domain"));
        assert_eq!(name("colour", keys), None);
    }
}
