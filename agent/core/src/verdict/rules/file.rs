//! The file of rules as it is written: words and numbers, not yet checked.

use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub repeat: Repeat,
    pub satisfied: BTreeMap<String, Vec<String>>,
    pub rule: Vec<Rule>,
    pub xid: Xid,
    #[serde(default)]
    pub nvlink5: Vec<NvLink5>,
    pub node: BTreeMap<String, Node>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    pub within: Option<String>,
    pub settle: Option<String>,
    pub same: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub name: Option<String>,
    pub signal: Option<String>,
    pub unit: Option<String>,
    pub is: Option<i64>,
    pub above: Option<i64>,
    pub at_least: Option<i64>,
    pub at_most: Option<i64>,
    pub grows_by: Option<i64>,
    pub within: Option<String>,
    pub hold: Option<String>,
    pub clear: Option<String>,
    pub until: Option<String>,
    pub verdict: Option<String>,
    pub action: Option<String>,
    pub repeat: Option<String>,
    pub reason: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Xid {
    pub policy: BTreeMap<String, Policy>,
    pub reason: BTreeMap<String, String>,
    #[serde(default, rename = "override")]
    pub overrides: Vec<Override>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    pub verdict: Option<String>,
    pub action: Option<String>,
    pub until: Option<String>,
    pub clear: Option<String>,
    pub repeat: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    pub codes: Vec<u32>,
    pub policy: Option<String>,
    pub verdict: Option<String>,
    pub action: Option<String>,
    pub reason: Option<String>,
    pub repeat: Option<String>,
    pub decode: Option<String>,
    pub often: Option<Often>,
    pub tenants: Option<Tenants>,
    pub with: Option<With>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Often {
    pub times: Option<i64>,
    pub within: Option<String>,
    pub apart: Option<String>,
    pub alone: Option<String>,
    pub verdict: Option<String>,
    pub action: Option<String>,
    pub clear: Option<String>,
    pub reason: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenants {
    pub distinct: Option<i64>,
    pub within: Option<String>,
    pub verdict: Option<String>,
    pub action: Option<String>,
    pub clear: Option<String>,
    pub reason: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct With {
    pub within: Option<String>,
    #[serde(default)]
    pub calm: Vec<u32>,
    #[serde(default)]
    pub harsh: Vec<u32>,
    pub action: Option<String>,
    pub alone: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NvLink5 {
    pub xid: u32,
    pub unit: String,
    pub of: Option<String>,
    #[serde(default)]
    pub fatal: Vec<u32>,
    #[serde(default)]
    pub ignore: Vec<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    pub unit: Option<String>,
    pub at_least: Option<i64>,
    pub hold: Option<String>,
    pub clear: Option<String>,
    pub verdict: Option<String>,
    pub action: Option<String>,
}
