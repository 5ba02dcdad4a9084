//! What is said about the book.

use super::book::{Entry, GrantBook, Phase, Refusal};
use leasehold_common::grant::{AckState, LeaseAck, Meter};
use leasehold_common::ids::LeaseId;
use std::collections::BTreeMap;

impl GrantBook {
    /// An answer for every live lease, and for every grant that was last received.
    ///
    /// The state is always what the node *does*. Where it serves older terms and refuses newer ones
    /// it says "serving", with the terms it serves and why it does not follow the others: whoever
    /// read "refused" there might give its GPUs to somebody else.
    pub fn acks(&self) -> BTreeMap<LeaseId, LeaseAck> {
        let live = self
            .live
            .iter()
            .map(|(lease, entry)| (*lease, live(entry, self.refusals.get(lease))));
        let ended = self
            .ended
            .iter()
            .filter(|(lease, _)| self.offered.contains(lease))
            .map(|(lease, ended)| {
                let ack = LeaseAck {
                    term: ended.term,
                    term_seq: ended.term_seq,
                    state: AckState::Returned,
                    since: ended.since,
                    refused: None,
                    detail: String::new(),
                    meter: ended.meter,
                    certificate: None,
                };
                (*lease, ack)
            });
        let refused = self
            .refusals
            .iter()
            .filter(|(lease, _)| !self.live.contains_key(lease) && !self.ended.contains_key(lease))
            .map(|(lease, refusal)| (*lease, refused(refusal)));
        live.chain(ended).chain(refused).collect()
    }
}

fn live(entry: &Entry, refusal: Option<&Refusal>) -> LeaseAck {
    LeaseAck {
        term: entry.grant().term,
        term_seq: entry.grant().term_seq,
        state: match entry.phase() {
            Phase::Accepted => AckState::Accepted,
            Phase::Serving => AckState::Serving,
        },
        since: entry.since(),
        refused: refusal.map(|refusal| refusal.reason.clone()),
        detail: refusal.map_or_else(String::new, |refusal| refusal.detail.clone()),
        meter: entry.meter().total(),
        certificate: None,
    }
}

fn refused(refusal: &Refusal) -> LeaseAck {
    LeaseAck {
        term: refusal.term,
        term_seq: refusal.term_seq,
        state: AckState::Refused,
        since: refusal.since,
        refused: Some(refusal.reason.clone()),
        detail: refusal.detail.clone(),
        meter: Meter::default(),
        certificate: None,
    }
}
