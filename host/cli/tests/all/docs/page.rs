//! A page's fenced blocks.

/// A page, by its path in the repository.
pub(crate) struct Page {
    pub(crate) name: String,
    /// Those of shell, in their order.
    pub(crate) blocks: Vec<Block>,
}

/// A block of shell.
pub(crate) struct Block {
    /// Where its fence is, counted from 1.
    pub(crate) line: usize,
    pub(crate) text: String,
    marks: Vec<Mark>,
}

/// What is said of a block behind `sh`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Server,
    Fails,
    Slow,
    Root,
    Ci,
    Other,
}

/// Blocks that are no commands.
const SHOWN: [&str; 13] =
    ["text", "json", "jsonl", "toml", "rust", "python", "wit", "xml", "prometheus", "http", "mermaid", "make", "diff"];

impl Page {
    /// The page of this text; a block that says nothing of itself, or something unknown, is an error.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Page, String> {
        let mut blocks = Vec::new();
        let mut lines = text.lines().enumerate();
        while let Some((index, line)) = lines.next() {
            let Some(kind) = line.trim_start().strip_prefix("```") else { continue };
            let at = |error: String| format!("{name}:{}: {error}", index + 1);
            let mut body = String::new();
            loop {
                let (_, line) = lines.next().ok_or_else(|| at("expected the end of the block".into()))?;
                if line.trim() == "```" {
                    break;
                }
                body = body + line + "\n";
            }
            if let Some(marks) = marks(kind).map_err(at)? {
                let block = Block { line: index + 1, text: body, marks };
                block.check().map_err(at)?;
                blocks.push(block);
            }
        }
        Ok(Page { name: name.into(), blocks })
    }
}

/// The marks of a block of shell; `None` for another kind.
fn marks(kind: &str) -> Result<Option<Vec<Mark>>, String> {
    let mut words = kind.split([' ', ',']).filter(|word| !word.is_empty());
    match words.next() {
        None => Err("expected the kind of a block behind its fence, such as sh or text".into()),
        Some("sh") => words.map(mark).collect::<Result<_, _>>().map(Some),
        Some(shown) if SHOWN.contains(&shown) => Ok(None),
        Some(unknown) => Err(format!("expected a kind of block from docs/internals/docs.md, got {unknown}")),
    }
}

fn mark(word: &str) -> Result<Mark, String> {
    match word {
        "server" => Ok(Mark::Server),
        "fails" => Ok(Mark::Fails),
        "slow" => Ok(Mark::Slow),
        "root" => Ok(Mark::Root),
        "ci" => Ok(Mark::Ci),
        "other" => Ok(Mark::Other),
        unknown => Err(format!("expected a mark from docs/internals/docs.md, got {unknown}")),
    }
}

impl Block {
    pub(crate) fn has(&self, mark: Mark) -> bool {
        self.marks.contains(&mark)
    }

    /// It is run here, if anywhere.
    pub(crate) fn is_command(&self) -> bool {
        !self.has(Mark::Ci) && !self.has(Mark::Other)
    }

    fn check(&self) -> Result<(), String> {
        let says_why = self.text.lines().any(|line| line.trim_start().starts_with('#'));
        if self.has(Mark::Other) && !says_why {
            return Err("expected a line of comment that says why the block is not run".into());
        }
        Ok(())
    }
}
