//! The page: well-formed, escaped, in need of nothing.

use roxmltree::{Document, Node, ParsingOptions};

use super::NASTY;
use super::any::one_line;
use crate::Report;
use crate::report::{Figure, Section, Table};

fn report(words: &str) -> Report {
    let words = words.to_owned();
    let section = Section {
        heading: words.clone(),
        paragraphs: vec![words.clone()],
        figures: vec![Figure { svg: one_line(&words, &[(0.0, 1.0), (1.0, 2.0)]).svg(), caption: words.clone() }],
        definitions: vec![(words.clone(), words.clone())],
        tables: vec![Table { caption: words.clone(), header: vec![words.clone()], rows: vec![vec![words.clone()]] }],
    };
    Report { title: words.clone(), intro: vec![words], sections: vec![section.clone(), section] }
}

/// The words of every element of this name.
fn texts<'a>(document: &'a Document, name: &str) -> Vec<&'a str> {
    let nodes = document.descendants().filter(|node| node.tag_name().name() == name);
    nodes.map(|node| node.text().unwrap_or_default()).collect()
}

fn parse(html: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(html, options).unwrap_or_else(|error| panic!("not well-formed, {error}: {html}"))
}

#[test]
fn words_are_escaped_wherever_they_stand() {
    let html = report(NASTY).html();
    let document = parse(&html);
    for (name, count) in [
        ("h1", 1),
        ("h2", 2),
        ("p", 3),
        ("figcaption", 2),
        ("dt", 2),
        ("dd", 2),
        ("th", 2),
        ("td", 2),
        ("caption", 2),
        ("a", 2),
    ] {
        assert_eq!(texts(&document, name), vec![NASTY; count], "{name}");
    }
}

#[test]
fn the_page_needs_nothing_from_elsewhere_and_runs_nothing() {
    let html = report("plain").html();
    let document = parse(&html);
    let elements = || document.descendants().filter(Node::is_element);
    assert!(elements().all(|node| !matches!(node.tag_name().name(), "script" | "link" | "img" | "iframe" | "object")));
    for attribute in elements().flat_map(|node| node.attributes()) {
        assert!(!matches!(attribute.name(), "href" | "src") || attribute.value().starts_with('#'), "{attribute:?}");
        assert!(!attribute.name().starts_with("on"), "{attribute:?}");
    }
    assert!(!html.contains("url(") && !html.contains("@import"));
}

#[test]
fn every_entry_of_the_contents_leads_to_a_section() {
    let html = report("plain").html();
    let document = parse(&html);
    let ids: Vec<&str> = document.descendants().filter_map(|node| node.attribute("id")).collect();
    let links: Vec<&str> = document.descendants().filter_map(|node| node.attribute("href")).collect();
    assert_eq!(links.len(), 2);
    assert!(links.iter().all(|link| ids.contains(&link.trim_start_matches('#'))), "{links:?} and {ids:?}");
}

#[test]
fn the_same_report_has_the_same_bytes() {
    assert_eq!(report("same").html(), report("same").html());
}
