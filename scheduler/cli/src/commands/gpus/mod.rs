//! `leasectl gpus`: how they are, and what operators say of them.

mod list;

use crate::args::{AckGpus, End, Gpus, ListGpus, OverrideGpus, WithdrawGpus, Write};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use leasehold_common::api::{self, GpuView, List};
use leasehold_common::time::{Span, Timestamp};
use list::Columns;
use serde::Serialize;

/// Carries out a verb of `gpus`.
///
/// # Errors
/// Those of the client.
pub async fn run(verb: &Gpus, session: &mut Session<'_>) -> Result<Exit, Failure> {
    match verb {
        Gpus::Ls(args) => ls(args, session).await,
        Gpus::Show(args) => {
            let (node, slot) = &args.gpu;
            let path = format!("/v1/gpus/{node}/{slot}");
            session.show::<GpuView>(&path, &()).await
        }
        Gpus::Ack(args) => acknowledge(args, session).await,
        Gpus::Override(args) => override_verdict(args, session).await,
        Gpus::Withdraw(args) => withdraw(args, session).await,
    }
}

async fn ls(args: &ListGpus, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let node = args.node.as_ref().map(|node| format!("node={node}"));
    let unhealthy = args.unhealthy.then(|| "unhealthy=true".to_owned());
    let query: Vec<String> = node.into_iter().chain(unhealthy).collect();
    let path = match query.is_empty() {
        true => "/v1/gpus".to_owned(),
        false => format!("/v1/gpus?{}", query.join("&")),
    };
    let columns = match args.unhealthy {
        true => Columns::Health,
        false => Columns::All,
    };
    session.show::<List<GpuView>>(&path, &columns).await
}

async fn acknowledge(args: &AckGpus, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let (length, until) = args.until.map_or((None, None), split);
    let body = api::AcknowledgeGpus {
        gpus: args.gpus.clone(),
        reason: args.reason.clone(),
        of: args.of.as_deref().map(Into::into),
        length,
        until,
    };
    say("acknowledge", &body, args.dry_run, &args.write, session).await
}

async fn override_verdict(args: &OverrideGpus, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let (length, until) = split(args.until);
    let body = api::OverrideGpus {
        gpus: args.gpus.clone(),
        verdict: args.verdict,
        reason: args.reason.clone(),
        length,
        until,
    };
    say("override", &body, args.dry_run, &args.write, session).await
}

async fn withdraw(args: &WithdrawGpus, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let body = api::WithdrawGpus {
        gpus: args.gpus.clone(),
        reason: args.reason.clone(),
    };
    say("withdraw", &body, args.dry_run, &args.write, session).await
}

const fn split(end: End) -> (Option<Span>, Option<Timestamp>) {
    match end {
        End::After(length) => (Some(length), None),
        End::At(until) => (None, Some(until)),
    }
}

async fn say<B: Serialize>(
    route: &str,
    body: &B,
    dry_run: bool,
    write: &Write,
    session: &mut Session<'_>,
) -> Result<Exit, Failure> {
    let query = if dry_run { "?dry_run=true" } else { "" };
    let path = format!("/v1/gpus/{route}{query}");
    let answer = session.post(&path, body, write).await?;
    if dry_run {
        session.note("dry run: nothing was changed; this is how they are")?;
    }
    session.write::<List<GpuView>>(&answer, &Columns::Health)
}
