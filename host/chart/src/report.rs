//! Report: figures, tables and words as one page that needs nothing else.

mod table;

pub use self::table::Table;

use crate::text::escape;

/// A page of HTML: its styles and figures are in it, there are no scripts, and it asks for nothing from elsewhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Stands at the top, and in the browser's title.
    pub title: String,
    /// Paragraphs below the title.
    pub intro: Vec<String>,
    /// From above to below; with a list of contents if there are several.
    pub sections: Vec<Section>,
}

/// A part of the page, in the order of its fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// Stands above it.
    pub heading: String,
    /// Paragraphs.
    pub paragraphs: Vec<String>,
    /// One below the other.
    pub figures: Vec<Figure>,
    /// What the figures' and tables' words mean: (word, meaning).
    pub definitions: Vec<(String, String)>,
    /// One below the other.
    pub tables: Vec<Table>,
}

/// A drawing with a caption.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    /// What one of this crate's charts has drawn. It is put into the page as it is: nothing else is escaped less.
    pub svg: String,
    /// Stands below it.
    pub caption: String,
}

const STYLE: &str = include_str!("report/style.css");
/// Browsers load nothing and run nothing, whatever a figure holds.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

impl Report {
    /// The page as an HTML document, well-formed as XML too.
    pub fn html(&self) -> String {
        let title = escape(&self.title);
        let sections: String =
            self.sections.iter().enumerate().map(|(number, section)| section.html(number + 1)).collect();
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\"/>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n\
             {}{}{sections}</main>\n</body>\n</html>\n",
            paragraphs(&self.intro),
            self.contents(),
        )
    }

    fn contents(&self) -> String {
        if self.sections.len() < 2 {
            return String::new();
        }
        let entry = |(number, section): (usize, &Section)| {
            format!("<li><a href=\"#s{}\">{}</a></li>\n", number + 1, escape(&section.heading))
        };
        let entries: String = self.sections.iter().enumerate().map(entry).collect();
        format!("<nav>\n<ol>\n{entries}</ol>\n</nav>\n")
    }
}

impl Section {
    fn html(&self, number: usize) -> String {
        let figures: String = self.figures.iter().map(Figure::html).collect();
        let tables: String = self.tables.iter().map(Table::html).collect();
        format!(
            "<section id=\"s{number}\">\n<h2>{}</h2>\n{}{figures}{}{tables}</section>\n",
            escape(&self.heading),
            paragraphs(&self.paragraphs),
            self.definitions(),
        )
    }

    fn definitions(&self) -> String {
        if self.definitions.is_empty() {
            return String::new();
        }
        let entry =
            |(word, meaning): &(String, String)| format!("<dt>{}</dt>\n<dd>{}</dd>\n", escape(word), escape(meaning));
        format!("<dl>\n{}</dl>\n", self.definitions.iter().map(entry).collect::<String>())
    }
}

impl Figure {
    fn html(&self) -> String {
        let caption = match self.caption.as_str() {
            "" => String::new(),
            caption => format!("<figcaption>{}</figcaption>\n", escape(caption)),
        };
        format!("<figure>\n<div class=\"scroll\">\n{}</div>\n{caption}</figure>\n", self.svg)
    }
}

fn paragraphs(paragraphs: &[String]) -> String {
    paragraphs.iter().map(|paragraph| format!("<p>{}</p>\n", escape(paragraph))).collect()
}
