//! Whether placements break a hard rule, told from plain data.
//!
//! The conscience of this module, as [`crate::checker`] is of the engine: written from the rules, it
//! shares no code with the pool, keeps its own books and is as plain as it likes. It knows nothing
//! of preferences.

use super::request::{FineNode, FineRequest, Gpus, Placement, Spot};

/// A hard rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It names a node that is not there.
    #[error("node {spot} is not in the pool")]
    UnknownNode {
        /// The node.
        spot: Spot,
    },
    /// The node takes nothing new.
    #[error("node {spot} is down")]
    Down {
        /// The node.
        spot: Spot,
    },
    /// The node's model was not acceptable.
    #[error("node {spot} is of a model that was not asked for")]
    Model {
        /// The node.
        spot: Spot,
    },
    /// What was given is not what was asked.
    #[error("what was given on node {spot} is not what was asked")]
    Amount {
        /// The node.
        spot: Spot,
    },
    /// More is used than there is.
    #[error("node {spot} has less {what} than is used of it")]
    Over {
        /// The node.
        spot: Spot,
        /// Of what.
        what: &'static str,
    },
    /// More was given back than was used.
    #[error("more {what} was given back on node {spot} than was used")]
    Under {
        /// The node.
        spot: Spot,
        /// Of what.
        what: &'static str,
    },
    /// It was refused although a node had room.
    #[error("it was refused although node {spot} has room")]
    Refused {
        /// That node.
        spot: Spot,
    },
}

/// What is used of one node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Used {
    cpu_milli: u64,
    mem_mib: u64,
    gpus: Vec<u64>,
    down: bool,
}

/// A pool's books, kept by somebody else.
#[derive(Debug, Clone)]
pub struct Books {
    nodes: Vec<FineNode>,
    used: Vec<Used>,
}

impl Books {
    /// Of these nodes, all empty and up.
    pub fn new(nodes: &[FineNode]) -> Self {
        let empty = |node: &FineNode| Used {
            gpus: vec![0; usize::from(node.gpus)],
            ..Used::default()
        };
        Self {
            nodes: nodes.to_vec(),
            used: nodes.iter().map(empty).collect(),
        }
    }

    /// Enters that a node takes new work, or takes none.
    pub fn set_up(&mut self, spot: Spot, up: bool) {
        self.used[spot.index()].down = !up;
    }

    /// Enters an answer to a request: a placement, or a refusal. After an error the books are of no
    /// further use.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn enter(&mut self, ask: &FineRequest, answer: Option<&Placement>) -> Result<(), Broken> {
        let Some(given) = answer else {
            let room = (0..self.nodes.len()).find(|&at| self.has_room(at, ask));
            return room.map_or(Ok(()), |at| {
                let spot = Spot(u32::try_from(at).unwrap_or(u32::MAX));
                Err(Broken::Refused { spot })
            });
        };
        let spot = given.spot;
        let node = self.nodes.get(spot.index());
        let node = *node.ok_or(Broken::UnknownNode { spot })?;
        let used = &mut self.used[spot.index()];
        if used.down {
            return Err(Broken::Down { spot });
        }
        if !ask.models.accepts(node.model) {
            return Err(Broken::Model { spot });
        }
        let (count, each) = match ask.gpus {
            Gpus::None => (0, 0),
            Gpus::Share { milli } => (1, milli),
            Gpus::Whole { count } => (u32::from(count), 1000),
        };
        let amounts = (given.cpu_milli, given.mem_mib, given.slots.count_ones());
        if amounts != (ask.cpu_milli, ask.mem_mib, count) || count > 0 && given.each_milli != each {
            return Err(Broken::Amount { spot });
        }
        used.cpu_milli += u64::from(given.cpu_milli);
        used.mem_mib += u64::from(given.mem_mib);
        let over = |what| Err(Broken::Over { spot, what });
        if used.cpu_milli > u64::from(node.cpu_milli) {
            return over("CPU");
        }
        if used.mem_mib > u64::from(node.mem_mib) {
            return over("memory");
        }
        for slot in 0..16 {
            if given.slots & (1 << slot) == 0 {
                continue;
            }
            let Some(gpu) = used.gpus.get_mut(slot) else {
                return over("GPUs");
            };
            *gpu += u64::from(given.each_milli);
            if *gpu > 1000 {
                return over("GPU");
            }
        }
        Ok(())
    }

    /// Enters that a placement was given back.
    ///
    /// # Errors
    /// Where more is given back than was used.
    pub fn give_back(&mut self, given: &Placement) -> Result<(), Broken> {
        let spot = given.spot;
        let used = self.used.get_mut(spot.index());
        let used = used.ok_or(Broken::UnknownNode { spot })?;
        let under = |what| Broken::Under { spot, what };
        let less =
            |of: u64, by: u32, what| of.checked_sub(u64::from(by)).ok_or_else(|| under(what));
        used.cpu_milli = less(used.cpu_milli, given.cpu_milli, "CPU")?;
        used.mem_mib = less(used.mem_mib, given.mem_mib, "memory")?;
        for slot in 0..16 {
            if given.slots & (1 << slot) != 0 {
                let gpu = used.gpus.get_mut(slot).ok_or_else(|| under("GPUs"))?;
                *gpu = less(*gpu, u32::from(given.each_milli), "GPU")?;
            }
        }
        Ok(())
    }

    /// Whether a node could take a request.
    fn has_room(&self, at: usize, ask: &FineRequest) -> bool {
        let (node, used) = (&self.nodes[at], &self.used[at]);
        let gpus_with = |milli: u64| used.gpus.iter().filter(|&&gpu| gpu + milli <= 1000).count();
        !used.down
            && ask.models.accepts(node.model)
            && used.cpu_milli + u64::from(ask.cpu_milli) <= u64::from(node.cpu_milli)
            && used.mem_mib + u64::from(ask.mem_mib) <= u64::from(node.mem_mib)
            && match ask.gpus {
                Gpus::None => true,
                Gpus::Share { milli } => gpus_with(u64::from(milli)) >= 1,
                Gpus::Whole { count } => gpus_with(1000) >= usize::from(count),
            }
    }
}
