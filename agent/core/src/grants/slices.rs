//! Slices of one GPU in two leases.
//!
//! Names of profiles say how many slices an instance has, not where it may stand: that is the
//! scheduler's to know. Here it is enough that no two begin at one place, and that a GPU which one
//! lease has whole is in no other.

use leasehold_common::grant::{Grant, GrantedSlice};
use leasehold_common::ids::GpuUuid;

/// Whether both grants want the same of a GPU that is in both.
pub(super) fn clash(one: &Grant, other: &Grant, gpu: &GpuUuid) -> bool {
    let (mine, theirs) = (of(one, gpu), of(other, gpu));
    if mine.is_empty() || theirs.is_empty() || one.side != other.side {
        return true;
    }
    mine.iter()
        .any(|mine| theirs.iter().any(|theirs| meet(mine, theirs)))
}

fn of<'a>(grant: &'a Grant, gpu: &GpuUuid) -> Vec<&'a GrantedSlice> {
    let slices = grant.slices.iter();
    slices.filter(|slice| slice.gpu == *gpu).collect()
}

/// Whether they would share a slice: an instance has at least as many memory slices as compute slices.
fn meet(one: &GrantedSlice, other: &GrantedSlice) -> bool {
    let end = |slice: &GrantedSlice| slice.start + slice.profile.sevenths();
    one.start < end(other) && other.start < end(one)
}

/// How much of a GPU among its GPUs a grant has, in sevenths.
pub(super) fn sevenths(grant: &Grant, gpu: &GpuUuid) -> u64 {
    if grant.slices.is_empty() {
        return 7;
    }
    let slices = of(grant, gpu);
    slices
        .iter()
        .map(|slice| u64::from(slice.profile.sevenths()))
        .sum()
}
