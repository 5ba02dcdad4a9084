//! `leasectl leases`: ask for hardware, see what is held, give it back.

mod end;
mod nodes;
pub(super) mod show;
mod terms;

use super::wait;
use crate::args::{CancelLease, CreateLease, Leases, ListLeases, Wanted};
use crate::client::Answer;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::time::minute;
use crate::session::Session;
use leasehold_common::api::{self, LeaseView, List};
use leasehold_common::lease::Shape;
use leasehold_common::mig::MigProfile;
use std::collections::BTreeMap;

/// Carries out a verb of `leases`.
///
/// # Errors
/// Those of the client; an end that was not confirmed.
pub async fn run(verb: Leases, session: &mut Session<'_>) -> Result<Exit, Failure> {
    match verb {
        Leases::Create(args) if args.dry_run => dry_run(&args, session).await,
        Leases::Create(args) => create(&args, session).await,
        Leases::Ls(args) => ls(&args, session).await,
        Leases::Show(args) => {
            let now = session.now;
            session
                .show::<LeaseView>(&format!("/v1/leases/{}", args.id), &now)
                .await
        }
        Leases::End(args) => end::run(&args, session).await,
        Leases::Extend(args) => terms::extend(&args, session).await,
        Leases::Shrink(args) => nodes::shrink(&args, session).await,
        Leases::Replace(args) => nodes::replace(&args, session).await,
        Leases::Commit(args) => terms::commit(&args, session).await,
        Leases::Cancel(args) => cancel(&args, session).await,
    }
}

/// The request as it goes to the scheduler.
pub(super) fn request(wanted: &Wanted) -> Result<api::CreateLease, Failure> {
    let slices = Some(&wanted.slices).filter(|slices| !slices.is_empty());
    let shape = match (wanted.nodes, wanted.gpus, &wanted.unit, slices) {
        (Some(nodes), None, None, None) => Shape::Nodes {
            count: nodes.wanted,
            at_least: nodes.at_least,
            spares: wanted.spares.unwrap_or(0),
            whole: wanted.whole,
        },
        (None, Some(count), None, None) => Shape::gpus(count),
        (None, None, None, Some(slices)) => Shape::slices(profiles(slices)?),
        (None, None, Some(prefix), None) => Shape::Unit {
            prefix: prefix.clone(),
        },
        // The parser asks for exactly one; said again for callers that build the arguments.
        _ => {
            return Err(Failure::Usage(
                "exactly one of --nodes, --gpus, --slice and --unit is wanted".to_owned(),
            ));
        }
    };
    let host = api::WantedHost {
        cpu_milli: wanted.cpus,
        memory_mib: wanted.memory,
    };
    let host = Some(host).filter(|host| *host != api::WantedHost::default());
    Ok(api::CreateLease {
        account: wanted.account.clone(),
        class: wanted.class,
        shape,
        sku: wanted.sku.clone(),
        within: wanted.within,
        start: wanted.start,
        length: wanted.length,
        until: wanted.until,
        host,
        gpu_cap_watts: wanted.power_cap_w,
        hold: wanted.hold,
        name: wanted.name.clone(),
    })
}

/// Slices of each profile once.
fn profiles(slices: &[(MigProfile, u32)]) -> Result<BTreeMap<MigProfile, u32>, Failure> {
    let mut profiles = BTreeMap::new();
    for (profile, count) in slices {
        if profiles.insert(profile.clone(), *count).is_some() {
            return Err(Failure::Usage(format!(
                "--slice: {profile} is given twice, and each profile may be given once"
            )));
        }
    }
    Ok(profiles)
}

async fn create(args: &CreateLease, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let limit = if args.wait { session.waiting() } else { None };
    let answer = session
        .post("/v1/leases", &request(&args.wanted)?, &args.write)
        .await?;
    let now = session.now;
    if !args.wait {
        return session.write::<LeaseView>(&answer, &now);
    }
    let (answer, exit) = wait::until_active(answer, limit, session).await?;
    session.write::<LeaseView>(&answer, &now)?;
    Ok(exit)
}

/// Shows the lease as it would be, with the exit code of the decision: 0 would be placed, 7 would
/// wait. What could never be is a refusal, and 6.
async fn dry_run(args: &CreateLease, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let answer = session
        .post(
            "/v1/leases?dry_run=true",
            &request(&args.wanted)?,
            &args.write,
        )
        .await?;
    session.note("dry run: nothing was changed; this is how it would be")?;
    let now = session.now;
    session.write::<LeaseView>(&answer, &now)?;
    let placed = answer.read::<LeaseView>()?.state.holds_hardware();
    Ok(if placed { Exit::Ok } else { Exit::Pending })
}

async fn ls(args: &ListLeases, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let filters = [
        args.all.then(|| "all=true".to_owned()),
        args.account
            .as_ref()
            .map(|account| format!("account={account}")),
        args.state.map(|state| format!("state={state}")),
    ];
    let query = filters.into_iter().flatten().collect::<Vec<_>>().join("&");
    let path = if query.is_empty() {
        "/v1/leases".into()
    } else {
        format!("/v1/leases?{query}")
    };
    let now = session.now;
    session.show::<List<LeaseView>>(&path, &now).await
}

async fn cancel(args: &CancelLease, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let path = format!("/v1/leases/{}/cancel", args.id);
    let answer = session
        .post(&path, &serde_json::json!({}), &args.write)
        .await?;
    told(&answer, session)
}

/// Writes a lease that was changed: in one line for people, whole for programs.
fn told(answer: &Answer, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let now = session.now;
    if session.global.output != crate::args::Format::Table {
        return session.write::<LeaseView>(answer, &now);
    }
    let lease: LeaseView = answer.read()?;
    let end = lease
        .end
        .filter(|_| lease.state.has_grants())
        .map(|end| format!(", access ends {}", minute(end)))
        .unwrap_or_default();
    let held = lease.held_until;
    let held = held.map(|at| format!(", held until {}", minute(at)));
    let end = held.unwrap_or_default() + &end;
    writeln!(
        session.console.out,
        "lease {} is {}{end}",
        lease.id, lease.state
    )?;
    Ok(Exit::Ok)
}
