//! The envelope around every list.

use crate::ids::Seq;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A list: `{"apiVersion","kind","index","items":[…]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct List<T> {
    /// `v1`.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// What is listed: `LeaseList`, `NodeList` …
    pub kind: String,
    /// The last committed record that the list shows.
    pub index: Seq,
    /// The items, in a stable order.
    pub items: Vec<T>,
}

impl<T> List<T> {
    /// A list of this version.
    pub fn new(kind: &str, index: Seq, items: Vec<T>) -> Self {
        Self {
            api_version: super::API_VERSION.into(),
            kind: kind.into(),
            index,
            items,
        }
    }
}
