//! Columns of text with nothing drawn around them, so that `awk` and `cut` read them as people do.

use comfy_table::{ContentArrangement, Table as Columns, presets};
use std::borrow::Cow;
use std::fmt::Display;

/// Rows under headings.
#[derive(Debug)]
pub struct Table {
    headings: Vec<Cow<'static, str>>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub fn new(headings: impl IntoIterator<Item = impl Into<Cow<'static, str>>>) -> Self {
        Self {
            headings: headings.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row. A cell without text shows `-`: a gap would shift the columns for `awk`.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter();
        let cells = cells.map(|cell| {
            if cell.is_empty() {
                "-".to_owned()
            } else {
                cell
            }
        });
        self.rows.push(cells.collect());
    }

    /// The text, with or without headings; empty where there is no row.
    pub fn text(&self, headings: bool) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let mut columns = Columns::new();
        columns.load_style(presets::NOTHING);
        columns.set_content_arrangement(ContentArrangement::Disabled);
        if headings {
            columns.set_header(&self.headings);
        }
        columns.add_rows(&self.rows);
        for column in columns.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let lines: Vec<String> = columns
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect();
        lines.join("\n") + "\n"
    }
}

/// The text of a value that may be absent; empty where it is.
pub fn or_none<T: Display>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// `2 nodes`, `1 node`.
pub fn counted(count: impl Into<u64>, noun: &str) -> String {
    match count.into() {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_empty_cells_show() {
        let mut table = Table::new(["NODE", "STATE"]);
        assert_eq!(table.text(true), "");
        table.row(["h001".into(), String::new()]);
        table.row(["h002-with-a-long-name".into(), "leased".into()]);
        insta::assert_snapshot!(table.text(true), @r"
        NODE                   STATE
        h001                   -
        h002-with-a-long-name  leased
        ");
        assert_eq!(table.text(false).lines().count(), 2);
    }
}
