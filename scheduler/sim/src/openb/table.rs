//! Comma-separated files with a header, read strictly.
//!
//! A field has no quotes and no commas in it: the public trace needs neither. Columns may stand in
//! any order and there may be others, because the lists of the trace differ in those nobody reads.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Why a file could not be used. Each says where.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file could not be read at all.
    #[error("{}: not readable as text", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A column is missing.
    #[error("{}, line 1: no column {column}; there are {there}", file.display())]
    NoColumn {
        /// The file.
        file: PathBuf,
        /// The column.
        column: &'static str,
        /// Those there are.
        there: String,
    },
    /// A line has more or fewer fields than the header.
    #[error("{}, line {line}: {fields} fields, where the header has {expected}", file.display())]
    Width {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Its fields.
        fields: usize,
        /// The header's.
        expected: usize,
    },
    /// A field says something that cannot be.
    #[error("{}, line {line}, field {field}: {value:?} is not {allowed}", file.display())]
    Field {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column.
        field: &'static str,
        /// What it says.
        value: String,
        /// What it might say.
        allowed: String,
    },
    /// There is nothing in it.
    #[error("{}: no line but the header", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
}

/// A file's lines.
#[derive(Debug)]
pub struct Table {
    file: PathBuf,
    header: Vec<String>,
    lines: Vec<Vec<String>>,
}

impl Table {
    /// Reads a file.
    ///
    /// # Errors
    /// Where it cannot be read, has no line, or lines of another width than its header's.
    pub fn read(file: &Path) -> Result<Self, ReadError> {
        let text = std::fs::read_to_string(file).map_err(|source| ReadError::Unreadable {
            file: file.to_owned(),
            source,
        })?;
        Self::parse(file, &text)
    }

    /// Reads text that came from a file.
    ///
    /// # Errors
    /// Where it has no line, or lines of another width than its header's.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ReadError> {
        let split = |line: &str| {
            line.split(',')
                .map(|field| field.trim().to_owned())
                .collect()
        };
        let mut lines = text.trim_end().lines();
        let header: Vec<String> = lines.next().map(split).unwrap_or_default();
        let lines: Vec<Vec<String>> = lines.map(split).collect();
        if lines.is_empty() {
            let file = file.to_owned();
            return Err(ReadError::Empty { file });
        }
        let odd = lines.iter().position(|line| line.len() != header.len());
        if let Some(at) = odd {
            return Err(ReadError::Width {
                file: file.to_owned(),
                line: at + 2,
                fields: lines[at].len(),
                expected: header.len(),
            });
        }
        Ok(Self {
            file: file.to_owned(),
            header,
            lines,
        })
    }

    /// A column by its name.
    ///
    /// # Errors
    /// Where there is none.
    pub fn column(&self, name: &'static str) -> Result<Column, ReadError> {
        self.optional(name).ok_or_else(|| ReadError::NoColumn {
            file: self.file.clone(),
            column: name,
            there: self.header.join(", "),
        })
    }

    /// A column that a file may do without.
    pub fn optional(&self, name: &'static str) -> Option<Column> {
        let at = self.header.iter().position(|column| column == name)?;
        Some(Column { at, name })
    }

    /// Every line, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.lines.len()).map(|at| Row { table: self, at })
    }
}

/// One column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    at: usize,
    name: &'static str,
}

/// One line of a table.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    table: &'a Table,
    at: usize,
}

impl<'a> Row<'a> {
    /// A field as it stands.
    pub fn text(&self, column: Column) -> &'a str {
        &self.table.lines[self.at][column.at]
    }

    /// A whole number within bounds.
    ///
    /// # Errors
    /// Where it is none.
    pub fn number<T>(&self, column: Column, least: T, most: T) -> Result<T, ReadError>
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        let parsed = self.text(column).parse::<T>().ok();
        let inside = parsed.filter(|number| (least..=most).contains(number));
        inside.ok_or_else(|| self.wrong(column, format!("a whole number from {least} to {most}")))
    }

    /// That a field says something that cannot be.
    pub fn wrong(&self, column: Column, allowed: impl Into<String>) -> ReadError {
        ReadError::Field {
            file: self.table.file.clone(),
            line: self.at + 2,
            field: column.name,
            value: self.text(column).chars().take(80).collect(),
            allowed: allowed.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, most: u32) -> String {
        let read = Table::parse(Path::new("nodes.csv"), text).and_then(|table| {
            let gpu = table.column("gpu")?;
            table
                .rows()
                .map(|row| row.number(gpu, 0, most))
                .collect::<Result<Vec<u32>, _>>()
        });
        read.map_or_else(|e| e.to_string(), |numbers| format!("{numbers:?}"))
    }

    #[test]
    fn columns_are_found_by_name() {
        assert_eq!(told("sn,gpu\na,1\nb,2\n", 8), "[1, 2]");
        assert_eq!(told("gpu,sn,more\n1,a,\n2,b,x\n", 8), "[1, 2]");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        assert_eq!(
            told("sn,gpu\na,1\nb,9\n", 8),
            "nodes.csv, line 3, field gpu: \"9\" is not a whole number from 0 to 8"
        );
        assert_eq!(
            told("sn,g\na,1\n", 8),
            "nodes.csv, line 1: no column gpu; there are sn, g"
        );
        assert_eq!(
            told("sn,gpu\na\n", 8),
            "nodes.csv, line 2: 1 fields, where the header has 2"
        );
        assert_eq!(told("sn,gpu\n", 8), "nodes.csv: no line but the header");
    }
}
