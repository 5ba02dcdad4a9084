//! `leasectl log verify`: the hash chain of log files, on this host, with no scheduler asked.

use crate::args::{Format, Log, VerifyLog};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::table::{Table, or_none};
use crate::session::Session;
use leasehold_common::log::{FileReport, Verifier, VerifyReport};
use serde_json::json;

/// Carries out a verb of `log`.
///
/// # Errors
/// A file that cannot be read, or a line that is not right.
pub fn run(verb: &Log, session: &mut Session<'_>) -> Result<Exit, Failure> {
    match verb {
        Log::Verify(args) => verify(args, session),
    }
}

fn verify(args: &VerifyLog, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let mut verifier = Verifier::new();
    for file in &args.files {
        let bytes = std::fs::read(file).map_err(|source| Failure::File {
            path: file.clone(),
            source,
        })?;
        // A byte that is no UTF-8 is a changed byte: what replaces it fails the line's hash.
        verifier.file(
            &file.display().to_string(),
            &String::from_utf8_lossy(&bytes),
        )?;
    }
    let report = verifier.finish();
    let (format, headings) = (session.global.output, !session.global.no_headers);
    let text = match format {
        Format::Table | Format::Wide => files(&report).text(headings) + &summary(&report),
        Format::Json => crate::output::json::indented(&value(&report)) + "\n",
        Format::Jsonl => value(&report) + "\n",
        Format::Name => report
            .files
            .iter()
            .map(|file| format!("{}\n", file.file))
            .collect(),
    };
    session.console.out.write_all(text.as_bytes())?;
    for (first, last) in &report.missing {
        session.note(&format!(
            "records {first} to {last} are in none of these files"
        ))?;
    }
    Ok(Exit::Ok)
}

fn files(report: &VerifyReport) -> Table {
    let mut table = Table::new(["FILE", "RECORDS", "FIRST", "LAST", "GAPS", "REPAIRED"]);
    for file in &report.files {
        table.row([
            file.file.clone(),
            file.records.to_string(),
            or_none(file.range.map(|(first, _)| first)),
            or_none(file.range.map(|(_, last)| last)),
            file.gaps.len().to_string(),
            file.repaired.to_string(),
        ]);
    }
    table
}

/// The head is printed so that it can be held against `leasectl status` and against receipts: a file
/// that was cut at its end shows only there.
fn summary(report: &VerifyReport) -> String {
    match report.head {
        Some((seq, hash)) => format!("ok: {} records, head {seq} {hash}\n", report.records),
        None => "ok: no records\n".to_owned(),
    }
}

fn value(report: &VerifyReport) -> String {
    let ranges = |ranges: &[(_, _)]| -> Vec<_> {
        ranges
            .iter()
            .map(|(first, last)| json!({ "first": first, "last": last }))
            .collect()
    };
    let file = |file: &FileReport| {
        json!({
            "file": file.file,
            "records": file.records,
            "first": file.range.map(|(first, _)| first),
            "last": file.range.map(|(_, last)| last),
            "lastHash": file.last_hash,
            "repaired": file.repaired,
            "gaps": ranges(&file.gaps),
        })
    };
    json!({
        "apiVersion": "v1",
        "kind": "LogVerification",
        "ok": true,
        "records": report.records,
        "head": report.head.map(|(seq, hash)| json!({ "seq": seq, "hash": hash })),
        "missing": ranges(&report.missing),
        "files": report.files.iter().map(file).collect::<Vec<_>>(),
    })
    .to_string()
}
