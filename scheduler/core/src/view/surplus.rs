//! What could be let now.

use crate::state::State;
use leasehold_common::api::{Problem, Surplus, SurplusShape};
use leasehold_common::ids::SkuName;
use leasehold_common::time::{Span, Timestamp};
use leasehold_placement::surplus;

/// The longest time that is asked about.
const HORIZON_MAX: Span = Span::from_hours(24 * 3650);

impl State {
    /// What a new tenant could have from now on for so long.
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
        let mut found = surplus(&self.cell, &self.settings.policy, now, horizon);
        found.rows.retain(|row| {
            sku.is_none_or(|sku| row.sku == *sku) && shape.is_none_or(|shape| row.shape == shape)
        });
        Ok(found)
    }
}
