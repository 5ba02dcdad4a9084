//! What a policy can say and the packing engine does not plan by yet. A rule that is kept and
//! decides nothing would be believed, so it is refused.

use super::{Finding, Granularity, Policy};

/// Everything in a policy that would decide nothing.
pub fn unplanned(policy: &Policy) -> Vec<Finding> {
    let mut found = Vec::new();
    for (place, rate) in &policy.sanitising_per_hour {
        found.push(Finding {
            field: format!("sanitising_per_hour.{place}"),
            value: rate.to_string(),
            allowed: "absent: nothing plans by a rate of cleaning yet".into(),
        });
    }
    for (sku, isolation) in &policy.isolation {
        if isolation.granularity != Granularity::Node {
            found.push(Finding {
                field: format!("isolation.{sku}.granularity"),
                value: isolation.granularity.to_string(),
                allowed: "node: nothing plans by another yet".into(),
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_would_decide_nothing_is_named() {
        assert_eq!(unplanned(&Policy::default()), []);
        let policy: Policy = serde_json::from_str(
            r#"{"sanitising_per_hour":{"hall-a":60},
                "isolation":{"gb200":{"granularity":"domain","mig_colocation":true}}}"#,
        )
        .unwrap();
        let fields: Vec<_> = unplanned(&policy).into_iter().map(|f| f.field).collect();
        assert_eq!(
            fields,
            ["sanitising_per_hour.hall-a", "isolation.gb200.granularity"]
        );
    }
}
