//! Every bad request says what is wrong, with what, and what is allowed; and changes nothing.

use crate::fixture::{Cell, gpus, minutes, nodes, wish};
use leasehold_common::api::{
    AdmitNodes, CreateAccount, CreateLease, EndLease, ProblemCode as Code, Recover,
};
use leasehold_common::class::{Class, Side};
use leasehold_common::ids::LeaseId;
use leasehold_common::time::{Span, Timestamp};
use leasehold_core::command::{Command, Query};

/// What is asked, and the code, field, value and a part of what is allowed in the answer.
type Row = (
    &'static str,
    Command,
    Code,
    &'static str,
    &'static str,
    &'static str,
);

fn lease(change: impl FnOnce(&mut CreateLease)) -> Command {
    let mut wish = wish(nodes(1));
    change(&mut wish);
    Command::CreateLease(wish)
}

fn rows(now: Timestamp) -> Vec<Row> {
    let year = Span::from_hours(24 * 365);
    let long = Span::from_hours(24 * 365 * 11);
    let (yesterday, tomorrow) = (now - Span::from_hours(24), now + Span::from_hours(24));
    let end = EndLease::default();
    vec![
        (
            "an unknown account",
            lease(|w| w.account = "nobody".parse().unwrap()),
            Code::UnknownAccount,
            "account",
            "nobody",
            "an account there is",
        ),
        (
            "a class of the other side",
            lease(|w| w.class = Class::InternalBatch),
            Code::InvalidField,
            "class",
            "internal-batch",
            "committed, on-demand, spot",
        ),
        (
            "an unknown sku",
            lease(|w| w.sku = "h9000".parse().unwrap()),
            Code::UnknownSku,
            "sku",
            "h9000",
            "gb200",
        ),
        (
            "no nodes",
            lease(|w| w.shape = nodes(0)),
            Code::InvalidField,
            "shape.count",
            "0",
            "1 to 125000 nodes",
        ),
        (
            "more nodes than any cell has",
            lease(|w| w.shape = nodes(u32::MAX)),
            Code::InvalidField,
            "shape.count",
            "4294967295",
            "1 to 125000 nodes",
        ),
        (
            "no GPUs",
            lease(|w| w.shape = gpus(0)),
            Code::InvalidField,
            "shape.count",
            "0",
            "1 to 8 GPUs",
        ),
        (
            "more GPUs than one node has",
            lease(|w| w.shape = gpus(9)),
            Code::InvalidField,
            "shape.count",
            "9",
            "1 to 8 GPUs",
        ),
        (
            "an end before now",
            lease(|w| (w.length, w.until) = (None, Some(yesterday))),
            Code::InvalidField,
            "until",
            "2026-09-20",
            "2026-09-21",
        ),
        (
            "an end before the start",
            lease(|w| {
                w.start = Some(tomorrow);
                (w.length, w.until) = (None, Some(now + minutes(60)));
            }),
            Code::InvalidField,
            "until",
            "2026-09-21",
            "2026-09-22",
        ),
        (
            "both a length and an end",
            lease(|w| w.until = Some(tomorrow)),
            Code::InvalidField,
            "for",
            "2h",
            "only one of for and until",
        ),
        (
            "an open end for a tenant",
            lease(|w| w.length = None),
            Code::InvalidField,
            "for",
            "absent",
            "for or until",
        ),
        (
            "no time at all",
            lease(|w| w.length = Some(Span::ZERO)),
            Code::InvalidField,
            "for",
            "0s",
            "1s to 3653d",
        ),
        (
            "more than ten years",
            lease(|w| w.length = Some(long)),
            Code::InvalidField,
            "for",
            "4015d",
            "1s to 3653d",
        ),
        (
            "a start that is long past",
            lease(|w| w.start = Some(yesterday)),
            Code::InvalidField,
            "start",
            "2026-09-20",
            "or later",
        ),
        (
            "a start in another age",
            lease(|w| w.start = Some(now + long)),
            Code::InvalidField,
            "start",
            "2037",
            "or earlier",
        ),
        (
            "an end in another age",
            lease(|w| {
                (w.length, w.until) = (None, Some(now + long + year));
            }),
            Code::InvalidField,
            "until",
            "2038",
            "2036",
        ),
        (
            "a hold for years",
            lease(|w| w.hold = Some(long)),
            Code::InvalidField,
            "hold",
            "4015d",
            "1s to 1d",
        ),
        (
            "a name with a newline",
            lease(|w| w.name = Some("a\nb".into())),
            Code::InvalidField,
            "name",
            "ab",
            "128 bytes",
        ),
        (
            "a name that is too long",
            lease(|w| w.name = Some("x".repeat(129))),
            Code::InvalidField,
            "name",
            "xxxx",
            "128 bytes",
        ),
        (
            "an account that exists",
            Command::CreateAccount(CreateAccount {
                name: "acme".parse().unwrap(),
                side: Side::Tenant,
                quota_gpus: None,
            }),
            Code::AccountExists,
            "name",
            "acme",
            "no account",
        ),
        (
            "the end of a lease there is not",
            Command::EndLease(LeaseId(99), end),
            Code::UnknownLease,
            "id",
            "99",
            "a lease there is",
        ),
        (
            "the withdrawal of a lease there is not",
            Command::CancelLease(LeaseId(99)),
            Code::UnknownLease,
            "id",
            "99",
            "a lease there is",
        ),
        (
            "the admission of a node nobody knows",
            Command::AdmitNodes(AdmitNodes {
                nodes: "h999".into(),
                reason: None,
            }),
            Code::UnknownNode,
            "nodes",
            "h999",
            "nodes that report",
        ),
        (
            "the admission of no hostlist",
            Command::AdmitNodes(AdmitNodes {
                nodes: "h[001".into(),
                reason: None,
            }),
            Code::InvalidField,
            "nodes",
            "h[001",
            "hostlist",
        ),
    ]
}

#[test]
fn every_bad_request_is_told_the_field_the_value_and_what_is_allowed() {
    let mut cell = Cell::of(4);
    let (stored, log) = (cell.stored.clone(), cell.log.len());
    for (what, command, code, field, value, allowed) in rows(cell.now) {
        let problem = cell.ask(command).expect_err(what);
        assert_eq!(problem.code, code, "{what}: {problem}");
        assert_eq!(problem.field.as_deref(), Some(field), "{what}");
        let said = |text: &Option<String>, wanted: &str| {
            text.as_ref().is_some_and(|text| text.contains(wanted))
        };
        assert!(said(&problem.value, value), "{what}: {:?}", problem.value);
        assert!(
            said(&problem.allowed, allowed),
            "{what}: {:?}",
            problem.allowed
        );
        assert!(
            (400..500).contains(&problem.status),
            "{what}: {}",
            problem.status
        );
    }
    assert_eq!(cell.stored, stored, "nothing has changed");
    assert_eq!(cell.log.len(), log);
}

#[test]
fn a_recovery_that_nobody_needs_is_refused() {
    let mut cell = Cell::of(1);
    let refused = cell.ask(Command::Recover(Recover::default())).unwrap_err();
    assert_eq!(refused.code, Code::NotFrozen);
}

#[test]
fn what_is_asked_about_something_there_is_not_is_refused() {
    let cell = Cell::of(1);
    for (query, code) in [
        (Query::Node("h999".parse().unwrap()), Code::UnknownNode),
        (
            Query::Gpus {
                node: Some("h999".parse().unwrap()),
                unhealthy: false,
            },
            Code::UnknownNode,
        ),
        (
            Query::Account("nobody".parse().unwrap()),
            Code::UnknownAccount,
        ),
        (Query::Lease(LeaseId(99)), Code::UnknownLease),
        (Query::Explain(LeaseId(99)), Code::UnknownLease),
        (Query::Lease(LeaseId(0)), Code::UnknownLease),
    ] {
        let asked = cell.state.look(&query, &crate::fixture::around(), cell.now);
        assert_eq!(asked.unwrap_err().code, code, "{query:?}");
    }
}
