//! The nodes, live, and what each kind of request thinks of them.

use super::board::Tournament;
use super::mix::Mix;
use super::node::Live;
use super::pressure::Pressure;
use super::request::{FineNode, FineRequest, ModelId, Placement, Spot};
use super::score::{Appraiser, FineScore};
use super::weights::FinePolicy;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// How many places the boards of all kinds of requests have at most, four bytes each: 128 MiB. The
/// public trace has 91 to 330 kinds, which at 12,000 nodes is half of it. Beyond, the board that was
/// asked for longest ago makes room, and costs a look at every node when it comes back.
const PLACES_MAX: usize = 32 << 20;

/// How many boards are kept however many nodes there are.
const BOARDS_MIN: usize = 16;

/// What the pool did not do, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// There is no such node.
    #[error("node {spot} is not in the pool")]
    UnknownNode {
        /// The node.
        spot: Spot,
    },
    /// The node has less left than the placement takes.
    #[error("node {spot} has not what the placement takes")]
    NoRoom {
        /// The node.
        spot: Spot,
    },
    /// The node has less taken than the placement gives back.
    #[error("node {spot} has not taken what the placement gives back")]
    NotTaken {
        /// The node.
        spot: Spot,
    },
}

/// A decision: where, and why there.
#[must_use = "a choice that nobody takes was not needed"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// What the request gets.
    pub placement: Placement,
    /// What the node was chosen by, by field.
    pub score: FineScore,
}

/// A pool of nodes.
#[derive(Debug, Clone)]
pub struct Pool {
    nodes: Vec<Live>,
    ranks: Vec<u32>,
    appraiser: Appraiser,
    pressure: Pressure,
    sections: Vec<Section>,
    /// Each node's section, and its leaf there.
    seats: Vec<(u16, u32)>,
    /// The last changes, by their number modulo the length; and when each node changed last.
    changes: Vec<Spot>,
    changed: Vec<u64>,
    /// How many changes there have been.
    clock: u64,
    boards: BTreeMap<FineRequest, Board>,
}

/// The nodes of one model, by rank.
#[derive(Debug, Clone)]
struct Section {
    model: ModelId,
    members: Vec<Spot>,
}

/// What one kind of request thinks of all nodes, as of a change.
#[derive(Debug, Clone)]
struct Board {
    seen: u64,
    /// One for each section; absent where the model is not acceptable.
    tournaments: Vec<Option<Tournament>>,
}

/// The best node of a model. The order of the fields decides among models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Leader {
    total: i64,
    rank: Reverse<u32>,
    spot: Reverse<Spot>,
    pressure: i64,
}

impl Pool {
    /// Of these nodes, all empty and up. `ranks` says who wins among equals, the smallest first;
    /// nodes without a rank of their own come behind, in order.
    pub fn new(nodes: &[FineNode], ranks: &[u32], mix: &Mix, policy: &FinePolicy) -> Self {
        let weights = policy.weights(nodes, mix);
        let rank = |at: usize| ranks.get(at).copied().unwrap_or(u32::MAX);
        let spots = 0..u32::try_from(nodes.len()).expect("a pool far smaller than 2^32");
        let mut by_model: BTreeMap<ModelId, Vec<Spot>> = BTreeMap::new();
        for spot in spots.map(Spot) {
            let model = nodes[spot.index()].model;
            by_model.entry(model).or_default().push(spot);
        }
        let mut seats = vec![(0, 0); nodes.len()];
        let mut sections = Vec::new();
        for (model, mut members) in by_model {
            members.sort_by_key(|spot| (rank(spot.index()), *spot));
            for (leaf, spot) in (0..).zip(&members) {
                let section = u16::try_from(sections.len()).expect("at most 64 models");
                seats[spot.index()] = (section, leaf);
            }
            sections.push(Section { model, members });
        }
        let nodes: Vec<Live> = nodes.iter().copied().map(Live::empty).collect();
        Self {
            ranks: (0..nodes.len()).map(rank).collect(),
            appraiser: Appraiser::new(mix, weights),
            pressure: Pressure::new(mix, &nodes),
            sections,
            seats,
            changes: vec![Spot(0); nodes.len().next_power_of_two()],
            changed: vec![0; nodes.len()],
            clock: 0,
            boards: BTreeMap::new(),
            nodes,
        }
    }

    /// Where a request would go; absent where no node has room. Nothing is taken by it.
    pub fn decide(&mut self, ask: &FineRequest) -> Option<Choice> {
        self.bring_up_to_date(ask);
        let tournaments = &self.boards.get(ask)?.tournaments;
        let milli = ask.gpus.milli();
        let mut best: Option<Leader> = None;
        for (section, tournament) in self.sections.iter().zip(tournaments) {
            let Some((score, leaf)) = tournament.as_ref().and_then(Tournament::best) else {
                continue;
            };
            let spot = section.members[leaf];
            let pressure = self.pressure.on(section.model);
            let pressure = self.appraiser.of_pressure(pressure, milli);
            let leader = Leader {
                total: i64::from(score) + pressure,
                rank: Reverse(self.ranks[spot.index()]),
                spot: Reverse(spot),
                pressure,
            };
            best = best.max(Some(leader));
        }
        let leader = best?;
        let spot = leader.spot.0;
        let node = &self.nodes[spot.index()];
        let placement = Placement {
            spot,
            cpu_milli: ask.cpu_milli,
            mem_mib: ask.mem_mib,
            slots: node.slots(ask),
            each_milli: ask.gpus.each(),
        };
        let score = FineScore {
            pressure: leader.pressure,
            rank: leader.rank.0,
            ..self.appraiser.fields(node, ask)
        };
        Some(Choice { placement, score })
    }

    /// Decides, and takes what was decided.
    pub fn place(&mut self, ask: &FineRequest) -> Option<Choice> {
        let choice = self.decide(ask)?;
        let taken = self.take(&choice.placement);
        assert_eq!(taken, Ok(()), "what was decided has room");
        Some(choice)
    }

    /// Takes what a placement says, whoever decided it.
    ///
    /// # Errors
    /// Where the node is unknown or has not as much; nothing is changed then.
    pub fn take(&mut self, given: &Placement) -> Result<(), PoolError> {
        let spot = given.spot;
        let node = self.nodes.get_mut(spot.index());
        let node = node.ok_or(PoolError::UnknownNode { spot })?;
        if !node.take(given) {
            return Err(PoolError::NoRoom { spot });
        }
        if node.up {
            let milli = i64::from(given.gpu_milli());
            self.pressure.change(node.shape.model, -milli);
        }
        self.note(spot);
        Ok(())
    }

    /// Gives back what a placement took.
    ///
    /// # Errors
    /// Where the node is unknown or has not as much taken; nothing is changed then.
    pub fn release(&mut self, given: &Placement) -> Result<(), PoolError> {
        let spot = given.spot;
        let node = self.nodes.get_mut(spot.index());
        let node = node.ok_or(PoolError::UnknownNode { spot })?;
        if !node.give_back(given) {
            return Err(PoolError::NotTaken { spot });
        }
        if node.up {
            let milli = i64::from(given.gpu_milli());
            self.pressure.change(node.shape.model, milli);
        }
        self.note(spot);
        Ok(())
    }

    /// Lets a node take new work, or no more. What is on it stays.
    ///
    /// # Errors
    /// Where the node is unknown.
    pub fn set_up(&mut self, spot: Spot, up: bool) -> Result<(), PoolError> {
        let node = self.nodes.get_mut(spot.index());
        let node = node.ok_or(PoolError::UnknownNode { spot })?;
        if node.up != up {
            node.up = up;
            let milli = i64::from(node.gpu_sum);
            let milli = if up { milli } else { -milli };
            self.pressure.change(node.shape.model, milli);
            self.note(spot);
        }
        Ok(())
    }

    /// Remembers that a node is another now.
    fn note(&mut self, spot: Spot) {
        let at = self.place_of(self.clock);
        self.changes[at] = spot;
        self.clock += 1;
        self.changed[spot.index()] = self.clock;
    }

    /// Where a change is remembered.
    fn place_of(&self, change: u64) -> usize {
        let mask = self.changes.len() as u64 - 1;
        usize::try_from(change & mask).expect("a position")
    }

    /// Plays again what changed since this kind of request was last asked for.
    fn bring_up_to_date(&mut self, ask: &FineRequest) {
        let Some(board) = self.boards.get_mut(ask) else {
            let board = self.new_board(ask);
            self.boards.insert(*ask, board);
            return;
        };
        let missed = self.clock - board.seen;
        if missed > self.changes.len() as u64 {
            let board = self.new_board(ask);
            self.boards.insert(*ask, board);
            return;
        }
        let mask = self.changes.len() as u64 - 1;
        for change in board.seen..self.clock {
            let spot = self.changes[usize::try_from(change & mask).expect("a position")];
            // A node that changes again later is looked at then.
            if self.changed[spot.index()] != change + 1 {
                continue;
            }
            let (section, leaf) = self.seats[spot.index()];
            if let Some(tournament) = &mut board.tournaments[usize::from(section)] {
                let score = self.appraiser.score(&self.nodes[spot.index()], ask);
                tournament.set(leaf as usize, score);
            }
        }
        board.seen = self.clock;
    }

    /// A board with every match played.
    fn new_board(&mut self, ask: &FineRequest) -> Board {
        let boards_max = (PLACES_MAX / (4 * self.nodes.len()).max(1)).max(BOARDS_MIN);
        if self.boards.len() >= boards_max && !self.boards.contains_key(ask) {
            let oldest = self
                .boards
                .iter()
                .min_by_key(|(ask, board)| (board.seen, **ask));
            let oldest = oldest.map(|(ask, _)| *ask);
            oldest.and_then(|oldest| self.boards.remove(&oldest));
        }
        let tournament = |section: &Section| {
            let score = |spot: &Spot| self.appraiser.score(&self.nodes[spot.index()], ask);
            let accepted = ask.models.accepts(section.model);
            accepted.then(|| Tournament::new(section.members.iter().map(score)))
        };
        Board {
            seen: self.clock,
            tournaments: self.sections.iter().map(tournament).collect(),
        }
    }
}
