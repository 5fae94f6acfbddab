//! Every command that a page of the documentation shows is run. `docs/internals/docs.md` has the rules.

mod links;
mod page;
mod session;

use std::path::{Path, PathBuf};

use self::page::{Block, Mark, Page};
use self::session::Session;

/// Folders and files with pages, of the repository.
const PLACES: [&str; 5] = ["README.md", "docs", "sdk/README.md", "models/export/README.md", "policies"];

/// Folders and files in which links are followed.
const LINKED: [&str; 8] =
    ["README.md", "ARCHITECTURE.md", "CONVENTIONS.md", "CHANGELOG.md", "docs", "sdk", "policies", "models"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

/// Every page, in the order of their paths.
fn pages() -> Vec<Page> {
    let root = repository();
    let mut files = Vec::new();
    PLACES.iter().for_each(|place| collect(&root.join(place), &mut files));
    files.sort();
    let page = |file: &PathBuf| {
        let name = file.strip_prefix(&root).expect("it is in the repository").display().to_string();
        let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{name}: {error}"));
        Page::parse(&name, &text).unwrap_or_else(|error| panic!("{error}"))
    };
    files.iter().map(page).collect()
}

/// Markdown at or below a path.
fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).expect("a folder of pages can be read");
        entries.for_each(|entry| collect(&entry.expect("its entries can be read").path(), files));
    } else if path.extension().is_some_and(|extension| extension == "md") {
        files.push(path.to_owned());
    }
}

/// What `MOSEL_TEST_DOCS` asks for.
enum Wanted {
    Quick,
    All,
    /// Slow ones included.
    Page(String),
}

impl Wanted {
    fn read() -> Wanted {
        match std::env::var("MOSEL_TEST_DOCS").ok().filter(|value| !value.is_empty()) {
            None => Wanted::Quick,
            Some(value) if value == "all" => Wanted::All,
            Some(page) => Wanted::Page(page),
        }
    }

    fn has(&self, page: &Page) -> bool {
        !matches!(self, Wanted::Page(name) if *name != page.name)
    }

    fn is_run(&self, block: &Block) -> bool {
        block.is_command() && (!block.has(Mark::Slow) || !matches!(self, Wanted::Quick))
    }
}

#[test]
fn every_command_on_a_page_does_what_the_page_says() {
    let wanted = Wanted::read();
    let pages: Vec<Page> = pages().into_iter().filter(|page| wanted.has(page)).collect();
    assert!(!pages.is_empty(), "MOSEL_TEST_DOCS names no page: expected all, or a page such as README.md");
    let mut failures = Vec::new();
    for page in &pages {
        let blocks: Vec<&Block> = page.blocks.iter().filter(|block| wanted.is_run(block)).collect();
        if !blocks.is_empty() {
            failures.extend(run(page, &blocks).err());
        }
    }
    assert!(failures.is_empty(), "{} pages fail:\n\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn every_link_leads_to_a_file_and_its_heading() {
    let root = repository();
    let mut files = Vec::new();
    LINKED.iter().for_each(|place| collect(&root.join(place), &mut files));
    let broken: Vec<String> = files.iter().flat_map(|file| links::broken(file)).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_page_is_in_the_summary() {
    let docs = repository().join("docs");
    let summary = std::fs::read_to_string(docs.join("SUMMARY.md")).expect("the summary can be read");
    let mut files = Vec::new();
    collect(&docs, &mut files);
    let names = files.iter().filter_map(|file| file.strip_prefix(&docs).ok()?.to_str());
    let missing: Vec<&str> =
        names.filter(|name| *name != "SUMMARY.md" && !summary.contains(&format!("]({name})"))).collect();
    assert!(missing.is_empty(), "expected in docs/SUMMARY.md: {}", missing.join(", "));
}

/// Runs a page up to the first block that fails, and says which and why.
fn run(page: &Page, blocks: &[&Block]) -> Result<(), String> {
    let mut session = Session::begin(&repository())?;
    for block in blocks {
        session.run(block).map_err(|error| format!("{}:{}: {error}", page.name, block.line))?;
    }
    Ok(())
}

fn refusal(text: &str) -> String {
    Page::parse("a.md", text).err().expect("it is refused")
}

#[test]
fn blocks_are_read_with_their_lines_and_marks() {
    let text = "# A\n\n```sh\nls\n```\n\n```sh slow root\nfalse\n\ntrue\n```\n```json\n{}\n```\n~~~\n";
    let page = Page::parse("a.md", text).unwrap();
    let seen: Vec<(usize, &str, bool)> =
        page.blocks.iter().map(|block| (block.line, block.text.as_str(), block.has(Mark::Slow))).collect();
    assert_eq!(seen, [(3, "ls\n", false), (7, "false\n\ntrue\n", true)]);
}

#[test]
fn no_block_escapes() {
    assert_eq!(refusal("```\nls\n```\n"), "a.md:1: expected the kind of a block behind its fence, such as sh or text");
    assert_eq!(
        refusal("x\n```bash\nls\n```\n"),
        "a.md:2: expected a kind of block from docs/internals/docs.md, got bash"
    );
    assert_eq!(refusal("```sh fast\nls\n```\n"), "a.md:1: expected a mark from docs/internals/docs.md, got fast");
    assert_eq!(
        refusal("```sh other\nls\n```\n"),
        "a.md:1: expected a line of comment that says why the block is not run"
    );
    assert_eq!(refusal("```sh\nls\n"), "a.md:1: expected the end of the block");
}

#[test]
fn a_block_that_fails_is_named_and_a_page_goes_on_where_it_was() {
    let run = |text: &str| {
        let page = Page::parse("a.md", text).unwrap();
        run(&page, &page.blocks.iter().collect::<Vec<_>>())
    };
    run("```sh\nmkdir x; cd x; A=1\n```\n```sh fails\nexit 3\n```\n```sh root\ntest -d host\n```\n```sh\ntest $A = 1; ls ../x\n```\n")
        .unwrap();
    let failure = run("```sh\ntrue\n```\n\n```sh\necho so; false | cat\n```\n").unwrap_err();
    assert!(
        failure.starts_with("a.md:5: expected success, got exit status: 1") && failure.ends_with("so"),
        "{failure}"
    );
    let failure = run("```sh fails\ntrue\n```\n").unwrap_err();
    assert!(failure.starts_with("a.md:1: expected a failure, got success"), "{failure}");
}
