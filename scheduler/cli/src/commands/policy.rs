//! `leasectl policy`: the rules of the house, by version.

use super::explain::DIGEST_SHOWN;
use crate::args::{CheckPolicy, GetPolicy, Policy, PolicyForm, RollbackPolicy, SetPolicy};
use crate::client::Answer;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Show;
use crate::output::table::{Table, counted, or_none};
use crate::output::time::minute;
use crate::session::Session;
use leasehold_common::api::{self, BrokenRule, List, PolicyChange, PolicySummary, PolicyView};
use leasehold_common::policy;
use std::io::Read as _;
use std::path::Path;

/// Carries out a verb of `policy`.
///
/// # Errors
/// Those of the client; a file that is no policy.
pub async fn run(verb: &Policy, session: &mut Session<'_>) -> Result<Exit, Failure> {
    match verb {
        Policy::Get(args) => get(args, session).await,
        Policy::Ls => {
            session
                .show::<List<PolicySummary>>("/v1/policies", &())
                .await
        }
        Policy::Set(args) => set(args, session).await,
        Policy::Check(args) => check(args, session).await,
        Policy::Rollback(args) => rollback(args, session).await,
    }
}

async fn get(args: &GetPolicy, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let path = match args.number {
        Some(number) => format!("/v1/policies/{number}"),
        None => "/v1/policies/current".to_owned(),
    };
    session.show::<PolicyView>(&path, &args.form).await
}

async fn set(args: &SetPolicy, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let body = api::SetPolicy {
        policy: read(&args.file)?,
        why: args.note.clone(),
    };
    let path = dry("/v1/policies", args.dry_run);
    let answer = session.post(&path, &body, &args.write).await?;
    told(&answer, session)
}

async fn rollback(args: &RollbackPolicy, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let body = api::RollbackPolicy {
        to: args.to,
        why: args.note.clone(),
    };
    let path = dry("/v1/policies/rollback", args.dry_run);
    let answer = session.post(&path, &body, &args.write).await?;
    told(&answer, session)
}

async fn check(args: &CheckPolicy, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let body = api::SetPolicy {
        policy: read(&args.file)?,
        why: None,
    };
    let write = crate::args::Write { request_id: None };
    let path = dry("/v1/policies", true);
    let answer = session.post(&path, &body, &write).await?;
    if session.global.output.is_json() {
        return session.write::<PolicyChange>(&answer, &());
    }
    let change: PolicyChange = answer.read()?;
    let digest = change.version.digest;
    writeln!(session.console.out, "the policy can be kept: {digest}")?;
    let stay = stays(&change.breaks, !session.global.no_headers);
    write!(session.console.out, "{stay}")?;
    Ok(Exit::Ok)
}

fn dry(path: &str, dry_run: bool) -> String {
    let query = if dry_run { "?dry_run=true" } else { "" };
    format!("{path}{query}")
}

fn read(path: &Path) -> Result<policy::Policy, Failure> {
    let failed = |source| Failure::File {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map_err(failed)?;
    } else {
        text = std::fs::read_to_string(path).map_err(failed)?;
    }
    policy::Policy::from_text(&text).map_err(|e| Failure::Usage(format!("{}: {e}", path.display())))
}

fn told(answer: &Answer, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let change: PolicyChange = answer.read()?;
    if change.dry_run {
        session.note("dry run: nothing was changed")?;
    }
    session.write::<PolicyChange>(answer, &())
}

impl Show for PolicyView {
    type With = PolicyForm;

    fn text(&self, form: &PolicyForm, _wide: bool, _headings: bool) -> String {
        match form {
            PolicyForm::Toml => self.policy.to_toml(),
            PolicyForm::Json => {
                let text = serde_json::to_string_pretty(&self.policy);
                text.expect("a policy has string keys and no failing fields") + "\n"
            }
        }
    }

    fn names(&self) -> Vec<String> {
        vec![self.version.number.to_string()]
    }
}

impl Show for List<PolicySummary> {
    type With = ();

    fn text(&self, (): &(), wide: bool, headings: bool) -> String {
        let mut table = Table::new(["POLICY", "SET", "BY", "DIGEST", "NOTE"]);
        for version in &self.items {
            let digest = version.digest.to_string();
            let shown = if wide { digest.len() } else { DIGEST_SHOWN };
            table.row([
                named(version),
                or_none(version.at.map(minute)),
                or_none(version.by),
                digest.chars().take(shown).collect(),
                note(version),
            ]);
        }
        table.text(headings)
    }

    fn names(&self) -> Vec<String> {
        self.items.iter().map(|p| p.number.to_string()).collect()
    }
}

fn named(version: &PolicySummary) -> String {
    let current = if version.current { "*" } else { "" };
    format!("{}{current}", version.number)
}

fn note(version: &PolicySummary) -> String {
    let back = version.rolled_back_to.map(|to| format!("back to {to}"));
    let built_in = (version.number == 0).then(|| "built in".to_owned());
    let parts = [built_in, back, version.why.clone()];
    parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
}

impl Show for PolicyChange {
    type With = ();

    fn text(&self, (): &(), _wide: bool, headings: bool) -> String {
        let number = self.version.number;
        let mut text = if self.dry_run {
            format!("policy {number} would be in force\n")
        } else {
            format!("policy {number} is in force\n")
        };
        text.push_str(&stays(&self.breaks, headings));
        text
    }

    fn names(&self) -> Vec<String> {
        vec![self.version.number.to_string()]
    }
}

/// The bookings that stay although the rules would not have allowed them.
fn stays(breaks: &[BrokenRule], headings: bool) -> String {
    match breaks.len() as u64 {
        0 => "every booking keeps its rules\n".to_owned(),
        count => {
            let bookings = counted(count, "booking");
            let table = broken(breaks).text(headings);
            format!("{bookings} would not have been allowed, and stay:\n{table}")
        }
    }
}

fn broken(breaks: &[BrokenRule]) -> Table {
    let mut table = Table::new([
        "LEASE", "ACCOUNT", "STATE", "NODES", "START", "END", "RULE", "DETAIL",
    ]);
    for broken in breaks {
        table.row([
            broken.lease.to_string(),
            broken.account.to_string(),
            broken.state.to_string(),
            broken.nodes.clone(),
            minute(broken.from),
            broken.to.map_or_else(|| "open".to_owned(), minute),
            broken.rule.clone(),
            broken.detail.clone(),
        ]);
    }
    table
}
