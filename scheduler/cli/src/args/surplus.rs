//! `leasectl surplus`.

use clap::Args;
use leasehold_common::api::SurplusShape;
use leasehold_common::ids::SkuName;
use leasehold_common::time::Span;

/// `surplus`.
#[derive(Debug, Clone, Args)]
pub struct Surplus {
    /// For so long from now on.
    #[arg(long = "for", value_name = "SPAN", default_value = "1h")]
    pub length: Span,
    /// Only of this SKU.
    #[arg(long, value_name = "SKU")]
    pub sku: Option<SkuName>,
    /// Only in this form: nodes, racks, domains, gpus or slices.
    #[arg(long, value_name = "SHAPE")]
    pub shape: Option<SurplusShape>,
}
