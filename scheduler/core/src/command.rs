//! What can be asked of a scheduler, and what it answers.

use leasehold_common::api::{
    AccountView, AcknowledgeGpus, AdmitNodes, CreateAccount, CreateLease, CreateMaintenance,
    DrainNodes, DrainReport, EndLease, ExplainView, ExtendLease, GpuView, ImportNodes,
    ImportReport, LeaseView, List, MaintenanceView, NodeView, OverrideGpus, PolicyChange,
    PolicySummary, PolicyView, PowerView, Recover, RecoverReport, ReplaceNode, ResumeNodes,
    RollbackPolicy, SetPolicy, SetPowerBudget, ShrinkLease, Status, Surplus, SurplusShape,
    UndrainNodes, WithdrawGpus,
};
use leasehold_common::ids::{
    AccountName, Generation, IdempotencyKey, LeaseId, MaintenanceId, NodeName, SkuName,
};
use leasehold_common::lease::{Digest, LeaseRecord, LeaseState};
use leasehold_common::node::NodeState;
use leasehold_common::time::Span;
use leasehold_common::topology::Prefix;

/// A wish to change something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Create an account.
    CreateAccount(CreateAccount),
    /// Create a lease.
    CreateLease(CreateLease),
    /// End a lease, after its notice or at once.
    EndLease(LeaseId, EndLease),
    /// Withdraw a lease that has not begun.
    CancelLease(LeaseId),
    /// Put the end of a lease off.
    ExtendLease(LeaseId, ExtendLease),
    /// Go on with fewer nodes.
    ShrinkLease(LeaseId, ShrinkLease),
    /// Give a lease another node in the place of one.
    ReplaceNode(LeaseId, ReplaceNode),
    /// Take the hardware that is held for a lease.
    CommitLease(LeaseId),
    /// Set a new policy.
    SetPolicy(SetPolicy),
    /// Set an earlier policy again, under a new number.
    RollbackPolicy(RollbackPolicy),
    /// Set the power budget of a place.
    SetPowerBudget(SetPowerBudget),
    /// Book nodes for maintenance.
    CreateMaintenance(CreateMaintenance),
    /// End a maintenance.
    EndMaintenance(MaintenanceId),
    /// Admit or move nodes from an inventory.
    ImportNodes(ImportNodes),
    /// Admit nodes as they report themselves.
    AdmitNodes(AdmitNodes),
    /// Keep new leases away from nodes.
    DrainNodes(DrainNodes),
    /// Take a flag from nodes.
    UndrainNodes(UndrainNodes),
    /// Take every flag from nodes.
    ResumeNodes(ResumeNodes),
    /// Say something of GPUs.
    SayOfGpus(Says),
    /// Recover a ledger that was restored from the past.
    Recover(Recover),
}

/// What an operator says of GPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// What was found on them has been dealt with.
    Acknowledge(AcknowledgeGpus),
    /// Their verdict is another one.
    Override(OverrideGpus),
    /// Their verdict is their agents' again.
    Withdraw(WithdrawGpus),
}

impl Says {
    /// Of which GPUs, as written.
    pub fn gpus(&self) -> &[String] {
        match self {
            Self::Acknowledge(wish) => &wish.gpus,
            Self::Override(wish) => &wish.gpus,
            Self::Withdraw(wish) => &wish.gpus,
        }
    }

    /// Why.
    pub fn reason(&self) -> &str {
        match self {
            Self::Acknowledge(wish) => &wish.reason,
            Self::Override(wish) => &wish.reason,
            Self::Withdraw(wish) => &wish.reason,
        }
    }
}

/// A command with what its caller said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The wish.
    pub command: Command,
    /// What the caller calls this write, and the digest of its body.
    pub idempotency: Option<(IdempotencyKey, Digest)>,
    /// Only say what would happen.
    pub dry_run: bool,
    /// Refuse unless the lease has this generation, or the policy in force this number.
    pub if_match: Option<Generation>,
}

/// What a write did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The HTTP status that says so.
    pub status: u16,
    /// Whether this write had been carried out before, and this is the answer to a retry.
    pub replayed: bool,
    /// What it left behind.
    pub view: View,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// The cell as a whole.
    Status,
    /// All nodes, or those in one state.
    Nodes {
        /// Only those in this state.
        state: Option<NodeState>,
    },
    /// One node.
    Node(NodeName),
    /// All GPUs, or those of one node.
    Gpus {
        /// Only those of this node.
        node: Option<NodeName>,
        /// Only those whose verdict is not healthy or that cannot be let.
        unhealthy: bool,
    },
    /// One GPU, by its node and slot.
    Gpu(NodeName, u32),
    /// All accounts.
    Accounts,
    /// One account.
    Account(AccountName),
    /// Leases.
    Leases {
        /// Also those that are over.
        all: bool,
        /// Only this account's.
        account: Option<AccountName>,
        /// Only those in this state.
        state: Option<LeaseState>,
    },
    /// One lease.
    Lease(LeaseId),
    /// Why one lease is where it is, or is not running.
    Explain(LeaseId),
    /// The view of a lease that has left the ledger, of which this record was found elsewhere.
    Past {
        /// Its record.
        lease: Box<LeaseRecord>,
        /// Why it was where it was, too.
        explained: bool,
    },
    /// What would become of a request, and why.
    Plan(Box<CreateLease>),
    /// All policies, the newest first.
    Policies,
    /// The policy of that number; absent for the one that decides.
    Policy(Option<u64>),
    /// Power by place.
    Power {
        /// Only this place; absent for the whole cell and every place with a budget.
        prefix: Option<Prefix>,
    },
    /// What could be let now.
    Surplus {
        /// For so long.
        horizon: Span,
        /// Only of this SKU.
        sku: Option<SkuName>,
        /// Only in this form.
        shape: Option<SurplusShape>,
    },
    /// Maintenance.
    Maintenances {
        /// Also what is over.
        all: bool,
    },
    /// One maintenance.
    Maintenance(MaintenanceId),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// The cell as a whole.
    Status(Box<Status>),
    /// Nodes.
    Nodes(List<NodeView>),
    /// One node.
    Node(Box<NodeView>),
    /// GPUs.
    Gpus(List<GpuView>),
    /// One GPU.
    Gpu(Box<GpuView>),
    /// Accounts.
    Accounts(List<AccountView>),
    /// One account.
    Account(AccountView),
    /// Leases.
    Leases(List<LeaseView>),
    /// One lease.
    Lease(Box<LeaseView>),
    /// Why a lease is where it is.
    Explain(Box<ExplainView>),
    /// Policies.
    Policies(List<PolicySummary>),
    /// One policy.
    Policy(Box<PolicyView>),
    /// What setting a policy did, or would do.
    PolicyChange(Box<PolicyChange>),
    /// Places with their budgets.
    Power(List<PowerView>),
    /// One place with its budget.
    PowerBudget(Box<PowerView>),
    /// What could be let now.
    Surplus(Surplus),
    /// Maintenance.
    Maintenances(List<MaintenanceView>),
    /// One maintenance.
    Maintenance(Box<MaintenanceView>),
    /// What an import did, or would do.
    Import(ImportReport),
    /// What a change of flags did, or would do.
    Drain(Box<DrainReport>),
    /// What a recovery did, or would do.
    Recover(Box<RecoverReport>),
}
