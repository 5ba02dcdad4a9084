//! Commands that need no scheduler.

use crate::server::{Ran, run};
use leasectl::exit::Exit;
use leasehold_common::lease::Digest;
use leasehold_common::log::{
    Attributes, EventName, LogLine, LogRecord, Segment, Subject, canonical,
};
use leasehold_common::time::Timestamp;
use std::path::Path;

/// A socket that nobody listens on.
async fn alone(words: &str) -> Ran {
    run(Path::new("/nonexistent/control.sock"), words, None).await
}

#[tokio::test]
async fn hostlists_are_folded_and_expanded() {
    assert_eq!(alone("fold h002 h001 h[003-004]").await.out, "h[001-004]\n");
    assert_eq!(alone("expand h[9-10] x").await.out, "h9\nh10\nx\n");
    let ran = alone("expand h[3-1]").await;
    assert_eq!(ran.exit, Exit::Usage);
    insta::assert_snapshot!(ran.err, @r#"
    leasectl: "h[3-1]" is no hostlist: range 3-1 at character 3 runs backwards: write 1-3
    "#);
}

#[tokio::test]
async fn completion_knows_the_nouns() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            alone(&format!("completion {shell}"))
                .await
                .out
                .contains("leases"),
            "{shell}"
        );
    }
}

#[tokio::test]
async fn etcd_roles_come_from_an_inventory() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("fleet.csv");
    std::fs::write(&file, "node,hall,row,rack,domain,sku\nh001,a,1,1,1,h200\n").unwrap();
    let ran = alone(&format!(
        "etcd-roles --cell c1 --from-inventory {}",
        file.display()
    ))
    .await;
    assert_eq!(
        (ran.exit, ran.out.lines().count()),
        (Exit::Ok, 4 + 8),
        "{ran:?}"
    );
    assert!(ran.out.lines().all(|line| line.starts_with("etcdctl ")));
    std::fs::write(&file, "node,hall,row,rack,domain,sku\nh 1,a,1,1,1,h200\n").unwrap();
    let ran = alone(&format!(
        "etcd-roles --cell c1 --from-inventory {}",
        file.display()
    ))
    .await;
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Usage, ""));
    assert!(
        ran.err.contains("line 2: node \"h 1\" is not valid"),
        "{}",
        ran.err
    );
}

/// A segment line and three records, as a scheduler writes them.
fn log() -> String {
    let mut prev = Digest::ZERO;
    let segment = LogLine::Segment(Segment {
        cell: "c1".parse().unwrap(),
        host: "ctl-1".into(),
        opened: Timestamp::from_unix_ms(900),
        after: leasehold_common::ids::Seq(0),
        repaired: None,
    });
    let mut text = canonical(&segment.seal(prev).0) + "\n";
    for seq in 1..=3 {
        let record = LogRecord {
            seq: leasehold_common::ids::Seq(seq),
            epoch: leasehold_common::ids::Epoch(1),
            cell: "c1".parse().unwrap(),
            time_unix_nano: LogRecord::nanos(Timestamp::from_unix_ms(1_000)),
            event_name: EventName::AccountChanged,
            subject: Subject {
                account: Some("acme".parse().unwrap()),
                ..Subject::default()
            },
            attributes: Attributes::default(),
            inputs: None,
            why: None,
            writes: std::collections::BTreeMap::new(),
        };
        let (line, hash) = LogLine::Record(Box::new(record)).seal(prev);
        text.push_str(&canonical(&line));
        text.push('\n');
        prev = hash;
    }
    text
}

#[tokio::test]
async fn a_log_verifies_until_one_byte_of_it_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("placements.jsonl");
    std::fs::write(&file, log()).unwrap();
    let ran = alone(&format!("log verify {}", file.display())).await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    assert!(ran.out.contains("ok: 3 records, head 3 b3:"), "{}", ran.out);
    let ran = alone(&format!("log verify -o json {}", file.display())).await;
    assert!(ran.out.contains("\"records\": 3"), "{}", ran.out);

    let mut bytes = log().into_bytes();
    let second_line = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    for flip in [second_line + 40, second_line + 1] {
        bytes[flip] ^= 0x80;
        std::fs::write(&file, &bytes).unwrap();
        bytes[flip] ^= 0x80;
        let ran = alone(&format!("log verify {}", file.display())).await;
        assert_eq!((ran.exit, ran.out.as_str()), (Exit::Failed, ""));
        assert!(ran.err.contains("placements.jsonl:2:"), "{}", ran.err);
    }

    std::fs::write(&file, log().trim_end()).unwrap();
    let ran = alone(&format!("log verify {}", file.display())).await;
    assert_eq!(ran.exit, Exit::Failed);
    assert!(
        ran.err
            .contains("placements.jsonl:4: the last line is torn"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let ran = alone("log verify /nonexistent/log").await;
    assert_eq!(ran.exit, Exit::Failed);
    insta::assert_snapshot!(ran.err, @"
    leasectl: cannot read /nonexistent/log: No such file or directory (os error 2)
    ");
}
