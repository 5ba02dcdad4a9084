//! `leasectl etcd-roles`: one etcd user and role per agent, so that a mistake on one node stays
//! there. This is a fence against mistakes, not against a hostile node.
//!
//! An agent may read and write exactly four keys of its own and read its grants; the schedulers have
//! the whole prefix of the cell. Users have no password: with `--client-cert-auth`, the CN of the
//! certificate is the user.

use crate::args::EtcdRoles;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::inventory;
use crate::session::Session;
use leasehold_common::api::{List, NodeView, Status};
use leasehold_common::ids::{CellName, NodeName};
use leasehold_common::keys::{Folder, Key, KeySpace};
use leasehold_common::time::Span;
use std::process::Stdio;
use tokio::process::Command;

/// Prints the commands, or runs them.
///
/// # Errors
/// Those of the client and of the inventory; the first command that etcd refuses.
pub async fn run(args: &EtcdRoles, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let cell = match &args.cell {
        Some(cell) => cell.clone(),
        None => {
            session
                .client
                .get("/v1/status")
                .await?
                .read::<Status>()?
                .cell
        }
    };
    let nodes = nodes(args, session).await?;
    let commands = commands(&cell, args.scheduler_user.as_str(), &nodes);
    for command in &commands {
        if args.apply {
            apply(command, args.endpoints.as_deref(), session.answer_timeout()).await?;
        } else {
            writeln!(session.console.out, "etcdctl {}", command.join(" "))?;
        }
    }
    if args.apply {
        let done = format!("{} users and roles are in place", nodes.len() + 1);
        writeln!(session.console.out, "{done}")?;
    } else {
        session.note("users count once authentication is on: etcdctl auth enable")?;
    }
    Ok(Exit::Ok)
}

async fn nodes(args: &EtcdRoles, session: &Session<'_>) -> Result<Vec<NodeName>, Failure> {
    let Some(file) = &args.from_inventory else {
        let nodes: List<NodeView> = session.client.get("/v1/nodes").await?.read()?;
        return Ok(nodes.items.into_iter().map(|node| node.name).collect());
    };
    let (mut names, mut problems) = (Vec::new(), Vec::new());
    for entry in inventory::from_file(file)? {
        match entry.node.parse::<NodeName>() {
            Ok(name) => names.push(name),
            Err(bad) => {
                let problem = bad.to_string();
                problems.push(inventory::BadEntry {
                    line: entry.line,
                    problem,
                });
            }
        }
    }
    if problems.is_empty() {
        Ok(names)
    } else {
        Err(Failure::Inventory {
            path: file.clone(),
            problems,
        })
    }
}

/// What to tell etcd, each command as the words after `etcdctl`. Every word is free of white space
/// and of what a shell would read: names are checked.
fn commands(cell: &CellName, scheduler: &str, nodes: &[NodeName]) -> Vec<Vec<String>> {
    let space = KeySpace::new(cell);
    let everything = space.folder(Folder::All);
    let mut commands = Vec::with_capacity(4 + 8 * nodes.len());
    let mut say = |words: &[&str]| commands.push(words.iter().map(|w| (*w).to_owned()).collect());
    let role = format!("leasehold-scheduler-{cell}");
    say(&["role", "add", &role]);
    say(&[
        "role",
        "grant-permission",
        "--prefix=true",
        &role,
        "readwrite",
        &everything,
    ]);
    say(&["user", "add", "--no-password=true", scheduler]);
    say(&["user", "grant-role", scheduler, &role]);
    for node in nodes {
        let role = format!("leasehold-agent-{cell}-{node}");
        say(&["role", "add", &role]);
        for own in [Key::Node, Key::Health, Key::Acks, Key::Live] {
            let key = space.key(&own(node.clone()));
            say(&["role", "grant-permission", &role, "readwrite", &key]);
        }
        let grants = space.key(&Key::Grants(node.clone()));
        say(&["role", "grant-permission", &role, "read", &grants]);
        say(&["user", "add", "--no-password=true", node.as_str()]);
        say(&["user", "grant-role", node.as_str(), &role]);
    }
    commands
}

/// Runs one command. What is there already is as good as done, so the whole can be repeated. Where
/// no etcd listens, `etcdctl role add` tries for ever; the deadline is ours.
async fn apply(words: &[String], endpoints: Option<&str>, deadline: Span) -> Result<(), Failure> {
    let mut command = Command::new("etcdctl");
    command
        .env("ETCDCTL_API", "3")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(endpoints) = endpoints {
        command.arg("--endpoints").arg(endpoints);
    }
    let failed = |detail: String| Failure::Etcdctl {
        command: format!("etcdctl {}", words.join(" ")),
        detail,
    };
    let ran = tokio::time::timeout(deadline.std(), command.args(words).output())
        .await
        .map_err(|_| failed(format!("not done within {deadline}")))?
        .map_err(|error| failed(error.to_string()))?;
    let said = String::from_utf8_lossy(&ran.stderr);
    if ran.status.success() || said.contains("already exists") {
        return Ok(());
    }
    Err(failed(said.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_gets_its_own_keys_and_no_other() {
        let nodes = ["h001".parse().unwrap()];
        let commands = commands(&"c1".parse().unwrap(), "leasehold-scheduler", &nodes);
        let lines: Vec<String> = commands.iter().map(|words| words.join(" ")).collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        role add leasehold-scheduler-c1
        role grant-permission --prefix=true leasehold-scheduler-c1 readwrite /leasehold/v1/c1/
        user add --no-password=true leasehold-scheduler
        user grant-role leasehold-scheduler leasehold-scheduler-c1
        role add leasehold-agent-c1-h001
        role grant-permission leasehold-agent-c1-h001 readwrite /leasehold/v1/c1/nodes/h001
        role grant-permission leasehold-agent-c1-h001 readwrite /leasehold/v1/c1/health/h001
        role grant-permission leasehold-agent-c1-h001 readwrite /leasehold/v1/c1/acks/h001
        role grant-permission leasehold-agent-c1-h001 readwrite /leasehold/v1/c1/live/h001
        role grant-permission leasehold-agent-c1-h001 read /leasehold/v1/c1/grants/h001
        user add --no-password=true h001
        user grant-role h001 leasehold-agent-c1-h001
        ");
    }
}
