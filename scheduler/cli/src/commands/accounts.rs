//! `leasectl accounts`.

use crate::args::{Accounts, CreateAccount};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Show;
use crate::output::table::{Table, or_none};
use crate::output::time::minute;
use crate::session::Session;
use leasehold_common::api::{self, AccountView, List};

/// Carries out a verb of `accounts`.
///
/// # Errors
/// Those of the client.
pub async fn run(verb: &Accounts, session: &mut Session<'_>) -> Result<Exit, Failure> {
    match verb {
        Accounts::Create(args) => create(args, session).await,
        Accounts::Ls => session.show::<List<AccountView>>("/v1/accounts", &()).await,
        Accounts::Show { name } => {
            session
                .show::<AccountView>(&format!("/v1/accounts/{name}"), &())
                .await
        }
    }
}

async fn create(args: &CreateAccount, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let body = api::CreateAccount {
        name: args.name.clone(),
        side: args.side,
        quota_gpus: args.quota_gpus,
    };
    let answer = session.post("/v1/accounts", &body, &args.write).await?;
    session.write::<AccountView>(&answer, &())
}

fn table<'a>(accounts: impl IntoIterator<Item = &'a AccountView>) -> Table {
    let mut table = Table::new(["ACCOUNT", "SIDE", "GPUS", "QUOTA", "LEASES", "CREATED"]);
    for account in accounts {
        table.row([
            account.name.to_string(),
            account.side.to_string(),
            account.used_gpus.to_string(),
            or_none(account.quota_gpus),
            account.leases.to_string(),
            minute(account.created),
        ]);
    }
    table
}

impl Show for AccountView {
    type With = ();

    fn text(&self, (): &(), _wide: bool, headings: bool) -> String {
        table([self]).text(headings)
    }

    fn names(&self) -> Vec<String> {
        vec![self.name.to_string()]
    }
}

impl Show for List<AccountView> {
    type With = ();

    fn text(&self, (): &(), _wide: bool, headings: bool) -> String {
        table(&self.items).text(headings)
    }

    fn names(&self) -> Vec<String> {
        self.items
            .iter()
            .map(|account| account.name.to_string())
            .collect()
    }
}
