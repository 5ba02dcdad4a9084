//! What the commands do, one file per noun.

mod accounts;
mod completion;
mod etcd_roles;
mod events;
mod explain;
mod gpus;
mod hostlist;
mod leases;
mod ledger;
mod log;
mod maintenance;
mod nodes;
mod plan;
mod policy;
mod power;
mod status;
mod surplus;
mod wait;

use crate::args::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;

/// Carries out a command.
///
/// # Errors
/// Whatever keeps it from being done; nothing was changed then, unless the failure says that this
/// is in doubt.
pub async fn run(command: Command, session: &mut Session<'_>) -> Result<Exit, Failure> {
    match command {
        Command::Status => status::run(session).await,
        Command::Nodes(verb) => nodes::run(verb, session).await,
        Command::Gpus(verb) => gpus::run(&verb, session).await,
        Command::Accounts(verb) => accounts::run(&verb, session).await,
        Command::Leases(verb) => leases::run(verb, session).await,
        Command::Plan(verb) => plan::run(&verb, session).await,
        Command::Policy(verb) => policy::run(&verb, session).await,
        Command::Power(verb) => power::run(&verb, session).await,
        Command::Surplus(args) => surplus::run(&args, session).await,
        Command::Maintenance(verb) => maintenance::run(&verb, session).await,
        Command::Explain(args) => explain::run(&args, session).await,
        Command::Events(args) => events::run(&args, session).await,
        Command::Log(verb) => log::run(&verb, session),
        Command::Ledger(verb) => ledger::run(&verb, session).await,
        Command::EtcdRoles(args) => etcd_roles::run(&args, session).await,
        Command::Completion(args) => completion::run(&args, session),
        Command::Fold(args) => hostlist::fold(&args, session),
        Command::Expand(args) => hostlist::expand(&args, session),
    }
}
