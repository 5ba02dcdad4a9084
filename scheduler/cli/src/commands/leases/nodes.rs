//! `leasectl leases shrink` and `replace`: what a lease gives up while it goes on.

use super::profiles;
use crate::args::{ReplaceNode, ShrinkLease};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::{Session, Unasked};
use leasehold_common::api::{self, LeaseView};
use leasehold_common::lease::Shape;
use serde::Serialize;

/// Takes nodes, GPUs or slices from a lease.
///
/// # Errors
/// Those of the client; it was not confirmed; a profile that is named twice.
pub async fn shrink(args: &ShrinkLease, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let slices = profiles(&args.slices)?;
    let what = match (args.nodes, &args.drop, args.gpus) {
        (Some(count), _, _) => format!("all nodes of lease {} but {count}", args.id),
        (None, Some(list), _) => format!("{list} of lease {}", args.id),
        (None, None, Some(count)) => format!("all GPUs of lease {} but {count}", args.id),
        (None, None, None) => {
            let stay = Shape::slices(slices.clone());
            format!("all slices of lease {} but {stay}", args.id)
        }
    };
    let body = api::ShrinkLease {
        nodes: args.nodes,
        drop: args.drop.clone(),
        gpus: args.gpus,
        slices: (!slices.is_empty()).then_some(slices),
    };
    let change = Change {
        path: format!("/v1/leases/{}/shrink", args.id),
        question: format!("End access at once, without notice, on {what}?"),
        dry_run: args.dry_run,
    };
    change.send(&body, &args.write, session).await
}

/// Gives a lease another node.
///
/// # Errors
/// Those of the client; it was not confirmed.
pub async fn replace(args: &ReplaceNode, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let body = api::ReplaceNode {
        node: args.node.clone(),
        reason: args.reason.clone(),
    };
    let change = Change {
        path: format!("/v1/leases/{}/replace", args.id),
        question: format!(
            "End access of lease {} on {} at once and give it another node?",
            args.id, args.node
        ),
        dry_run: args.dry_run,
    };
    change.send(&body, &args.write, session).await
}

/// A change of a lease's nodes.
struct Change {
    path: String,
    question: String,
    dry_run: bool,
}

impl Change {
    async fn send<B: Serialize + Sync>(
        self,
        body: &B,
        write: &crate::args::Write,
        session: &mut Session<'_>,
    ) -> Result<Exit, Failure> {
        if !self.dry_run {
            session.confirm(&self.question, Unasked::GoOn)?;
            let answer = session.post(&self.path, body, write).await?;
            return super::told(&answer, session);
        }
        let path = format!("{}?dry_run=true", self.path);
        let answer = session.post(&path, body, write).await?;
        session.note("dry run: nothing was changed; this is how it would be")?;
        let now = session.now;
        session.write::<LeaseView>(&answer, &now)?;
        Ok(Exit::Ok)
    }
}
