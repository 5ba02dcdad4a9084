//! `leasectl ledger`.

use crate::args::{Ledger, RecoverLedger};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Show;
use crate::output::table::counted;
use crate::session::{Session, Unasked};
use leasehold_common::api::{Recover, RecoverReport};
use leasehold_common::hostlist;

/// Carries out a verb of `ledger`.
///
/// # Errors
/// Those of the client; a recovery that was not confirmed.
pub async fn run(verb: &Ledger, session: &mut Session<'_>) -> Result<Exit, Failure> {
    match verb {
        Ledger::Recover(args) => recover(args, session).await,
    }
}

/// Shows what is different first, and goes on only when told to: this raises the epoch.
async fn recover(args: &RecoverLedger, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let body = Recover {
        reason: args.reason.clone(),
    };
    let look = crate::args::Write { request_id: None };
    let answer = session
        .post("/v1/ledger/recover?dry_run=true", &body, &look)
        .await?;
    if args.dry_run {
        return session.write::<RecoverReport>(&answer, &());
    }
    let differences = answer.read::<RecoverReport>()?.text(&(), false, true);
    session.console.err.write_all(differences.as_bytes())?;
    session.confirm("Recover the ledger from the log?", Unasked::Refuse)?;
    let answer = session
        .post("/v1/ledger/recover", &body, &args.write)
        .await?;
    session.write::<RecoverReport>(&answer, &())
}

impl Show for RecoverReport {
    type With = ();

    fn text(&self, (): &(), wide: bool, _headings: bool) -> String {
        let mut lines = vec![
            format!(
                "store at record {}, log at record {}",
                self.store_seq, self.log_seq
            ),
            if self.dry_run {
                format!("epoch {} would become {}", self.epoch_before, self.epoch)
            } else {
                format!(
                    "epoch {} is now {}, record {}",
                    self.epoch_before, self.epoch, self.seq
                )
            },
        ];
        let verb = if self.dry_run {
            "would be brought back"
        } else {
            "brought back"
        };
        let restored = self.restored.len() as u64;
        lines.push(format!(
            "{} {verb} from the log",
            counted(restored, "record")
        ));
        if wide {
            lines.extend(self.restored.iter().map(|key| format!("  {key}")));
        }
        lines.extend(
            self.differences
                .iter()
                .map(|difference| format!("- {difference}")),
        );
        if !self.unknown_leases.is_empty() {
            let nodes = hostlist::fold(self.unknown_leases.iter().map(|node| node.as_str()));
            lines.push(format!(
                "! {nodes} serve leases that nothing knows: quarantined"
            ));
        }
        lines.join("\n") + "\n"
    }

    fn names(&self) -> Vec<String> {
        vec![self.epoch.to_string()]
    }
}
