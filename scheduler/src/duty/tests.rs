//! A scheduler whose clock cannot be trusted, over the embedded store.

use super::*;
use crate::control::Service as _;
use crate::log_file::{LogSettings, PlacementLog};
use leasehold_common::api::{CreateAccount, Problem, ProblemCode};
use leasehold_common::class::Side;
use leasehold_common::log::Actor;
use leasehold_common::policy::Policy;
use leasehold_common::sku::SkuCatalogue;
use leasehold_common::time::Timestamp;
use leasehold_core::command::{Command, Query, View, Write, Written};
use leasehold_store::embedded::EmbeddedStore;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, Default)]
struct FakeClock {
    wrong: AtomicBool,
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(1_800_000_000_000)
    }

    fn distrust(&self) -> Option<String> {
        let wrong = self.wrong.load(Ordering::Relaxed);
        wrong.then(|| "nothing keeps it in step".to_owned())
    }
}

async fn scheduler(folder: &Path, clock: &Arc<FakeClock>, shutdown: &CancellationToken) -> Desk {
    let cell: leasehold_common::ids::CellName = "c1".parse().unwrap();
    let log = LogSettings {
        path: folder.join("placements.jsonl"),
        cell: cell.clone(),
        host: "ctl1".into(),
        rotate_bytes: u64::MAX,
    };
    let (log, _) = PlacementLog::open(log, clock.now()).unwrap();
    let journal = Journal::new(log);
    let (desk, messages) = Desk::new(journal.clone());
    let settings = DutySettings {
        core: CoreSettings {
            cell,
            host: "ctl1".into(),
            skus: SkuCatalogue::built_in(),
            policy: Policy {
                turnaround: Span::ZERO,
                ..Policy::default()
            },
            liveness: leasehold_core::Liveness::default(),
            prepare_lead: Span::from_mins(1),
        },
        leader_ttl: Span::from_secs(12),
        alerts: Vec::new(),
    };
    let store = EmbeddedStore::open(&folder.join("store.redb"))
        .await
        .unwrap();
    let clock: Arc<dyn Clock> = clock.clone();
    let stop = shutdown.clone();
    tokio::spawn(serve(
        settings,
        Arc::new(store),
        journal,
        clock,
        messages,
        Metrics::default(),
        stop,
    ));
    desk
}

async fn create(desk: &Desk, name: &str) -> Result<Written, Problem> {
    let wish = CreateAccount {
        name: name.parse().unwrap(),
        side: Side::Tenant,
        quota_gpus: None,
    };
    let write = Write {
        command: Command::CreateAccount(wish),
        idempotency: None,
        dry_run: false,
        if_match: None,
    };
    let actor = Actor {
        uid: 0,
        role: "owner".into(),
        request_id: "r1".into(),
        idempotency_key: None,
    };
    desk.submit(actor, write).await
}

/// Asks again and again until the answer is one that `is_it`; each answer takes its time.
async fn until(desk: &Desk, name: &str, is_it: impl Fn(&Result<Written, Problem>) -> bool) {
    let asked = async {
        while !is_it(&create(desk, name).await) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asked)
        .await
        .expect("it comes to that within a minute");
}

#[tokio::test]
async fn nothing_is_decided_while_the_clock_cannot_be_trusted_and_the_answer_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FakeClock::default());
    let shutdown = CancellationToken::new();
    clock.wrong.store(true, Ordering::Relaxed);
    let desk = scheduler(folder.path(), &clock, &shutdown).await;

    let refused = create(&desk, "acme").await.unwrap_err();
    assert_eq!(refused.code, ProblemCode::NotLeader);
    assert!(
        refused.detail.contains("nothing keeps it in step"),
        "{refused}"
    );
    match desk.read(Query::Status).await.unwrap() {
        View::Status(status) => assert!(
            status.alerts.iter().any(|a| a.contains("in step")),
            "{status:?}"
        ),
        other => panic!("{other:?}"),
    }

    clock.wrong.store(false, Ordering::Relaxed);
    until(&desk, "acme", Result::is_ok).await;

    // A leader lays its office down, and takes it up again.
    clock.wrong.store(true, Ordering::Relaxed);
    let says_why = |answer: &Result<Written, Problem>| {
        let said = answer.as_ref().err();
        said.is_some_and(|problem| problem.detail.contains("nothing keeps it in step"))
    };
    until(&desk, "globex", says_why).await;
    clock.wrong.store(false, Ordering::Relaxed);
    until(&desk, "initech", Result::is_ok).await;
    shutdown.cancel();
}
