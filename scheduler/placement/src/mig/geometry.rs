//! The geometry of one family, ready for decisions.

use super::layout::{Illegal, Instance, Kind, Layout, Starts};
use super::table::Table;
use leasehold_common::mig::{MigFamily, MigProfile, UnknownProfile};

/// What a GPU could still hold: of two of one family, the greater is the better. It is the count of
/// the largest kind that still fits on its own, then that of the next, and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Outlook(pub(super) u32);

/// A family of GPUs with its answers tabled. Made once for each family, in less than a millisecond.
#[derive(Debug, Clone)]
pub struct Geometry {
    family: MigFamily,
    table: Table,
    largest_first: Vec<Kind>,
}

impl Geometry {
    /// Of a family.
    pub fn new(family: &MigFamily) -> Self {
        let table = Table::new(family);
        Self {
            family: family.clone(),
            largest_first: table.largest_first(),
            table,
        }
    }

    /// What it is the geometry of.
    pub fn family(&self) -> &MigFamily {
        &self.family
    }

    /// The kind of that name.
    ///
    /// # Errors
    /// The family has none; the error names those it has.
    pub fn kind(&self, profile: &MigProfile) -> Result<Kind, UnknownProfile> {
        (0..)
            .zip(&self.family.kinds)
            .find(|(_, kind)| kind.name == *profile)
            .map(|(at, _)| Kind(at))
            .ok_or_else(|| self.family.unknown(profile))
    }

    /// The name of a kind.
    pub fn profile(&self, kind: Kind) -> &MigProfile {
        &self.family.kinds[kind.as_usize()].name
    }

    /// Every kind, largest first.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.largest_first.iter().copied()
    }

    /// How many more of a kind the layout has room for, if nothing else is added.
    pub fn room(&self, layout: Layout, kind: Kind) -> u8 {
        self.table.room(layout.state(), kind)
    }

    /// What a layout could still hold.
    pub fn outlook(&self, layout: Layout) -> Outlook {
        Outlook(self.table.outlook(layout.state()))
    }

    /// Where `count` more of a kind go so that the outlook after them is the best there is, and of
    /// equals the highest; absent where they do not fit.
    pub fn place(&self, layout: Layout, kind: Kind, count: u8) -> Option<Starts> {
        self.table.best(layout.state(), kind, count)
    }

    /// The layout with one more instance.
    ///
    /// # Errors
    /// The instance may not begin there, would overlap another, or is a second of a kind of which a
    /// GPU has one.
    pub fn put(&self, layout: Layout, instance: Instance) -> Result<Layout, Illegal> {
        let Instance { start, kind } = instance;
        let shape = &self.table.shapes[kind.as_usize()];
        let profile = || self.profile(kind).clone();
        let Some(slices) = shape.slices(start) else {
            return Err(Illegal::Start {
                profile: profile(),
                start,
                allowed: self.family.kinds[kind.as_usize()].starts.clone(),
            });
        };
        if layout.taken() & slices != 0 {
            return Err(Illegal::Overlap {
                profile: profile(),
                start,
            });
        }
        if shape.single && layout.state() >> 8 == 1 {
            return Err(Illegal::Single { profile: profile() });
        }
        Ok(layout.with(instance, slices, shape.single))
    }

    /// The layout without the instance that begins at `start`.
    ///
    /// # Errors
    /// None begins there.
    pub fn take(&self, layout: Layout, start: u8) -> Result<Layout, Illegal> {
        let kind = layout.kind_at(start).ok_or(Illegal::Absent { start })?;
        let shape = &self.table.shapes[kind.as_usize()];
        let slices = shape.slices(start).ok_or(Illegal::Absent { start })?;
        Ok(layout.without(Instance { start, kind }, slices, shape.single))
    }

    /// The layout with instances that are known to be legal: they come from the table.
    pub(super) fn put_all(&self, layout: Layout, kind: Kind, starts: Starts) -> Layout {
        starts.iter().fold(layout, |layout, start| {
            self.put(layout, Instance { start, kind })
                .expect("the table has legal placements only")
        })
    }

    /// Every set of instances of a kind that fits, with the layout it makes; the empty one too.
    pub(super) fn each_set(&self, layout: Layout, kind: Kind, visit: &mut impl FnMut(u8, Layout)) {
        let shape = &self.table.shapes[kind.as_usize()];
        shape.each_set(layout.state(), &mut |starts, _| {
            visit(starts.len(), self.put_all(layout, kind, starts));
        });
    }

    /// Memory slices of one instance of a kind.
    pub(super) fn size(&self, kind: Kind) -> u8 {
        self.table.shapes[kind.as_usize()].size
    }
}
