//! What the holder of a lease reads.

use crate::node::{gpu, grant};
use leasehold_agent_core::environment;
use std::collections::BTreeMap;

#[test]
fn gpus_are_named_in_the_order_in_which_cuda_numbers_them() {
    let lease = grant(17, 1, &[0, 5, 3], 0, Some(3600));
    let indexes = BTreeMap::from([(gpu(0), 6), (gpu(3), 1), (gpu(5), 4)]);
    let expected = "\
LEASEHOLD_LEASE_ID=17
LEASEHOLD_ACCOUNT=acme
LEASEHOLD_SIDE=tenant
LEASEHOLD_CLASS=on-demand
LEASEHOLD_NODE=h001
LEASEHOLD_NODE_RANK=0
LEASEHOLD_GPUS=1,4,6
LEASEHOLD_GPU_UUIDS=GPU-3,GPU-5,GPU-0
LEASEHOLD_START=1970-01-01T00:00:00.000Z
LEASEHOLD_END=1970-01-01T01:00:00.000Z
CUDA_DEVICE_ORDER=PCI_BUS_ID
CUDA_VISIBLE_DEVICES=GPU-3,GPU-5,GPU-0
NVIDIA_VISIBLE_DEVICES=GPU-3,GPU-5,GPU-0
";
    assert_eq!(environment::text(&lease, &indexes), expected);
}

#[test]
fn an_open_end_has_no_end() {
    let text = environment::text(&grant(17, 1, &[0], 0, None), &BTreeMap::new());
    assert!(!text.contains("LEASEHOLD_END"));
}
