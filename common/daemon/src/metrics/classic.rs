//! The text format from before OpenMetrics, for tools that know no other: `promtool check metrics` and many an agent.
//!
//! Three things differ here: a counter's type and help stand under the name of its series, with `_total`; there are no
//! units; and nothing ends the text.

/// The same metrics in the older format.
pub(super) fn from_openmetrics(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // The help comes before the type that tells how it is to be written.
    let mut help = None;
    for line in text.lines() {
        if line.starts_with("# HELP ") {
            help = Some(line);
            continue;
        }
        if line.starts_with("# UNIT ") || line == "# EOF" {
            continue;
        }
        match line.strip_prefix("# TYPE ") {
            Some(family) => {
                let (name, kind) = family.split_once(' ').unwrap_or((family, "untyped"));
                let suffix = if kind == "counter" { "_total" } else { "" };
                if let Some(words) = help.take().and_then(|line| line.splitn(4, ' ').nth(3)) {
                    out += &format!("# HELP {name}{suffix} {words}\n");
                }
                out += &format!("# TYPE {name}{suffix} {kind}\n");
            }
            None => {
                out += line;
                out.push('\n');
            }
        }
    }
    out
}
