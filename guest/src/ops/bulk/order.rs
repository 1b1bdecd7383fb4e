//! In which order operations run: as sent, but what is referred to before what refers to it.

/// The numbers `0..needs.len()` in steps. Each number comes after all that it needs; numbers that need each other in a circle
/// share a step, in ascending order. Otherwise numbers ascend. Numbers needed must be in range.
///
/// Tarjan's strongly connected components, which come out with what is needed first; on a stack of its own, since the
/// component's is small and a chain of references may be as long as the request.
pub(super) fn steps(needs: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut search = Search { found: vec![None; needs.len()], low: vec![0; needs.len()], open: Vec::new(), next: 0 };
    let mut settled = vec![false; needs.len()];
    let mut steps = Vec::new();
    for root in 0..needs.len() {
        if search.found[root].is_some() {
            continue;
        }
        // Each number on the way, with how many of its needs have been looked at.
        let mut way = vec![(search.enter(root), 0)];
        while let Some((number, seen)) = way.last_mut() {
            let number = *number;
            if let Some(need) = needs[number].get(*seen).copied() {
                *seen += 1;
                match search.found[need] {
                    None => way.push((search.enter(need), 0)),
                    Some(when) if !settled[need] => search.low[number] = search.low[number].min(when),
                    Some(_) => {}
                }
                continue;
            }
            way.pop();
            if let Some((before, _)) = way.last() {
                search.low[*before] = search.low[*before].min(search.low[number]);
            }
            if Some(search.low[number]) == search.found[number] {
                let start = search.open.iter().rposition(|open| *open == number).unwrap_or(0);
                let mut step = search.open.split_off(start);
                for number in &step {
                    settled[*number] = true;
                }
                step.sort_unstable();
                steps.push(step);
            }
        }
    }
    steps
}

/// How far the search is.
struct Search {
    /// When each number was found.
    found: Vec<Option<usize>>,
    /// The earliest open number that can be reached from it.
    low: Vec<usize>,
    /// Found, and not yet in a step.
    open: Vec<usize>,
    next: usize,
}

impl Search {
    fn enter(&mut self, number: usize) -> usize {
        self.found[number] = Some(self.next);
        self.low[number] = self.next;
        self.open.push(number);
        self.next += 1;
        number
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::steps;

    fn check(needs: &[&[usize]], expect: &[&[usize]]) {
        let needs: Vec<Vec<usize>> = needs.iter().map(|needs| needs.to_vec()).collect();
        assert_eq!(steps(&needs), expect);
    }

    #[test]
    fn as_sent_where_nothing_is_needed() {
        check(&[], &[]);
        check(&[&[], &[], &[]], &[&[0], &[1], &[2]]);
        check(&[&[], &[0], &[0, 1]], &[&[0], &[1], &[2]]);
    }

    #[test]
    fn what_is_needed_comes_first() {
        check(&[&[2], &[], &[]], &[&[2], &[0], &[1]]);
        check(&[&[1], &[2], &[]], &[&[2], &[1], &[0]]);
    }

    #[test]
    fn circles_are_one_step() {
        check(&[&[0]], &[&[0]]);
        check(&[&[2], &[], &[0]], &[&[0, 2], &[1]]);
        check(&[&[1], &[2], &[1, 3], &[]], &[&[3], &[1, 2], &[0]]);
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let needs: Vec<Vec<usize>> =
            (1..=100_000).map(|next| if next < 100_000 { vec![next] } else { vec![] }).collect();
        let found = steps(&needs);
        assert_eq!((found.len(), &found[0]), (100_000, &vec![99_999]));
    }

    fn graph() -> impl Strategy<Value = Vec<Vec<usize>>> {
        (1..12_usize).prop_flat_map(|size| vec(vec(0..size, 0..3), size))
    }

    fn reaches(needs: &[Vec<usize>], from: usize, to: usize) -> bool {
        let mut seen = vec![false; needs.len()];
        let mut open = needs[from].clone();
        while let Some(number) = open.pop() {
            if !std::mem::replace(&mut seen[number], true) {
                open.extend(&needs[number]);
            }
        }
        seen[to]
    }

    proptest! {
        #[test]
        fn each_once_after_its_needs_and_together_only_in_circles(needs in graph()) {
            let found = steps(&needs);
            let mut place = vec![None; needs.len()];
            for (at, step) in found.iter().enumerate() {
                for number in step {
                    prop_assert_eq!(place[*number].replace(at), None);
                }
            }
            for (number, needed) in needs.iter().enumerate() {
                prop_assert!(place[number].is_some());
                prop_assert!(needed.iter().all(|need| place[*need] <= place[number]));
            }
            for (a, b) in (0..needs.len()).flat_map(|a| (0..a).map(move |b| (a, b))) {
                let circle = reaches(&needs, a, b) && reaches(&needs, b, a);
                prop_assert_eq!(place[a] == place[b], circle);
            }
        }
    }
}
