//! What could be let now.

use crate::state::State;
use leasehold_common::api::{Longer, Problem, Surplus, SurplusRow, SurplusShape};
use leasehold_common::ids::SkuName;
use leasehold_common::time::{Span, Timestamp};
use leasehold_placement::surplus;
use std::collections::BTreeMap;

/// The longest time that is asked about.
const HORIZON_MAX: Span = Span::from_hours(24 * 3650);

/// The times for which it is said besides how much could be let: a day, a week, a month, a year.
const LONGER: [Span; 4] = [
    Span::from_hours(24),
    Span::from_hours(24 * 7),
    Span::from_hours(24 * 30),
    Span::from_hours(24 * 365),
];

impl State {
    /// What a new tenant could have from now on for so long, and how much of it for longer.
    ///
    /// # Errors
    /// No time, or too long a one; a SKU that the catalogue does not have.
    pub(super) fn surplus_view(
        &self,
        horizon: Span,
        sku: Option<&SkuName>,
        shape: Option<SurplusShape>,
        now: Timestamp,
    ) -> Result<Surplus, Problem> {
        if horizon == Span::ZERO || horizon > HORIZON_MAX {
            return Err(Problem::field(
                "for",
                horizon,
                format!("1s to {HORIZON_MAX}"),
            ));
        }
        if let Some(sku) = sku.filter(|sku| self.settings.skus.get(sku).is_none()) {
            let known: Vec<&str> = self.settings.skus.iter().map(|s| s.name.as_str()).collect();
            return Err(Problem::field("sku", sku, known.join(", ")));
        }
        let of = |length| surplus(&self.cell, &self.settings.policy, now, length);
        let mut found = of(horizon);
        for length in LONGER.into_iter().filter(|length| *length > horizon) {
            let rows = of(length).rows.into_iter();
            let at = |row: &SurplusRow| (row.sku.clone(), row.shape, row.size, row.profile.clone());
            let leases: BTreeMap<_, _> = rows.map(|row| (at(&row), row.leases)).collect();
            for row in &mut found.rows {
                let leases = leases.get(&at(row)).copied().unwrap_or(0);
                row.longer.push(Longer { length, leases });
            }
        }
        found.rows.retain(|row| {
            sku.is_none_or(|sku| row.sku == *sku) && shape.is_none_or(|shape| row.shape == shape)
        });
        Ok(found)
    }
}
