//! GPUs.

use crate::maintenance::Booker;
use crate::node::{Node, Seen};
use crate::state::State;
use leasehold_common::api::{Ailment, FindingView, GpuDraw, GpuView};
use leasehold_common::time::Timestamp;

impl State {
    pub(crate) fn gpu_views<'a>(
        &'a self,
        node: &'a Node,
        now: Timestamp,
    ) -> impl Iterator<Item = GpuView> + 'a {
        let (index, state) = (node.fleet.index, self.state_of(node));
        let can_be_let = node.healthy();
        (0_u8..).zip(&node.fleet.gpus).map(move |(slot, gpu)| {
            let health = node.health.as_ref().and_then(|h| h.gpus.get(&gpu.uuid));
            let told = node.told(gpu);
            let mut holds = self.cell.holds(index);
            let hold = holds.find(|hold| {
                hold.slots.contains(slot) && hold.has_at(now) && !self.is_tentative(hold)
            });
            GpuView {
                node: node.fleet.name.clone(),
                slot: u32::from(slot),
                uuid: gpu.uuid.clone(),
                sku: node.fleet.sku.clone(),
                node_state: state,
                verdict: told.as_ref().map(|told| told.verdict),
                since: told.as_ref().map(|told| told.since),
                reasons: told
                    .iter()
                    .flat_map(|told| told.reasons.iter().map(ToString::to_string))
                    .collect(),
                action: told.as_ref().map(|told| told.action),
                can_be_let: can_be_let.contains(slot),
                out_until: node.out_until(gpu).filter(|at| *at > now),
                findings: health
                    .into_iter()
                    .flat_map(|h| h.findings.iter().map(FindingView::from))
                    .collect(),
                words: gpu.words.clone(),
                lease: hold.and_then(|hold| Booker::of(hold.lease).lease()),
                power_watts: health.and_then(|h| h.power_mw.value()).map(|p| p.watts()),
                limit_watts: health.and_then(|h| h.limit_mw.value()).map(|p| p.watts()),
                celsius: health.and_then(|h| h.temperature.value()).map(|t| t.0),
                memory_used_mib: health.and_then(|h| h.memory_used.value()).map(|m| m.mib()),
                ecc_uncorrected: health.and_then(|h| h.ecc_uncorrected.value()).copied(),
            }
        })
    }
}

/// What is not in order on a node: with itself first, then its GPUs by slot. A GPU that looks well and
/// is still out is told with that.
pub(super) fn ailments(node: &Node) -> Vec<Ailment> {
    let can_be_let = node.healthy();
    let ailment = |slot: Option<u8>, seen: Seen, can_be_let: bool| Ailment {
        slot: slot.map(u32::from),
        verdict: seen.verdict,
        reasons: seen.reasons,
        action: seen.action,
        since: seen.since,
        evidence: seen.evidence,
        can_be_let,
    };
    let itself = node.sees_itself().filter(|seen| !seen.is_well());
    let itself = itself.map(|seen| ailment(None, seen, false));
    let is_whole = itself.is_none();
    let gpus = (0_u8..).zip(&node.fleet.gpus).filter_map(|(slot, gpu)| {
        let seen = node.sees(gpu)?;
        let is_let = can_be_let.contains(slot);
        let tells = !seen.is_well() || (is_whole && !is_let);
        tells.then(|| ailment(Some(slot), seen, is_let))
    });
    itself.into_iter().chain(gpus).collect()
}

/// What each GPU of a node draws.
pub(super) fn draws(node: &Node) -> Vec<GpuDraw> {
    let draw = |(slot, gpu): (u32, &leasehold_common::node::FleetGpu)| {
        let health = node.health.as_ref()?.gpus.get(&gpu.uuid)?;
        Some(GpuDraw {
            slot,
            watts: health.power_mw.value().map(|mw| mw.watts()),
            limit_watts: health.limit_mw.value().map(|mw| mw.watts()),
        })
    };
    (0_u32..).zip(&node.fleet.gpus).filter_map(draw).collect()
}
