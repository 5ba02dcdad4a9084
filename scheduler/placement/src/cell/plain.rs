//! The cell as plain data, for whoever judges plans without trusting what it looks up.

use super::Cell;
use crate::checker::Fleet;
use crate::power::BudgetStep;

impl Cell {
    /// A copy of everything that rules are about: nodes, bookings, SKUs and budgets. It costs as much
    /// as the cell is large, so decisions are checked by it in debug builds only.
    pub fn plain(&self) -> Fleet {
        let nodes = self.in_order().map(|(index, node)| {
            let what = (node.spec.clone(), node.condition);
            (index, what)
        });
        let described = self.described.iter().flatten();
        let book = self.grid.book();
        let budgets = book.bounded().filter_map(|unit| {
            let (budget, _) = book.bound(unit)?;
            let step = |step: &BudgetStep| (step.from.begins(), step.limit.map(|limit| limit.0));
            let steps = budget.steps().iter().map(step).collect();
            Some((self.grid.prefix(unit).clone(), steps))
        });
        Fleet {
            nodes: nodes.collect(),
            bookings: self.bookings.values().cloned().collect(),
            skus: described
                .map(|sku| (sku.name.clone(), sku.clone()))
                .collect(),
            budgets: budgets.collect(),
        }
    }
}
