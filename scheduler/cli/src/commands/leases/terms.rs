//! `leasectl leases extend` and `commit`: terms that change after a lease was made.

use crate::args::{CommitLease, ExtendLease};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use leasehold_common::api;

/// Puts the end of a lease off.
///
/// # Errors
/// Those of the client; what is booked behind it is in the problem.
pub async fn extend(args: &ExtendLease, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let body = api::ExtendLease {
        length: args.length,
        until: args.until,
    };
    let query = if args.dry_run { "?dry_run=true" } else { "" };
    let path = format!("/v1/leases/{}/extend{query}", args.id);
    let answer = session.post(&path, &body, &args.write).await?;
    if args.dry_run {
        session.note("dry run: nothing was changed; it could be extended")?;
    }
    super::told(&answer, session)
}

/// Takes the hardware that is held for a lease.
///
/// # Errors
/// Those of the client.
pub async fn commit(args: &CommitLease, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let path = format!("/v1/leases/{}/commit", args.id);
    let nothing = serde_json::json!({});
    let answer = session.post(&path, &nothing, &args.write).await?;
    super::told(&answer, session)
}
