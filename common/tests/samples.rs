//! Records as the first version stored them: every later version must read them, and give back what
//! it does not know. A sample is never changed; what a new form writes is a new folder beside `v1`.

use leasehold_common::account::Account;
use leasehold_common::grant::{AckRecord, GrantsRecord};
use leasehold_common::lease::LeaseRecord;
use leasehold_common::ledger::{CommitRecord, LedgerHead};
use leasehold_common::maintenance::MaintenanceRecord;
use leasehold_common::node::{FleetRecord, HealthReport, LiveRecord, NodeReport};
use leasehold_common::policy::PolicyRecord;
use leasehold_common::power::PowerRecord;
use leasehold_common::record::{self, Record};
use serde_json::{Value, json};

/// What is read and written again, as JSON.
fn rewritten<R: Record>(kind: &str, stored: &Value) -> Value {
    let bytes = serde_json::to_vec(stored).expect("a value is writable");
    let read: R = record::decode(&bytes).unwrap_or_else(|e| panic!("{kind}: {e:?}"));
    serde_json::from_slice(&record::encode(&read)).expect("a record is JSON")
}

/// Reads a sample, and holds what is written against it.
fn holds<R: Record>(kind: &str, sample: &str) {
    let stored: Value = serde_json::from_str(sample).expect("a sample is JSON");
    let read: R = record::decode(sample.as_bytes()).unwrap_or_else(|e| panic!("{kind}: {e:?}"));
    let known = serde_json::to_value(&read).expect("a record is JSON");
    assert_eq!(
        known, stored,
        "{kind}: every field of the sample is known, and none is lost"
    );
    assert_eq!(rewritten::<R>(kind, &stored), stored, "{kind}");
}

/// The same with fields that only a later version knows: beside the others, and inside them where
/// the record's own form decides what a key is.
fn keeps_what_it_does_not_know<R: Record>(kind: &str, sample: &str) {
    let mut stored: Value = serde_json::from_str(sample).expect("a sample is JSON");
    let map = stored.as_object_mut().expect("a record is an object");
    map.insert("of_tomorrow".into(), json!({"colour": ["red", 7]}));
    for field in [
        "spec",
        "progress",
        "idempotency",
        "explanation",
        "placement",
        "cpu",
        "versions",
        "steps",
    ] {
        if let Some(inner) = map.get_mut(field) {
            mark(inner);
        }
    }
    map["version"]["written"] = json!(2);
    assert_eq!(rewritten::<R>(kind, &stored), stored, "{kind}");
}

/// Marks a struct, or every struct of a list.
fn mark(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.insert("of_tomorrow".into(), json!(1));
        }
        Value::Array(items) => items.iter_mut().for_each(mark),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn refuses_what_asks_for_more<R: Record>(kind: &str, sample: &str) {
    let mut stored: Value = serde_json::from_str(sample).expect("a sample is JSON");
    stored["version"]["min_reader"] = json!(record::READER + 1);
    let bytes = serde_json::to_vec(&stored).expect("a value is writable");
    let refused = record::decode::<R>(&bytes).err();
    let refused = refused.unwrap_or_else(|| panic!("{kind} of a newer form was read"));
    assert!(
        matches!(refused, record::RecordError::TooNew { .. }),
        "{kind}: {refused:?}"
    );
}

macro_rules! samples {
    ($($name:ident: $record:ty = $file:literal,)+) => {
        $(#[test]
        fn $name() {
            const SAMPLE: &str = include_str!(concat!("samples/v1/", $file));
            holds::<$record>($file, SAMPLE);
            keeps_what_it_does_not_know::<$record>($file, SAMPLE);
            refuses_what_asks_for_more::<$record>($file, SAMPLE);
        })+
    };
}

samples! {
    the_head: LedgerHead = "head.json",
    a_commit: CommitRecord = "commit.json",
    a_lease: LeaseRecord = "lease.json",
    an_account: Account = "account.json",
    a_fleet_node: FleetRecord = "fleet.json",
    a_fleet_node_with_standings_and_words: FleetRecord = "fleet_standing.json",
    the_grants_of_a_node: GrantsRecord = "grants.json",
    words_without_grants: GrantsRecord = "grants_words.json",
    a_node_report: NodeReport = "node.json",
    a_health_report: HealthReport = "health.json",
    a_health_report_with_findings: HealthReport = "health_findings.json",
    acknowledgements: AckRecord = "acks.json",
    liveness: LiveRecord = "live.json",
    a_policy: PolicyRecord = "policy.json",
    a_power_budget: PowerRecord = "power.json",
    a_maintenance: MaintenanceRecord = "maintenance.json",
}

#[test]
fn a_grant_is_read_out_of_the_text_that_was_signed() {
    let stored = include_str!("samples/v1/grants.json");
    let record: GrantsRecord = record::decode(stored.as_bytes()).unwrap();
    let (lease, sealed) = record.grants.first_key_value().unwrap();
    let grant = sealed.open().unwrap();
    assert_eq!((grant.lease, grant.gpus.len()), (*lease, 4));
    // A newer scheduler may say more: it is read past, and the text stays as it was signed.
    let mut newer = sealed.clone();
    newer.payload = newer
        .payload
        .replace("\"rank\"", "\"of_tomorrow\":1,\"rank\"");
    assert_eq!(newer.open().unwrap(), grant);
}
