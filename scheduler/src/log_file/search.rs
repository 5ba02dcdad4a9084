//! Finding what the ledger no longer has.

use super::error::{LogFileError, system};
use super::files;
use leasehold_common::keys::Key;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::Path;

/// The last value that the log's files beside `path` have under `key`, before it was removed or as
/// it still is; `None` where they have none. Reads the newest file first and no further than needed,
/// but the last file it reads from end to end: this is for questions, not for decisions.
///
/// # Errors
/// The system's.
pub fn last_write(path: &Path, key: &Key) -> Result<Option<Value>, LogFileError> {
    // The current file before the list of older ones, so that a rotation in between hides none.
    let current = match File::open(path) {
        Ok(file) => Some(file),
        Err(e) if e.kind() == ErrorKind::NotFound => None,
        Err(e) => return Err(system("open", path)(e)),
    };
    if let Some(file) = current
        && let Some(value) = last_in(file, path, key)?
    {
        return Ok(Some(value));
    }
    for older in files::older(path)?.into_iter().rev() {
        let file = File::open(&older.path).map_err(system("open", &older.path))?;
        if let Some(value) = last_in(file, &older.path, key)? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

fn last_in(file: File, path: &Path, key: &Key) -> Result<Option<Value>, LogFileError> {
    let key = key.to_string();
    let quoted = format!("\"{key}\"");
    let mut lines = BufReader::with_capacity(1 << 16, file);
    let (mut line, mut found) = (String::new(), None);
    loop {
        line.clear();
        if lines.read_line(&mut line).map_err(system("read", path))? == 0 {
            return Ok(found);
        }
        // Few lines name the key, and a search in text is cheap beside reading JSON. What cannot be
        // read is the torn end of a line that is being written.
        if line.contains(&quoted)
            && let Ok(mut record) = serde_json::from_str::<Value>(&line)
            && let Some(value) = record.pointer_mut("/writes").and_then(|w| w.get_mut(&key))
            && !value.is_null()
        {
            found = Some(value.take());
        }
    }
}
