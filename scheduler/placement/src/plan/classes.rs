//! Nodes with slices let, by class: what is true of one node of a class is true of all.

use super::ask::Ask;
use super::rules::{Verdict, judge};
use crate::cell::{Class, Kind, Stance};
use leasehold_common::ids::NodeIndex;
use std::collections::{BTreeMap, BTreeSet};

/// The classes of nodes with slices that the account may be on.
pub(super) fn classes<'a>(
    ask: &Ask<'a>,
) -> impl Iterator<Item = (&'a Class, &'a BTreeSet<NodeIndex>)> + use<'a> {
    let sku = ask.sku.map(|(sku, _)| sku).filter(|_| ask.wish.is_some());
    let carved = ask.cell.carved();
    let anybody = ask.apart.mig_colocation;
    let account = ask.account.filter(|_| !anybody);
    let may = sku.filter(|_| anybody || account.is_some());
    may.into_iter()
        .flat_map(move |sku| carved.classes(sku, account))
}

/// The nodes with slices that the account may be on before they are nobody's.
pub(super) fn carved_nodes<'a>(ask: &Ask<'a>) -> impl Iterator<Item = &'a NodeIndex> {
    classes(ask).flat_map(|(_, nodes)| nodes)
}

/// How many nodes of each kind have slices beside which the account may be, its own apart. To it, the
/// nodes of everybody else are as if their GPUs with slices were let whole.
pub(super) fn carved_by_kind(ask: &Ask<'_>) -> BTreeMap<(Kind, bool), u32> {
    let mut counts = BTreeMap::new();
    for (class, nodes) in classes(ask) {
        let is_own = Some(class.account) == ask.account;
        let count: &mut u32 = counts.entry((class.kind, is_own)).or_default();
        *count += u32::try_from(nodes.len()).unwrap_or(u32::MAX);
    }
    counts
}

/// Every class of those nodes, and one node of it with what it fails.
pub(super) fn judged_classes<'a>(
    ask: &Ask<'a>,
) -> impl Iterator<Item = (Verdict, &'a Stance, u32)> {
    let ask = *ask;
    classes(&ask).filter_map(move |(_, nodes)| {
        let (known, stance) = ask.look(*nodes.first()?);
        let verdict = judge(known, stance, &ask);
        Some((
            verdict,
            stance,
            u32::try_from(nodes.len()).unwrap_or(u32::MAX),
        ))
    })
}
