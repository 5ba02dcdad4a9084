//! An inventory as CSV: which machines there are, where they stand, what they are sold as.
//!
//! ```text
//! node,hall,row,rack,domain,sku
//! h001,hall-a,row-1,rack-01,h001,h200
//! ```
//!
//! The first line names the columns, in any order; `owner` may be among them, and further columns,
//! such as a serial number, are left alone. Empty lines and lines that begin with `#` are passed
//! over. Cells have no quotes: nothing that may stand in one needs them. What the cells say is the
//! scheduler's to judge; here only the form is read, and every mistake of it is told with its line.

use crate::failure::Failure;
use leasehold_common::api::ImportLine;
use std::fmt::{self, Display};
use std::io::Read as _;
use std::path::Path;

/// A line that is not of an inventory's form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadEntry {
    /// Counted from 1.
    pub line: u32,
    /// What is wrong, and what is allowed.
    pub problem: String,
}

impl Display for BadEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

/// The columns an inventory must have.
const COLUMNS: [&str; 6] = ["node", "hall", "row", "rack", "domain", "sku"];

/// Reads an inventory from a file, or from standard input where that is `-`.
///
/// # Errors
/// A file that cannot be read or is no inventory.
pub fn from_file(path: &Path) -> Result<Vec<ImportLine>, Failure> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(|source| Failure::File {
        path: path.to_owned(),
        source,
    })?;
    read(&text).map_err(|problems| Failure::Inventory {
        path: path.to_owned(),
        problems,
    })
}

/// Reads an inventory.
///
/// # Errors
/// Every line that is wrong; a missing column is an error of the first line.
pub fn read(text: &str) -> Result<Vec<ImportLine>, Vec<BadEntry>> {
    let mut lines = (1..)
        .zip(text.trim_start_matches('\u{feff}').lines().map(str::trim))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let columns = Columns::read(lines.next()).map_err(|bad| vec![bad])?;
    let (mut entries, mut bad) = (Vec::new(), Vec::new());
    for (line, text) in lines {
        match columns.entry(line, text) {
            Ok(entry) => entries.push(entry),
            Err(problem) => bad.push(BadEntry { line, problem }),
        }
    }
    if bad.is_empty() {
        Ok(entries)
    } else {
        Err(bad)
    }
}

/// Where each column stands.
struct Columns {
    count: usize,
    required: [usize; 6],
    owner: Option<usize>,
}

impl Columns {
    fn read(first: Option<(u32, &str)>) -> Result<Self, BadEntry> {
        let wanted = COLUMNS.join(",");
        let Some((line, heading)) = first else {
            let problem = format!("empty: the first line must name the columns {wanted}");
            return Err(BadEntry { line: 1, problem });
        };
        let heading: Vec<&str> = heading.split(',').map(str::trim).collect();
        let place = |column: &str| heading.iter().position(|found| *found == column);
        let missing: Vec<&str> = COLUMNS
            .into_iter()
            .filter(|column| place(column).is_none())
            .collect();
        if !missing.is_empty() {
            let problem = format!("no column {}; the columns are {wanted}", missing.join(", "));
            return Err(BadEntry { line, problem });
        }
        let required = COLUMNS.map(|column| place(column).unwrap_or_default());
        Ok(Self {
            count: heading.len(),
            required,
            owner: place("owner"),
        })
    }

    fn entry(&self, line: u32, text: &str) -> Result<ImportLine, String> {
        let cells: Vec<&str> = text.split(',').map(str::trim).collect();
        if cells.len() != self.count {
            let named = self.count;
            return Err(format!(
                "{} cells, but the first line names {named} columns",
                cells.len()
            ));
        }
        let [node, hall, row, rack, domain, sku] = self.required.map(|at| cells[at]);
        Ok(ImportLine {
            line,
            node: node.to_owned(),
            path: format!("{hall}/{row}/{rack}/{domain}"),
            sku: sku.to_owned(),
            owner: self
                .owner
                .map(|at| cells[at])
                .filter(|o| !o.is_empty())
                .map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_may_stand_in_any_order_and_others_are_left_alone() {
        let text = "# fleet\nsku,serial,node,hall,row,rack,domain,owner\n\n\
                    h200,X1,h001,a,1,r1,d1,\nh200,X2,h002,a,1,r1,d2,spare\n";
        let entries = read(text).unwrap();
        let first = &entries[0];
        assert_eq!(
            (
                first.line,
                first.node.as_str(),
                first.path.as_str(),
                &first.owner
            ),
            (4, "h001", "a/1/r1/d1", &None)
        );
        assert_eq!(entries[1].owner.as_deref(), Some("spare"));
    }

    #[test]
    fn every_mistake_of_form_is_told_with_its_line() {
        let text =
            "node,hall,row,rack,domain,sku\nh001,a,1,r1,d1,h200\nh002,a\nh003,a,1,r1,d1,h200,x\n";
        let told: Vec<String> = read(text)
            .unwrap_err()
            .iter()
            .map(BadEntry::to_string)
            .collect();
        assert_eq!(
            told,
            [
                "line 3: 2 cells, but the first line names 6 columns",
                "line 4: 7 cells, but the first line names 6 columns",
            ]
        );
    }

    #[test]
    fn a_missing_column_is_named() {
        let told = read("node,hall,row,rack\n").unwrap_err();
        assert_eq!(
            told[0].to_string(),
            "line 1: no column domain, sku; the columns are node,hall,row,rack,domain,sku"
        );
        assert!(read("").is_err());
    }
}
