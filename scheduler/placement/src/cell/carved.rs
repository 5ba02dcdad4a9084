//! Nodes with slices of GPUs let: which slices of each GPU are gone, and which nodes are alike in that.
//!
//! A lease of slices holds the GPUs that its slices are on, so that to leases of whole GPUs they are
//! taken. What is left between the slices is of use to other slices alone, and only they look here.
//!
//! Nodes that leases have now, of one account, and that have no bookings to come, are filed by the
//! slices that are gone: what is true of one node of a class is true of all. Which of its GPUs is in
//! which state makes no difference. A cell has thousands of nodes with slices and few classes, because
//! the fullest GPUs are filled first.

use super::Cell;
use super::book_error::BookError;
use super::booking::Booking;
use super::node::{Hold, Node};
use super::stance::{AccountId, Kind, SkuId, Stance};
use crate::mig::{Geometry, Instance, Layout};
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::{GpuSlots, HostShare, Slice};
use leasehold_common::mig::MigFamilies;
use leasehold_common::sku::Sku;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// GPUs of one node at the most.
pub(crate) const GPUS: usize = 16;

/// A slice that a lease has, as conflicts are about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The GPU's slot.
    pub(crate) gpu: u8,
    /// Memory slices; slice 0 is the lowest bit.
    pub(crate) taken: u8,
    /// Whether it has what a GPU has one of only.
    pub(crate) is_single: bool,
    /// Compute slices.
    pub(crate) sevenths: u8,
}

impl Piece {
    /// Whether both can be at one time.
    pub(crate) const fn agrees(self, other: Self) -> bool {
        self.gpu != other.gpu
            || (self.taken & other.taken == 0 && !(self.is_single && other.is_single))
    }
}

/// What is gone of one GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Gone {
    /// Memory slices; slice 0 is the lowest bit.
    pub(crate) taken: u8,
    /// Whether what a GPU has one of only is gone.
    pub(crate) is_single: bool,
}

impl Gone {
    pub(crate) const fn with(self, other: Self) -> Self {
        Self {
            taken: self.taken | other.taken,
            is_single: self.is_single || other.is_single,
        }
    }

    pub(crate) const fn layout(self) -> Layout {
        Layout::blocked(self.taken, self.is_single)
    }
}

/// One GPU, by everything that decides what slices of it can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Gpu {
    held: Gone,
    returning: Gone,
    is_held: bool,
    is_returning: bool,
    is_sick: bool,
}

/// What nodes with slices let must have in common to stand alike to every request for slices that is
/// to start now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Class {
    pub(crate) sku: SkuId,
    /// Whose leases are on it.
    pub(crate) account: AccountId,
    /// As it stands to everything else.
    pub(crate) kind: Kind,
    /// Whether nothing but slices is let on it.
    slices_only: bool,
    /// Its GPUs, sorted.
    gpus: [Gpu; GPUS],
}

impl Class {
    /// The class of a node; absent where no slices of it are let now, or where it is judged by its holds.
    fn of(node: &Node, stance: &Stance) -> Option<Box<Self>> {
        if stance.is_involved || node.holds.iter().all(|hold| hold.pieces.is_empty()) {
            return None;
        }
        let mut gpus = [Gpu::default(); GPUS];
        for (slot, gpu) in (0..).zip(&mut gpus) {
            gpu.is_sick = stance.sick.contains(slot);
        }
        for hold in &node.holds {
            for piece in &hold.pieces {
                let gpu = &mut gpus[usize::from(piece.gpu)];
                let gone = if hold.awaiting_return {
                    &mut gpu.returning
                } else {
                    &mut gpu.held
                };
                *gone = gone.with(piece.gone());
            }
            for slot in hold.whole().iter() {
                let gpu = &mut gpus[usize::from(slot)];
                gpu.is_returning |= hold.awaiting_return;
                gpu.is_held |= !hold.awaiting_return;
            }
        }
        gpus.sort_unstable();
        Some(Box::new(Self {
            sku: node.sku,
            account: stance.tenant?.account,
            kind: stance.kind(),
            slices_only: node.holds.iter().all(|hold| !hold.pieces.is_empty()),
            gpus,
        }))
    }
}

impl Piece {
    /// What of its GPU is gone with it.
    pub(crate) const fn gone(self) -> Gone {
        Gone {
            taken: self.taken,
            is_single: self.is_single,
        }
    }
}

/// Nodes with slices let, by class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Carved {
    classes: BTreeMap<(SkuId, AccountId), BTreeMap<Box<Class>, BTreeSet<NodeIndex>>>,
    /// By node index.
    of_node: BTreeMap<NodeIndex, Box<Class>>,
}

impl Carved {
    /// The classes of one account's nodes of a SKU, or of everybody's.
    pub(crate) fn classes(
        &self,
        sku: SkuId,
        account: Option<AccountId>,
    ) -> impl Iterator<Item = (&Class, &BTreeSet<NodeIndex>)> {
        let (first, last) = match account {
            Some(account) => (account, account),
            None => (AccountId(0), AccountId(u32::MAX)),
        };
        let of_accounts = self.classes.range((sku, first)..=(sku, last));
        of_accounts.flat_map(|(_, classes)| classes.iter().map(|(class, nodes)| (&**class, nodes)))
    }

    /// Whose slices are on a node that is in a class.
    pub(crate) fn account_on(&self, node: NodeIndex) -> Option<AccountId> {
        self.of_node.get(&node).map(|class| class.account)
    }

    fn set(&mut self, node: NodeIndex, class: Option<Box<Class>>) {
        if self.of_node.get(&node) == class.as_ref() {
            return;
        }
        if let Some(before) = self.of_node.remove(&node) {
            let key = (before.sku, before.account);
            let classes = self.classes.get_mut(&key).expect("entered with the node");
            let nodes = classes.get_mut(&before).expect("entered with the node");
            nodes.remove(&node);
            if nodes.is_empty() {
                classes.remove(&before);
            }
            if classes.is_empty() {
                self.classes.remove(&key);
            }
        }
        if let Some(class) = class {
            let classes = self.classes.entry((class.sku, class.account)).or_default();
            classes.entry(class.clone()).or_default().insert(node);
            self.of_node.insert(node, class);
        }
    }
}

impl Hold {
    /// The GPUs it has whole.
    pub(crate) fn whole(&self) -> GpuSlots {
        if self.pieces.is_empty() {
            self.slots
        } else {
            GpuSlots::NONE
        }
    }

    /// Compute slices of all its slices.
    pub(crate) fn sevenths(&self) -> u32 {
        self.pieces.iter().map(|one| u32::from(one.sevenths)).sum()
    }

    /// The CPU and memory it has of a node of a SKU with so many GPUs.
    pub(crate) fn host_of(&self, sku: &Sku, gpus: u8) -> HostShare {
        self.host.unwrap_or_else(|| {
            if self.pieces.is_empty() {
                sku.host_share(self.slots.common(GpuSlots::first(gpus)).len())
            } else {
                sku.host_sevenths(self.sevenths())
            }
        })
    }

    /// The GPUs of which this and another lease want the same, at one time.
    pub(super) fn wants_of(&self, slots: GpuSlots, pieces: &[Piece], same_side: bool) -> GpuSlots {
        let both = self.slots.common(slots);
        // A GPU serves one side at a time, and a GPU that is let whole one lease.
        if self.pieces.is_empty() || pieces.is_empty() || !same_side {
            return both;
        }
        let met = self.pieces.iter().filter(|mine| {
            let mut theirs = pieces.iter();
            theirs.any(|other| !mine.agrees(*other))
        });
        met.fold(GpuSlots::NONE, |slots, piece| slots.with(piece.gpu))
    }
}

/// The geometry of a SKU's GPUs; absent where it has none that is known.
pub(super) fn geometry_of(sku: &Sku) -> Option<Arc<Geometry>> {
    let family = MigFamilies::built_in().get(sku.mig.as_deref()?).ok()?;
    Some(Arc::new(Geometry::new(family)))
}

impl Cell {
    /// How GPUs of a SKU are partitioned; absent where they are not, or where that was not said.
    pub(crate) fn geometry(&self, sku: SkuId) -> Option<&Geometry> {
        self.geometries.get(usize::from(sku.0))?.as_deref()
    }

    /// Nodes with slices let.
    pub(crate) const fn carved(&self) -> &Carved {
        &self.carved
    }

    /// Enters which slices of a node are gone, after anything about it has changed.
    pub(super) fn carve(&mut self, index: NodeIndex) {
        let class = self.class_of(index);
        self.carved.set(index, class);
    }

    fn class_of(&self, index: NodeIndex) -> Option<Box<Class>> {
        Class::of(self.node(index)?, self.index.stance(index)?)
    }

    /// The slices that a booking has of a node among its nodes.
    pub(super) fn pieces(
        &self,
        index: NodeIndex,
        booking: &Booking,
    ) -> Result<Vec<Piece>, BookError> {
        let Some(slices) = booking.slices.get(&index) else {
            return Ok(Vec::new());
        };
        let node = self.node(index).expect("booked nodes exist");
        let wrong = |slice: &Slice, why: String| BookError::NoSuchSlice {
            lease: booking.lease,
            node: index,
            slice: slice.clone(),
            why,
        };
        let mut layouts = [Layout::EMPTY; GPUS];
        let mut pieces = Vec::with_capacity(slices.len());
        for slice in slices {
            let geometry = self
                .geometry(node.sku)
                .ok_or_else(|| wrong(slice, "its gpus are not partitioned".to_owned()))?;
            let kind = geometry
                .kind(&slice.profile)
                .map_err(|unknown| wrong(slice, unknown.to_string()))?;
            if !booking.slots(index).contains(slice.gpu) {
                return Err(wrong(slice, "the gpu is not among the lease's".to_owned()));
            }
            let layout = &mut layouts[usize::from(slice.gpu)];
            let start = slice.start;
            let before = *layout;
            *layout = geometry
                .put(before, Instance { start, kind })
                .map_err(|illegal| wrong(slice, illegal.to_string()))?;
            pieces.push(Piece {
                gpu: slice.gpu,
                taken: layout.taken() & !before.taken(),
                is_single: layout.has_single() && !before.has_single(),
                sevenths: slice.profile.sevenths(),
            });
        }
        let named = slices.iter().map(|slice| slice.gpu);
        let on = named.fold(GpuSlots::NONE, GpuSlots::with);
        match slices.first() {
            Some(first) if on != booking.slots(index) => {
                let why = format!("the lease names gpus {}", booking.slots(index));
                Err(wrong(first, why))
            }
            Some(_) | None => Ok(pieces),
        }
    }

    /// Files every node with slices again.
    ///
    /// # Panics
    /// Where what is kept does not agree.
    pub(super) fn check_carved(&self) {
        let mut fresh = Carved::default();
        for (index, _) in self.in_order() {
            fresh.set(index, self.class_of(index));
        }
        assert_eq!(self.carved, fresh, "nodes with slices are filed");
    }
}
