//! Where simulated nodes stand.

use super::Fleet;
use leasehold_common::api::ImportLine;
use leasehold_common::ids::{InvalidName, NodeName, SkuName};
use leasehold_common::sku::SkuCatalogue;
use leasehold_common::topology::{InvalidPlace, TopologyPath};
use std::collections::BTreeMap;

/// HGX nodes in a rack: what a 100 kW rack takes.
const NODES_PER_RACK: u32 = 8;
/// Racks in a row.
const RACKS_PER_ROW: u32 = 8;
/// Rows in a hall.
const ROWS_PER_HALL: u32 = 4;

/// A node, where it stands and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Its name.
    pub name: NodeName,
    /// Where it stands.
    pub path: TopologyPath,
    /// What it is sold as.
    pub sku: SkuName,
}

/// Nodes that cannot be placed.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// A SKU that nobody knows.
    #[error("sku {sku} is not known; known are {known}")]
    UnknownSku {
        /// The SKU.
        sku: SkuName,
        /// What is known.
        known: String,
    },
    /// The inventory has other nodes than are to be simulated.
    #[error("the topology has {listed} nodes of sku {sku}, to be simulated are {wanted}")]
    OtherCount {
        /// The SKU.
        sku: SkuName,
        /// Nodes in the inventory.
        listed: u32,
        /// Nodes to be simulated.
        wanted: u32,
    },
    /// A line of the inventory with a bad name.
    #[error("line {line}")]
    Name {
        /// The line.
        line: u32,
        /// What is wrong.
        #[source]
        source: InvalidName,
    },
    /// A line of the inventory with a bad place.
    #[error("line {line}")]
    Place {
        /// The line.
        line: u32,
        /// What is wrong.
        #[source]
        source: InvalidPlace,
    },
}

/// Places nodes as sites do: eight HGX nodes a rack, eight racks a row, four rows a hall; of kinds
/// whose domain is a rack, such as NVL72, one domain a rack. Each kind begins in a row of its own.
///
/// # Errors
/// A SKU that is not in the catalogue.
pub fn generate(fleet: &Fleet, skus: &SkuCatalogue) -> Result<Vec<Placed>, TopologyError> {
    let mut placed = Vec::new();
    let mut row = 0;
    for group in &fleet.0 {
        let Some(sku) = skus.get(&group.sku) else {
            let known: Vec<&str> = skus.iter().map(|sku| sku.name.as_str()).collect();
            let known = known.join(", ");
            return Err(TopologyError::UnknownSku {
                sku: group.sku.clone(),
                known,
            });
        };
        let domain = u32::from(sku.nodes_per_domain);
        let per_rack = if domain > 1 { domain } else { NODES_PER_RACK };
        let width = group.count.to_string().len().max(3);
        for n in 0..group.count {
            let rack = n / per_rack;
            let row = row + rack / RACKS_PER_ROW;
            let name = format!("{}-{:0width$}", group.sku, n + 1);
            let place = format!(
                "hall-{}/row-{}/rack-{}/{}",
                row / ROWS_PER_HALL + 1,
                row % ROWS_PER_HALL + 1,
                rack % RACKS_PER_ROW + 1,
                if domain > 1 {
                    "nvl".to_owned()
                } else {
                    format!("n{}", n % per_rack + 1)
                },
            );
            placed.push(Placed {
                name: name
                    .parse()
                    .expect("a SKU's name and a number make a node's name"),
                path: place.parse().expect("numbered places are valid"),
                sku: group.sku.clone(),
            });
        }
        row += group.count.div_ceil(per_rack).div_ceil(RACKS_PER_ROW);
    }
    Ok(placed)
}

/// Places nodes as an inventory lists them.
///
/// # Errors
/// A line that is wrong, or other nodes than are to be simulated.
pub fn listed(fleet: &Fleet, lines: Vec<ImportLine>) -> Result<Vec<Placed>, TopologyError> {
    let mut placed = Vec::with_capacity(lines.len());
    for entry in lines {
        let line = entry.line;
        let name = |source| TopologyError::Name { line, source };
        placed.push(Placed {
            name: entry.node.parse().map_err(name)?,
            path: entry
                .path
                .parse()
                .map_err(|source| TopologyError::Place { line, source })?,
            sku: entry.sku.parse().map_err(name)?,
        });
    }
    let mut counts: BTreeMap<&SkuName, (u32, u32)> = BTreeMap::new();
    for node in &placed {
        counts.entry(&node.sku).or_default().0 += 1;
    }
    for group in &fleet.0 {
        counts.entry(&group.sku).or_default().1 += group.count;
    }
    let differs = counts
        .into_iter()
        .find(|(_, (listed, wanted))| listed != wanted);
    if let Some((sku, (listed, wanted))) = differs {
        return Err(TopologyError::OtherCount {
            sku: sku.clone(),
            listed,
            wanted,
        });
    }
    Ok(placed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_nvl72_rack_is_one_domain_of_eighteen_trays() {
        let fleet = "16xh200,36xgb200".parse().unwrap();
        let placed = generate(&fleet, &SkuCatalogue::built_in()).unwrap();
        let at = |name: &str| {
            let node = placed
                .iter()
                .find(|node| node.name.as_str() == name)
                .unwrap();
            node.path.to_string()
        };
        assert_eq!(at("h200-001"), "hall-1/row-1/rack-1/n1");
        assert_eq!(at("h200-009"), "hall-1/row-1/rack-2/n1");
        assert_eq!(at("gb200-018"), "hall-1/row-2/rack-1/nvl");
        assert_eq!(at("gb200-019"), "hall-1/row-2/rack-2/nvl");
    }

    #[test]
    fn a_topology_must_list_what_is_simulated() {
        let line = |n: u32| ImportLine {
            line: n + 1,
            node: format!("h{n}"),
            path: format!("a/b/c/d{n}"),
            sku: "h200".into(),
            owner: None,
        };
        let fleet: Fleet = "2xh200".parse().unwrap();
        assert_eq!(listed(&fleet, vec![line(1), line(2)]).unwrap().len(), 2);
        let refused = listed(&fleet, vec![line(1)]).unwrap_err().to_string();
        assert_eq!(
            refused,
            "the topology has 1 nodes of sku h200, to be simulated are 2"
        );
    }
}
