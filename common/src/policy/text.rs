//! A policy as people write it: TOML or JSON, with the same names.

use super::Policy;
use std::fmt;

/// Text that is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no policy in {form}: {said}")]
pub struct PolicyText {
    /// The form it was read as.
    pub form: &'static str,
    /// What is wrong, and where.
    pub said: String,
}

impl PolicyText {
    fn new(form: &'static str, said: &impl fmt::Display) -> Self {
        Self {
            form,
            said: said.to_string().trim_end().to_owned(),
        }
    }
}

impl Policy {
    /// From text: JSON where it begins with a brace, TOML otherwise. Fields that are left out keep
    /// the values of the built-in policy.
    ///
    /// # Errors
    /// Text of neither form, a field that is not known, or a value of another type; the message
    /// says where.
    pub fn from_text(text: &str) -> Result<Self, PolicyText> {
        if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|e| PolicyText::new("JSON", &e))
        } else {
            toml::from_str(text).map_err(|e| PolicyText::new("TOML", &e))
        }
    }

    /// As TOML, every field written out.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("a policy has no absent values and string keys")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUSE: &str = r#"
        turnaround = "10m"
        [sanitising_per_hour]
        "/" = 600
        hall-a = 60
        [isolation.gb200]
        granularity = "domain"
        [[floors]]
        side = "internal"
        sku = "gb200"
        domains = 2
        [[floors]]
        side = "internal"
        sku = "h200"
        nodes = 64
        [reclaim.spot]
        min_run = "5m"
    "#;

    #[test]
    fn a_policy_reads_back_from_its_own_text() {
        let policy = Policy::from_text(HOUSE).unwrap();
        assert_eq!(policy.floors[1].nodes, Some(64));
        assert_eq!(policy.planned_ahead, 100, "what is left out is built in");
        assert_eq!(policy.reclaim.len(), 1, "what is named is the whole of it");
        assert_eq!(Policy::from_text(&policy.to_toml()).unwrap(), policy);
        let json = serde_json::to_string(&policy).unwrap();
        assert_eq!(Policy::from_text(&json).unwrap(), policy);
        assert_eq!(
            Policy::from_text(&json).unwrap().digest(),
            policy.digest(),
            "one policy, one digest, however it was written"
        );
    }

    #[test]
    fn a_misspelt_rule_is_not_passed_over() {
        let refused = Policy::from_text("turnaruond = \"10m\"").unwrap_err();
        assert!(refused.said.contains("turnaruond"), "{refused}");
        assert!(refused.said.contains("line 1"), "{refused}");
        let refused = Policy::from_text(r#"{"floors":[{"side":"both","sku":"h200"}]}"#);
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("internal"), "{refused}");
    }
}
