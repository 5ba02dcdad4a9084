//! What must not be accepted: each wrong input gets a stable code that names field, value and what
//! is allowed, an exit code a script can rely on, and changes nothing.

use leasehold_common::api::{LeaseView, Problem, ProblemCode};
use leasehold_common::lease::LeaseState;
use leasehold_tests::{AllInOne, Ctl, Request};

/// What leasectl is given after `leases create`, its exit code, and the scheduler's code where the
/// mistake is not caught on the command line already.
const TYPED: [(&str, i32, Option<ProblemCode>); 20] = {
    use ProblemCode as P;
    [
        (
            "--account nobody --class on-demand --gpus 1 --sku h200 --for 1h",
            4,
            Some(P::UnknownAccount),
        ),
        (
            "--account acme --class gold --gpus 1 --sku h200 --for 1h",
            2,
            None,
        ),
        (
            "--account acme --class committed --gpus 1 --sku h999 --for 1h",
            2,
            Some(P::UnknownSku),
        ),
        (
            "--account acme --class internal-batch --gpus 1 --sku h200 --for 1h",
            2,
            Some(P::InvalidField),
        ),
        (
            "--account acme --class on-demand --gpus 1 --sku h200 --within planet --for 1h",
            2,
            None,
        ),
        (
            "--account acme --class on-demand --nodes 0 --sku h200 --for 1h",
            2,
            Some(P::InvalidField),
        ),
        (
            "--account acme --class on-demand --nodes -1 --sku h200 --for 1h",
            2,
            None,
        ),
        (
            "--account acme --class on-demand --nodes 125001 --sku h200 --for 1h",
            2,
            Some(P::InvalidField),
        ),
        (
            "--account acme --class on-demand --nodes 99999999999 --sku h200 --for 1h",
            2,
            None,
        ),
        (
            "--account acme --class on-demand --gpus 0 --sku h200 --for 1h",
            2,
            Some(P::InvalidField),
        ),
        (
            "--account acme --class on-demand --gpus 9 --sku h200 --for 1h",
            2,
            Some(P::InvalidField),
        ),
        (
            "--account acme --class on-demand --gpus 1 --nodes 1 --sku h200 --for 1h",
            2,
            None,
        ),
        (
            "--account acme --class on-demand --sku h200 --for 1h",
            2,
            None,
        ),
        (
            "--account acme --class on-demand --gpus 1 --sku h200",
            2,
            Some(P::InvalidField),
        ),
        (
            "--account acme --class on-demand --gpus 1 --sku h200 --for 0s",
            2,
            Some(P::InvalidField),
        ),
        (
            "--account acme --class on-demand --gpus 1 --sku h200 --for 100000d",
            2,
            Some(P::InvalidField),
        ),
        (
            "--account acme --class on-demand --gpus 1 --sku h200 --until 2001-01-01T00:00:00Z",
            2,
            Some(P::InvalidField),
        ),
        (
            "--account acme --class on-demand --gpus 1 --sku h200 --start 2001-01-01T00:00:00Z --for 1h",
            2,
            Some(P::InvalidField),
        ),
        (
            "--account acme --class on-demand --gpus 1 --sku h200 --for 1h --until 2999-01-01T00:00:00Z",
            2,
            None,
        ),
        (
            "--account acme --class on-demand --gpus 1 --sku h200 --for soon",
            2,
            None,
        ),
    ]
};

#[test]
fn a_wrong_request_is_told_why_and_changes_nothing() {
    let cell = cell_with_acme();
    let ctl = cell.ctl();
    let before = snapshot(&ctl);
    for (typed, exit, code) in TYPED {
        let words: Vec<&str> = ["leases", "create"]
            .into_iter()
            .chain(typed.split(' '))
            .collect();
        match code {
            None => {
                let said = ctl.run(&words);
                assert_eq!(said.exit, exit, "{said:?}");
                assert!(!said.err.is_empty(), "{said:?}");
            }
            Some(code) => {
                let problem = ctl.refused(exit, &words);
                assert_eq!(problem.code, code, "{typed}");
                assert_names_field_value_and_allowed(typed, &problem);
            }
        }
        assert_eq!(snapshot(&ctl), before, "{typed}");
    }
}

#[test]
fn an_end_before_its_start_is_refused() {
    let cell = cell_with_acme();
    let ctl = cell.ctl();
    let before = snapshot(&ctl);
    let now = ctl.status().now;
    let hour = leasehold_common::time::Span::from_hours(1);
    let (start, until) = ((now + hour + hour).to_string(), (now + hour).to_string());
    let problem = ctl.refused(
        2,
        &[
            "leases",
            "create",
            "--account",
            "acme",
            "--class",
            "on-demand",
            "--gpus",
            "1",
            "--sku",
            "h200",
            "--start",
            &start,
            "--until",
            &until,
        ],
    );
    assert_eq!(
        (problem.code.clone(), problem.field.as_deref()),
        (ProblemCode::InvalidField, Some("until"))
    );
    assert_names_field_value_and_allowed("until before start", &problem);
    assert_eq!(snapshot(&ctl), before);
}

/// Refusals by policy are decisions: they are in the log with their inputs, and nothing else is
/// changed.
#[test]
fn a_refusal_by_policy_is_logged_and_takes_nothing() {
    let cell = cell_with_acme();
    let ctl = cell.ctl();
    let create = |more: &[&str]| {
        let usual = [
            "leases",
            "create",
            "--account",
            "acme",
            "--class",
            "on-demand",
            "--sku",
            "h200",
            "--for",
            "1h",
        ];
        ctl.refused(6, &[&usual[..], more].concat())
    };
    let (seq, leases) = snapshot(&ctl);
    let quota = create(&["--nodes", "3"]);
    assert_eq!(quota.code, ProblemCode::QuotaExceeded);
    assert_names_field_value_and_allowed("quota", &quota);
    assert_eq!(quota.log_seq.map(|seq| seq.0), Some(seq + 1));
    assert_eq!(snapshot(&ctl), (seq + 1, leases.clone()));
    for (number, count) in [(2, "5"), (3, "125000")] {
        let never = create(&["--nodes", count]);
        assert_eq!(never.code, ProblemCode::NeverFits);
        assert!(!never.reasons.is_empty(), "{never:?}");
        assert_eq!(snapshot(&ctl), (seq + number, leases.clone()));
    }
    ctl.verify(&[cell.log_file()]);
}

#[test]
fn a_body_of_another_form_is_refused() {
    let cell = cell_with_acme();
    let ctl = cell.ctl();
    let before = snapshot(&ctl);
    let lease = |more: &str| {
        format!(
            r#"{{"account":"acme","class":"on-demand","shape":{{"kind":"gpus","count":1}},
            "sku":"h200","for":"1h"{more}}}"#
        )
    };
    let huge = format!(r#"{{"name":"{}"}}"#, "a".repeat(1024 * 1024));
    for (body, status, code, field) in [
        (
            lease(r#","colour":"red""#),
            400,
            ProblemCode::InvalidBody,
            Some("colour"),
        ),
        (
            lease(r#","within":"planet""#),
            422,
            ProblemCode::InvalidField,
            Some("within"),
        ),
        (
            lease(r#","shape":{"kind":"gpus","count":1}"#),
            400,
            ProblemCode::InvalidBody,
            Some("shape"),
        ),
        ("{".to_owned(), 400, ProblemCode::InvalidBody, None),
        ("[]".to_owned(), 400, ProblemCode::InvalidBody, None),
        (huge, 413, ProblemCode::BodyTooLarge, Some("body")),
    ] {
        let shown: String = body.chars().take(160).collect();
        let answer = Request::post("/v1/leases", None, &body).ask(ctl.socket());
        assert_eq!(answer.status, status, "{shown}: {answer:?}");
        assert!(
            answer.head.contains("application/problem+json"),
            "{answer:?}"
        );
        let problem: Problem = answer.json();
        assert_eq!(
            (&problem.code, problem.field.as_deref()),
            (&code, field),
            "{shown}"
        );
        assert_eq!(problem.kind, format!("urn:leasehold:problem:{code}"));
        assert_eq!(snapshot(&ctl), before, "{shown}");
    }
    let lost = Request::get("/v1/unknown").ask(ctl.socket());
    assert_eq!(
        (lost.status, lost.json::<Problem>().code),
        (404, ProblemCode::NoSuchRoute)
    );
}

#[test]
fn an_idempotency_key_stands_for_one_body() {
    let cell = cell_with_acme();
    let ctl = cell.ctl();
    let created = ctl.create(&["--gpus", "2", "--for", "1h", "--request-id", "twice"]);
    let before = ctl.leases().len();
    let again = ctl.create(&["--gpus", "2", "--for", "1h", "--request-id", "twice"]);
    assert_eq!(again.id, created.id);
    let problem = ctl.refused(
        2,
        &[
            "leases",
            "create",
            "--account",
            "acme",
            "--class",
            "on-demand",
            "--gpus",
            "3",
            "--sku",
            "h200",
            "--for",
            "1h",
            "--request-id",
            "twice",
        ],
    );
    assert_eq!(problem.code, ProblemCode::IdempotencyMismatch);
    assert_eq!(ctl.leases().len(), before);
}

#[test]
fn what_is_not_there_or_over_cannot_be_ended() {
    let cell = cell_with_acme();
    let ctl = cell.ctl();
    for words in [
        ["leases", "show", "77"],
        ["leases", "end", "77"],
        ["leases", "cancel", "77"],
    ] {
        assert_eq!(ctl.refused(4, &words).code, ProblemCode::UnknownLease);
    }
    assert_eq!(
        ctl.refused(4, &["nodes", "show", "h999"]).code,
        ProblemCode::UnknownNode
    );
    assert_eq!(
        ctl.refused(4, &["accounts", "show", "nobody"]).code,
        ProblemCode::UnknownAccount
    );
    let twice = ctl.refused(1, &["accounts", "create", "acme", "--side", "internal"]);
    assert_eq!(twice.code, ProblemCode::AccountExists);

    let lease: LeaseView = ctl.create(&["--gpus", "1", "--for", "1h", "--wait"]);
    let id = lease.id.to_string();
    let active = ctl.refused(3, &["leases", "cancel", &id]);
    assert_eq!(active.code, ProblemCode::IllegalState);
    ctl.ok(&["leases", "end", "--now", &id]);
    ctl.wait_for_state(lease.id, LeaseState::Closed);
    assert_eq!(
        ctl.refused(3, &["leases", "end", &id]).code,
        ProblemCode::IllegalState
    );
}

/// More than 64 nodes are not taken away by a slip of the finger.
#[test]
fn a_large_lease_ends_at_once_only_with_its_gpus_typed() {
    let cell = AllInOne::simulating("65xh200");
    let ctl = cell.ctl();
    ctl.ok(&["accounts", "create", "acme", "--side", "tenant"]);
    let lease = ctl.create(&["--nodes", "65", "--for", "1h", "--wait"]);
    let id = lease.id.to_string();
    let end = ["leases", "end", "--now", "--yes", &id];
    assert_eq!(ctl.run(&end).exit, 6, "--yes does not stand for the number");
    let wrong = ctl.run(&[&end[..], &["--confirm-gpus", "8"]].concat());
    assert_eq!(wrong.exit, 6, "{wrong:?}");
    let path = format!("/v1/leases/{id}/end");
    let raw = Request::post(&path, None, r#"{"now":true}"#).ask(ctl.socket());
    assert_eq!(raw.status, 428, "the rule is the scheduler's: {raw:?}");
    assert_eq!(raw.json::<Problem>().code, ProblemCode::ConfirmationNeeded);
    assert_eq!(ctl.lease(lease.id), lease);

    ctl.ok(&[&end[..], &["--confirm-gpus", "520"]].concat());
    ctl.wait_for_state(lease.id, LeaseState::Closed);
}

/// Four nodes, and a tenant that may have two of them.
fn cell_with_acme() -> AllInOne {
    let cell = AllInOne::simulating("4xh200");
    cell.ctl().ok(&[
        "accounts",
        "create",
        "acme",
        "--side",
        "tenant",
        "--quota-gpus",
        "16",
    ]);
    cell
}

/// The last record and all leases: what a refused request must leave alone.
fn snapshot(ctl: &Ctl) -> (u64, Vec<LeaseView>) {
    (ctl.status().seq.0, ctl.leases())
}

fn assert_names_field_value_and_allowed(what: &str, problem: &Problem) {
    let named = [&problem.field, &problem.value, &problem.allowed];
    assert!(
        named.iter().all(|part| part.is_some()),
        "{what}: {problem:?}"
    );
}
