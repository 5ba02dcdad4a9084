//! What a scrape shows of an agent.

use crate::rig::{Rig, until};
use leasehold_common::grant::AckState;
use leasehold_common::time::Span;
use leasehold_daemon::metrics::{MetricsSettings, Page, Pages};
use leasehold_gpu_sim::{Change, Slot};

const HOUR: Span = Span::from_hours(1);

/// The pages of an agent that shows everything.
fn pages(rig: &Rig) -> Pages {
    let settings = MetricsSettings {
        listen: None,
        tenants: true,
    };
    rig.metrics.pages(&"h001".parse().unwrap(), &settings)
}

/// The value of a series, by its name and some of its labels.
fn value(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let is_it = |line: &&str| {
        let has = |(key, value): &(&str, &str)| line.contains(&format!("{key}=\"{value}\""));
        line.starts_with(&format!("{name}{{")) && labels.iter().all(has)
    };
    text.lines().find(is_it)?.rsplit(' ').next()?.parse().ok()
}

/// Waits until a series has a value.
async fn shows(pages: &Pages, name: &str, labels: &[(&str, &str)], wanted: f64) {
    until(&format!("{name} {labels:?} {wanted}"), async || {
        let found = value(&pages.text(Page::Public)?, name, labels)?;
        (found == wanted).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_hung_gpu_is_shown_and_so_are_the_seven_beside_it() {
    let mut rig = Rig::stopped(true).await;
    let pages = pages(&rig);
    rig.start();
    let (hung, sound) = (rig.gpu(1).to_string(), rig.gpu(2).to_string());
    let verdict = "leasehold_agent_gpu_verdict";
    shows(
        &pages,
        verdict,
        &[("UUID", &hung), ("verdict", "healthy")],
        1.0,
    )
    .await;
    shows(&pages, "leasehold_agent_ready", &[("node", "h001")], 1.0).await;

    rig.apply(&Change::SetHung {
        gpu: Slot(1),
        hung: true,
    });
    shows(
        &pages,
        verdict,
        &[("UUID", &hung), ("verdict", "unresponsive")],
        1.0,
    )
    .await;
    shows(
        &pages,
        verdict,
        &[("UUID", &hung), ("verdict", "healthy")],
        0.0,
    )
    .await;
    shows(
        &pages,
        "leasehold_agent_gpu_reasons",
        &[("UUID", &hung)],
        1.0,
    )
    .await;
    let reset = [("UUID", hung.as_str()), ("action", "reset-gpu")];
    shows(&pages, "leasehold_agent_gpu_action", &reset, 1.0).await;
    shows(
        &pages,
        verdict,
        &[("UUID", &sound), ("verdict", "healthy")],
        1.0,
    )
    .await;

    // The hung one's last reading grows old, the others' do not.
    let age = "leasehold_agent_gpu_reading_age_seconds";
    until("an old reading beside a fresh one", async || {
        let text = pages.text(Page::Public)?;
        let old = value(&text, age, &[("UUID", &hung)])?;
        let fresh = value(&text, age, &[("UUID", &sound)])?;
        (old > 0.5 && fresh < 0.5).then_some(())
    })
    .await;
    let text = pages.text(Page::Public).unwrap();
    let calls = value(&text, "leasehold_agent_driver_calls_total", &[]).unwrap();
    let failed = value(&text, "leasehold_agent_driver_call_failures_total", &[]).unwrap();
    assert!(
        calls > failed && failed > 0.0,
        "{calls} calls, {failed} failed"
    );
    rig.stop().await;
}

#[tokio::test]
async fn who_has_a_node_stands_on_the_tenants_page_alone() {
    let mut rig = Rig::stopped(true).await;
    let pages = pages(&rig);
    rig.start();
    rig.issue(&[rig.grant(17, 1, &[2, 3], HOUR)]).await;
    rig.acked(17, AckState::Serving).await;
    rig.clock.advance(Span::from_mins(30));
    let lease = [("lease", "17"), ("account", "acme")];
    let text = until("half an hour of two GPUs", async || {
        let text = pages.text(Page::Tenants)?;
        let seconds = value(&text, "leasehold_agent_lease_gpu_seconds_total", &lease)?;
        (seconds >= 3600.0).then_some(text)
    })
    .await;
    let energy = value(&text, "leasehold_agent_lease_energy_joules_total", &lease);
    assert!(energy.unwrap() > 0.0);
    for slot in [2, 3] {
        let gpu = rig.gpu(slot).to_string();
        let labels = [("lease", "17"), ("UUID", gpu.as_str()), ("side", "tenant")];
        let info = value(&text, "leasehold_agent_lease_info", &labels);
        assert_eq!(info, Some(1.0), "{text}");
    }

    let public = pages.text(Page::Public).unwrap();
    let serving = value(&public, "leasehold_agent_leases", &[("state", "serving")]);
    assert_eq!(serving, Some(1.0));
    for word in ["acme", "lease=\"", "account=\""] {
        assert!(!public.contains(word), "{word} in\n{public}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn losing_the_store_is_shown_with_what_waits_for_it() {
    let mut rig = Rig::stopped(true).await;
    let pages = pages(&rig);
    rig.start();
    shows(&pages, "leasehold_agent_store_contact", &[], 1.0).await;
    shows(&pages, "leasehold_agent_publish_waiting", &[], 0.0).await;
    let reports = "leasehold_agent_published_total";
    shows(&pages, reports, &[("record", "report")], 1.0).await;

    rig.channel.connect(false);
    shows(&pages, "leasehold_agent_store_contact", &[], 0.0).await;
    rig.apply(&Change::LoseGpu { gpu: Slot(0) });
    shows(&pages, "leasehold_agent_publish_waiting", &[], 1.0).await;
    rig.channel.connect(true);
    shows(&pages, "leasehold_agent_store_contact", &[], 1.0).await;
    shows(
        &pages,
        "leasehold_agent_store_contacts_regained_total",
        &[],
        1.0,
    )
    .await;
    shows(&pages, "leasehold_agent_publish_waiting", &[], 0.0).await;
    rig.stop().await;
}

#[tokio::test]
async fn nothing_is_made_for_pages_that_nobody_has_asked_for() {
    let mut rig = Rig::running().await;
    until("a report", async || rig.report().await).await;
    rig.metrics.show(|| unreachable!("nobody may read it"));
    rig.stop().await;
}
