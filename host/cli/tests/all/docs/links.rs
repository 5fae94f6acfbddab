//! Links between pages: a relative one leads to a file that is there, and to a heading that the file has.

use std::path::Path;

/// What is wrong with the links of this page, each with its line.
pub(crate) fn broken(page: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(page).expect("a page can be read");
    let faults = prose(&text).flat_map(|(number, line)| {
        let of_line = targets(line).into_iter().filter_map(|target| fault(page, &text, &target));
        of_line.map(move |fault| format!("{}:{number}: {fault}", page.display())).collect::<Vec<_>>()
    });
    faults.collect()
}

fn fault(page: &Path, text: &str, target: &str) -> Option<String> {
    if target.contains("://") {
        return None;
    }
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let file = page.parent().expect("a page is in a folder").join(path);
    if !path.is_empty() && !file.exists() {
        return Some(format!("expected a file at the end of the link {target}, there is none"));
    }
    if heading.is_empty() {
        return None;
    }
    let there = match path {
        "" => has_heading(text, heading),
        _ => std::fs::read_to_string(&file).is_ok_and(|text| has_heading(&text, heading)),
    };
    (!there).then(|| format!("expected a heading at the end of the link {target}, there is none"))
}

/// Where the links of a line lead.
fn targets(line: &str) -> Vec<String> {
    // what stands in backticks is no link, though it may be the text of one
    let line: String = line.split('`').step_by(2).collect();
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

fn has_heading(text: &str, wanted: &str) -> bool {
    let mut headings = prose(text).filter_map(|(_, line)| line.strip_prefix('#'));
    headings.any(|heading| anchor(heading.trim_start_matches('#').trim()) == wanted)
}

/// As a forge names a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|char| char.is_alphanumeric() || " -_".contains(*char));
    kept.map(|char| if char == ' ' { '-' } else { char.to_ascii_lowercase() }).collect()
}

/// The lines outside of blocks, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_block = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        in_block ^= fence;
        !in_block && !fence
    })
}
