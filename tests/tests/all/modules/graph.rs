//! Circles in a graph of names.

use std::collections::{BTreeMap, BTreeSet};

/// Who depends on whom.
pub(crate) type Edges = BTreeMap<String, BTreeSet<String>>;

/// Every set of names that reach each other, with the edges between them, as text.
pub(crate) fn circles(edges: &Edges) -> Vec<String> {
    let reach: BTreeMap<&String, BTreeSet<&String>> = edges.keys().map(|name| (name, reachable(edges, name))).collect();
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for (&name, reached) in &reach {
        let circle: BTreeSet<&String> = reached
            .iter()
            .filter(|other| reach.get(**other).is_some_and(|back| back.contains(name)))
            .copied()
            .collect();
        if circle.len() > 1 && seen.insert(circle.clone()) {
            circles.push(describe(edges, &circle));
        }
    }
    circles
}

fn reachable<'e>(edges: &'e Edges, from: &String) -> BTreeSet<&'e String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&String> = edges.get(from).into_iter().flatten().collect();
    while let Some(name) = open.pop() {
        if reached.insert(name) {
            open.extend(edges.get(name).into_iter().flatten());
        }
    }
    reached
}

fn describe(edges: &Edges, circle: &BTreeSet<&String>) -> String {
    let inside = circle.iter().flat_map(|&from| {
        let to = edges.get(from).into_iter().flatten().filter(|to| circle.contains(to));
        to.map(move |to| format!("{from} -> {to}"))
    });
    let names: Vec<&str> = circle.iter().map(|name| name.as_str()).collect();
    format!("{} ({})", names.join(", "), inside.collect::<Vec<_>>().join(", "))
}
