//! `leasectl leases`: ask for hardware, see what is held, give it back.

mod end;
pub(super) mod show;

use super::wait;
use crate::args::{CancelLease, CreateLease, Leases, ListLeases};
use crate::client::Answer;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::time::minute;
use crate::session::Session;
use leasehold_common::api::{self, LeaseView, List};
use leasehold_common::lease::Shape;

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
        Leases::Cancel(args) => cancel(&args, session).await,
    }
}

/// The request as it goes to the scheduler.
fn request(args: &CreateLease) -> Result<api::CreateLease, Failure> {
    let shape = match (args.nodes, args.gpus) {
        (Some(count), None) => Shape::nodes(count),
        (None, Some(count)) => Shape::gpus(count),
        // The parser asks for exactly one; said again for callers that build the arguments.
        _ => {
            return Err(Failure::Usage(
                "exactly one of --nodes and --gpus is wanted".to_owned(),
            ));
        }
    };
    Ok(api::CreateLease {
        account: args.account.clone(),
        class: args.class,
        shape,
        sku: args.sku.clone(),
        within: args.within,
        start: args.start,
        length: args.length,
        until: args.until,
        host: None,
        gpu_cap_watts: None,
        name: args.name.clone(),
    })
}

async fn create(args: &CreateLease, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let limit = if args.wait { session.waiting() } else { None };
    let answer = session
        .post("/v1/leases", &request(args)?, &args.write)
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
        .post("/v1/leases?dry_run=true", &request(args)?, &args.write)
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
    writeln!(
        session.console.out,
        "lease {} is {}{end}",
        lease.id, lease.state
    )?;
    Ok(Exit::Ok)
}
