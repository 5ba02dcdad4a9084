//! `leasectl events`: the placement log as it is written.

use crate::args::{Events, Format};
use crate::client::{ClientError, EventStream};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::time::second;
use crate::session::Session;
use leasehold_common::ids::Seq;
use leasehold_common::log::LogRecord;
use std::time::Duration;

/// How long to wait before a lost stream is opened again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Shows what has happened, or goes on showing what happens.
///
/// # Errors
/// Those of the client. A stream that was open and is lost is opened again, after the last record
/// seen, for as long as it takes.
pub async fn run(args: &Events, session: &mut Session<'_>) -> Result<Exit, Failure> {
    if !args.follow {
        let answer = session.client.past_events(args.since).await?;
        for line in answer.text()?.lines().filter(|line| !line.is_empty()) {
            show(line, session)?;
        }
        return Ok(Exit::Ok);
    }
    let mut last = args.since;
    let mut stream = session.client.follow_events(last).await?;
    loop {
        match follow(&mut stream, &mut last, session).await {
            Ok(()) => session.note("the scheduler closed the stream; opening it again")?,
            Err(Failure::Client(error)) if error.is_absence() => {
                session.note(&format!("{error}; opening it again"))?;
            }
            Err(failure) => return Err(failure),
        }
        stream = opened_again(last, session).await?;
    }
}

async fn follow(
    stream: &mut EventStream,
    last: &mut Option<Seq>,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    while let Some(event) = stream.next().await? {
        show(&event.data, session)?;
        session.console.out.flush()?;
        *last = event.id.and_then(|id| id.parse().ok()).or(*last);
    }
    Ok(())
}

async fn opened_again(
    last: Option<Seq>,
    session: &Session<'_>,
) -> Result<EventStream, ClientError> {
    loop {
        tokio::time::sleep(AGAIN_AFTER).await;
        match session.client.follow_events(last).await {
            Err(error) if error.is_absence() => {}
            opened_or_refused => return opened_or_refused,
        }
    }
}

fn show(data: &str, session: &mut Session<'_>) -> Result<(), Failure> {
    let line = match session.global.output {
        Format::Json | Format::Jsonl => data.to_owned(),
        Format::Table | Format::Wide | Format::Name => {
            let record =
                serde_json::from_str(data).map_err(|source| ClientError::Form { source })?;
            if session.global.output == Format::Name {
                seq(&record)
            } else {
                line(&record)
            }
        }
    };
    writeln!(session.console.out, "{line}")?;
    Ok(())
}

fn seq(record: &LogRecord) -> String {
    record.seq.to_string()
}

/// `     17  2026-11-22T09:14:02Z  lease.state         lease 7  scheduled → preparing`. Widths are
/// fixed, because a stream has no longest cell.
fn line(record: &LogRecord) -> String {
    let at = record.at().map(second).unwrap_or_default();
    let subject = &record.subject;
    let whom = [
        subject.lease_id.map(|id| format!("lease {id}")),
        subject
            .account
            .as_ref()
            .map(|account| format!("account {account}")),
        subject.node.as_ref().map(|node| format!("node {node}")),
        subject.policy.map(|number| format!("policy {number}")),
        subject.power.as_ref().map(|place| format!("power {place}")),
        subject.maintenance.map(|id| format!("maintenance {id}")),
    ];
    let whom: Vec<String> = whom.into_iter().flatten().collect();
    let what = &record.attributes;
    let moved = match (&what.from, &what.to) {
        (Some(from), Some(to)) => Some(format!("{from} → {to}")),
        (None, Some(to)) => Some(to.clone()),
        (_, None) => None,
    };
    let primary = record.why.as_ref().and_then(|why| why.reason());
    let rest = [
        moved,
        primary.map(|reason| format!("({reason})")),
        what.reason.clone(),
        what.actor
            .as_ref()
            .map(|actor| format!("by uid {}", actor.uid)),
    ];
    let rest: Vec<String> = rest.into_iter().flatten().collect();
    let text = format!(
        "{:>8}  {at:<20}  {:<18}  {:<24}  {}",
        record.seq.0,
        record.event_name,
        whom.join(" "),
        rest.join("  ")
    );
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let record = r#"{"seq":17,"epoch":1,"cell":"c1","time_unix_nano":"1763802842000000000",
            "event_name":"lease.state","subject":{"lease_id":7,"account":"acme"},
            "attributes":{"from":"active","to":"draining","reason":"ended by its holder",
                "actor":{"uid":1001,"role":"operator","request_id":"r1"}},
            "line":"record","prev":"b3:00","hash":"b3:00"}"#;
        let record: LogRecord = serde_json::from_str(record).unwrap();
        assert_eq!(
            line(&record),
            "      17  2025-11-22T09:14:02Z  lease.state         lease 7 account acme      \
             active → draining  ended by its holder  by uid 1001"
        );
    }
}
