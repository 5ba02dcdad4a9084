//! Accounts.

use super::{Answer, Asked};
use crate::command::{View, Written};
use crate::draft::Entry;
use crate::maintenance::HOLDER;
use crate::state::State;
use leasehold_common::account::Account;
use leasehold_common::api::{CreateAccount, Problem, ProblemCode};
use leasehold_common::keys::Key;
use leasehold_common::log::{Attributes, EventName, Subject};
use leasehold_common::record::{Unknown, Version};

impl State {
    pub(super) fn create_account(&mut self, wish: &CreateAccount, asked: Asked<'_>) -> Answer {
        let name = &wish.name;
        if name.as_str() == HOLDER {
            let allowed = "another name: this one stands for maintenance";
            return Err(Problem::field("name", name, allowed));
        }
        if self.accounts.contains_key(name) {
            let detail = format!("account {name} exists already");
            return Err(Problem::new(ProblemCode::AccountExists, detail).about(
                "name",
                name,
                "the name of no account there is",
            ));
        }
        let account = Account {
            version: Version::CURRENT,
            name: name.clone(),
            side: wish.side,
            quota_gpus: wish.quota_gpus,
            created: asked.now,
            idempotency: asked.remembered(201),
            unknown: Unknown::default(),
        };
        let view = View::Account(self.account_view(&account));
        if !asked.dry_run {
            let subject = Subject {
                account: Some(name.clone()),
                ..Subject::default()
            };
            let attributes = Attributes {
                to: Some(wish.side.to_string()),
                actor: Some(asked.actor.clone()),
                ..Attributes::default()
            };
            let entry = Entry {
                subject,
                attributes,
                ..Entry::default()
            };
            self.draft.log(EventName::AccountChanged, entry);
            self.draft.changed(Key::Account(name.clone()));
            self.insert_account(account);
        }
        let status = if asked.dry_run { 200 } else { 201 };
        Ok(Written {
            status,
            replayed: false,
            view,
        })
    }
}
