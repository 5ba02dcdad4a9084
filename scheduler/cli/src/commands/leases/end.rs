//! `leasectl leases end`: the one command that takes hardware away from somebody.

use crate::args::EndLease;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::{Session, Unasked};
use leasehold_common::api::{self, LeaseView};
use leasehold_common::lease::LeaseState;

/// Above this many nodes, an end without notice wants the number of GPUs typed. The scheduler has the same rule
/// for all of its clients; asking here as well saves the round trip and gives the number.
const NODES_UNCONFIRMED_MAX: u64 = 64;

/// Ends a lease: says what will happen, asks where there is somebody to ask, and does it.
///
/// # Errors
/// Those of the client; the end was not confirmed.
pub async fn run(args: &EndLease, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let lease: LeaseView = session
        .client
        .get(&format!("/v1/leases/{}", args.id))
        .await?
        .read()?;
    let mut confirm_gpus = args.confirm_gpus;
    // A lease that is still preparing has no holder to be told: it ends at once in any case.
    let at_once = args.now || lease.state == LeaseState::Preparing;
    if at_once && lease.node_count > NODES_UNCONFIRMED_MAX {
        confirm_gpus = Some(typed(&lease, confirm_gpus, session)?);
    } else {
        session.confirm(&question(&lease, at_once), Unasked::GoOn)?;
    }
    let body = api::EndLease {
        now: args.now,
        confirm_gpus,
    };
    let path = format!("/v1/leases/{}/end", args.id);
    let answer = session.post(&path, &body, &args.write).await?;
    super::told(&answer, session)
}

/// `End lease 7 of acme (on-demand, active, 4 nodes: h[001-004]) with 2h notice?`
fn question(lease: &LeaseView, at_once: bool) -> String {
    let LeaseView {
        id,
        account,
        class,
        state,
        shape,
        nodes,
        ..
    } = lease;
    let place = if nodes.is_empty() {
        String::new()
    } else {
        format!(": {nodes}")
    };
    let when = if at_once {
        "at once, without notice".to_owned()
    } else {
        format!("with {} notice", class.notice())
    };
    format!("End lease {id} of {account} ({class}, {state}, {shape}{place}) {when}?")
}

/// The number of GPUs, as typed: on the command line, or now. `--yes` does not stand for it.
fn typed(lease: &LeaseView, given: Option<u64>, session: &mut Session<'_>) -> Result<u64, Failure> {
    let LeaseView {
        id,
        account,
        gpu_count,
        node_count,
        ..
    } = lease;
    let what = format!("lease {id} of {account} holds {gpu_count} GPUs on {node_count} nodes");
    let given = match given {
        Some(count) => count.to_string(),
        None => session
            .console
            .question(&format!(
                "{what}. Type the number of GPUs to end it at once: "
            ))?
            .ok_or_else(|| {
                Failure::NotConfirmed(format!(
                    "{what}; to end it at once takes --confirm-gpus {gpu_count}"
                ))
            })?,
    };
    if given == gpu_count.to_string() {
        Ok(*gpu_count)
    } else {
        Err(Failure::NotConfirmed(format!("{what}, not {given:?}")))
    }
}
