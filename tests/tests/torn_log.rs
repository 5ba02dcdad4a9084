//! A placement log whose end was torn, and one that somebody has changed: mended where that is
//! certain, refused where it is not, and never silently.

use leasehold_tests::Cell;
use std::fs::{self, File};
use std::path::Path;

#[test]
fn a_torn_last_line_is_mended_on_start_and_the_log_says_so() {
    let mut cell = with_some_records();
    let log = cell.schedulers[0].log_file();
    let whole = fs::metadata(&log).expect("the log is there").len();
    let torn = 100;
    let file = File::options()
        .write(true)
        .open(&log)
        .expect("the log is there");
    file.set_len(whole - torn).expect("a file can be cut");

    let ctl = cell.ctl();
    let damaged = ctl.run(&["log", "verify", text(&log)]);
    assert_eq!(damaged.exit, 1, "{damaged:?}");
    assert!(damaged.err.contains("torn"), "{damaged:?}");

    cell.schedulers[0].begin();
    ctl.wait_to_lead();
    let report = ctl.verify_to_the_head(&[log]);
    assert_eq!(report.files[0].repaired, 1);
    assert_eq!(
        report.files[0].gaps,
        [],
        "the torn record came back from the store"
    );
    let kept: Vec<_> = fs::read_dir(cell.schedulers[0].log_dir())
        .expect("the scheduler made it")
        .map(|entry| {
            entry
                .expect("a name")
                .file_name()
                .into_string()
                .expect("plain")
        })
        .filter(|name| name.contains("torn"))
        .collect();
    assert_eq!(kept.len(), 1, "what was cut off is kept beside the log");
    assert!(cell.schedulers[0].process().written().contains("mended"));

    ctl.ok(&["accounts", "create", "later", "--side", "tenant"]);
    ctl.verify(&[cell.schedulers[0].log_file()]);
}

#[test]
fn a_changed_byte_keeps_the_scheduler_from_starting() {
    let mut cell = with_some_records();
    let log = cell.schedulers[0].log_file();
    let original = fs::read(&log).expect("the log is there");
    let at = String::from_utf8_lossy(&original)
        .find("account-3")
        .expect("it was created");
    let line = 1 + original[..at].iter().filter(|byte| **byte == b'\n').count();
    let mut changed = original.clone();
    changed[at + "account-".len()] = b'4';
    fs::write(&log, &changed).expect("the log can be written");

    let ctl = cell.ctl();
    let place = format!("{}:{line}:", log.display());
    let verified = ctl.run(&["log", "verify", text(&log)]);
    assert_eq!(verified.exit, 1, "{verified:?}");
    assert!(
        verified.err.contains(&place),
        "{place} is not in {verified:?}"
    );

    cell.schedulers[0].begin();
    let ended = cell.schedulers[0].process().end();
    assert_eq!(ended.code(), Some(1));
    let written = cell.schedulers[0].process().written();
    assert!(written.contains(&place), "{place} is not in {written}");
    assert_eq!(
        fs::read(&log).expect("the log is there"),
        changed,
        "it was not touched"
    );

    fs::write(&log, &original).expect("the log can be written");
    cell.schedulers[0].begin();
    ctl.wait_to_lead();
    ctl.verify(&[log]);
}

/// A cell whose only scheduler has written a few records and was killed.
fn with_some_records() -> Cell {
    let mut cell = Cell::empty();
    for n in 0..6 {
        let name = format!("account-{n}");
        cell.ctl()
            .ok(&["accounts", "create", &name, "--side", "tenant"]);
    }
    cell.schedulers[0].kill();
    cell
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}
