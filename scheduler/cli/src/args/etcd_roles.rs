//! `leasectl etcd-roles`.

use clap::Args;
use leasehold_common::ids::{CellName, NodeName};
use std::path::PathBuf;

/// `etcd-roles`.
#[derive(Debug, Clone, Args)]
pub struct EtcdRoles {
    /// The cell, whose name is part of every key [default: the running scheduler's].
    #[arg(long, value_name = "NAME")]
    pub cell: Option<CellName>,
    /// The nodes of this inventory [default: those the running scheduler knows].
    #[arg(long, value_name = "FILE.csv", requires = "cell")]
    pub from_inventory: Option<PathBuf>,
    /// The etcd user of the schedulers, as in the CN of their certificate. Agents' users are their
    /// node names.
    #[arg(long, value_name = "USER", default_value = "leasehold-scheduler")]
    pub scheduler_user: NodeName,
    /// Run the commands with etcdctl, which takes its endpoints and credentials from the
    /// environment (ETCDCTL_ENDPOINTS, ETCDCTL_USER …); stop at the first error.
    #[arg(long)]
    pub apply: bool,
    /// Where etcdctl finds etcd.
    #[arg(long, value_name = "URL[,URL…]", requires = "apply")]
    pub endpoints: Option<String>,
}
