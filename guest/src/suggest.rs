//! "Did you mean": the nearest of the names that would have been right.

/// The candidate that `name` most probably misspells, if one is near enough to be worth naming. Case does not count.
pub fn closest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // A third of the letters may be wrong, and at least one: `eqq`, `usrName`, `dispalyname`.
    let length = name.chars().count();
    if length > 64 {
        return None;
    }
    let limit = (length / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|&(distance, candidate)| distance <= limit && distance < candidate.chars().count())
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean …?` for the end of an error, or nothing.
pub fn did_you_mean<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    closest(name, candidates).map(|candidate| format!("; did you mean `{candidate}`?")).unwrap_or_default()
}

/// Edit distance in characters, where exchanging two neighbours counts as one edit.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, r) in right.iter().enumerate() {
            let replaced = previous[j] + usize::from(l != r);
            let mut best = replaced.min(previous[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *l == right[j - 1] && left[i - 1] == *r {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut previous, row);
    }
    previous[right.len()]
}

#[cfg(test)]
mod tests {
    use super::closest;

    fn check(name: &str, expect: Option<&str>) {
        assert_eq!(closest(name, ["userName", "displayName", "emails", "eq", "ne", "title"]), expect, "{name}");
    }

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        check("usrName", Some("userName"));
        check("USERNAME1", Some("userName"));
        check("dispalyName", Some("displayName"));
        check("email", Some("emails"));
        check("eqq", Some("eq"));
        check("qe", Some("eq"));
        check("xy", None);
        check("shoeSize", None);
        check("", None);
    }
}
