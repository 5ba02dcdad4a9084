//! `/metrics/tenants`: who has what.

use super::Shown;
use leasehold_core::tally::{AccountTally, LeaseTally};
use leasehold_daemon::metrics::Sheet;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;
use std::fmt;

pub(super) fn register(registry: &mut Registry, shown: Shown) {
    registry.register_collector(Box::new(Tenants { shown }));
}

#[derive(Debug)]
struct Tenants {
    shown: Shown,
}

impl Collector for Tenants {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let shown = self.shown.borrow().clone();
        let Some(shown) = shown else {
            return Ok(());
        };
        let sheet = &mut Sheet::from(encoder);
        let named = shown.tally.accounts.iter();
        accounts(
            sheet,
            &named
                .map(|(name, a)| (name.as_str(), a))
                .collect::<Vec<_>>(),
        )?;
        leases(sheet, &shown.tally.holding)
    }
}

fn accounts(sheet: &mut Sheet<'_>, accounts: &[(&str, &AccountTally)]) -> fmt::Result {
    let labels =
        |name, account: &AccountTally| [("account", name), ("side", account.side.as_str())];
    sheet.gauges(
        "leasehold_account_gpus",
        None,
        "GPUs of an account's leases that have hardware, booked ones too.",
        accounts
            .iter()
            .map(|(name, account)| (labels(*name, account), account.gpus as f64)),
    )?;
    sheet.gauges(
        "leasehold_account_quota_gpus",
        None,
        "The most GPUs an account may have; no series where there is no limit.",
        accounts.iter().filter_map(|(name, account)| {
            Some((labels(*name, account), f64::from(account.quota_gpus?)))
        }),
    )?;
    sheet.gauges(
        "leasehold_account_leases",
        None,
        "Leases of an account that are not over, by state.",
        accounts.iter().flat_map(|(name, account)| {
            account.leases.iter().map(move |(state, n)| {
                let labels = [
                    ("account", *name),
                    ("side", account.side.as_str()),
                    ("state", state.as_str()),
                ];
                (labels, *n as f64)
            })
        }),
    )
}

fn leases(sheet: &mut Sheet<'_>, holding: &[LeaseTally]) -> fmt::Result {
    sheet.gauges(
        "leasehold_lease_info",
        None,
        "A lease that has hardware, and what it is.",
        holding.iter().map(|lease| {
            let labels = [
                ("lease", lease.lease.to_string()),
                ("account", lease.account.to_string()),
                ("side", lease.class.side().to_string()),
                ("class", lease.class.to_string()),
                ("sku", lease.sku.to_string()),
            ];
            (labels, 1.0)
        }),
    )?;
    sheet.gauges(
        "leasehold_lease_gpus",
        None,
        "GPUs that a lease has or will have.",
        holding
            .iter()
            .map(|lease| ([("lease", lease.lease.to_string())], lease.gpus as f64)),
    )
}
