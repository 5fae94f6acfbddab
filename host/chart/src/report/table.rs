//! A table of a report.

use crate::text::escape;

/// Rows of cells. A column that mostly holds numbers stands at the right.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Stands above it.
    pub caption: String,
    /// What the columns hold.
    pub header: Vec<String>,
    /// Missing cells at the end of a row are empty.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn html(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).chain([self.header.len()]).max().unwrap_or(0);
        let numeric: Vec<bool> = (0..columns).map(|column| self.is_numeric(column)).collect();
        let caption = match self.caption.as_str() {
            "" => String::new(),
            caption => format!("<caption>{}</caption>\n", escape(caption)),
        };
        let head = row(&self.header, &numeric, "th scope=\"col\"", "th");
        let body: String = self.rows.iter().map(|cells| row(cells, &numeric, "td", "td")).collect();
        format!(
            "<div class=\"scroll\">\n<table>\n{caption}<thead>\n{head}</thead>\n<tbody>\n{body}</tbody>\n</table>\n</div>\n"
        )
    }

    /// Whether most cells of the column that say something are numbers.
    fn is_numeric(&self, column: usize) -> bool {
        let cells = self.rows.iter().filter_map(|row| row.get(column)).filter(|cell| !is_blank(cell));
        let (numbers, others): (Vec<&String>, Vec<&String>) = cells.partition(|cell| is_number(cell));
        numbers.len() > others.len()
    }
}

fn row(cells: &[String], numeric: &[bool], open: &str, close: &str) -> String {
    let cell = |(column, numeric): (usize, &bool)| {
        let class = if *numeric { " class=\"number\"" } else { "" };
        format!("<{open}{class}>{}</{close}>", escape(cells.get(column).map_or("", String::as_str)))
    };
    format!("<tr>{}</tr>\n", numeric.iter().enumerate().map(cell).collect::<String>())
}

/// Whether a cell says that there is nothing.
fn is_blank(cell: &str) -> bool {
    matches!(cell.trim(), "" | "-" | "–" | "—" | "n/a")
}

/// Whether a cell begins with a digit, behind signs and the like: "12.3 ms", "−0.4 %", "≥ 3", "(1.2 to 3.4)".
fn is_number(cell: &str) -> bool {
    let signs = ['+', '-', '−', '±', '<', '>', '≤', '≥', '~', '≈', '(', '[', '.', ' ', '\u{a0}'];
    cell.trim_start_matches(signs).starts_with(|letter: char| letter.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&[&str]]) -> Table {
        let cells = |row: &&[&str]| row.iter().map(|cell| (*cell).to_owned()).collect();
        Table { rows: rows.iter().map(cells).collect(), ..Table::default() }
    }

    #[test]
    fn numbers_stand_at_the_right_and_words_at_the_left() {
        let table = table(&[
            &["greedy", "93.1 %", "1"],
            &["exact", "–", "all"],
            &["ilp", "−0.4", "none"],
            &["4th", ">3 ms", ""],
        ]);
        assert_eq!([0, 1, 2].map(|column| table.is_numeric(column)), [false, true, false]);
    }

    #[test]
    fn every_row_has_a_cell_in_every_column() {
        let html = table(&[&["a"], &["b", "1", "2"]]).html();
        assert!(html.contains("<tr><td>a</td><td class=\"number\"></td><td class=\"number\"></td></tr>"), "{html}");
    }
}
