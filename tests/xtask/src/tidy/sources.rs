//! Rules about the text of one source file.

/// A file above this is two nouns in one place.
const MOST_LINES: usize = 500;

/// What must not be left behind. Spelled in halves, so that this file does not break its own rule.
const PLACEHOLDERS: [&str; 3] = [
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
];

/// An outside library that is to stay behind one module of ours.
struct Confined {
    /// The crate as Rust code names it.
    library: &'static str,
    /// Prefixes of the paths that may name it.
    homes: &'static [&'static str],
    reason: &'static str,
}

const CONFINED: [Confined; 2] = [
    Confined {
        library: concat!("nvml", "_wrapper"),
        // The simulated library is the other side of the same C ABI: it takes the ABI's types, and its tests load it
        // the way the agent would.
        homes: &[
            "agent/src/gpu/nvml",
            "agent/examples/record_nvml/",
            "tests/nvml-sim/",
        ],
        reason: "the agent sees GPUs through its own trait, so that a node without NVML can be simulated",
    },
    Confined {
        library: concat!("etcd", "_client"),
        homes: &["common/store/src/etcd"],
        reason: "deadlines, rotation and re-listing are added in one wrapper and must not be bypassed",
    },
];

/// Every breach in these files, each given as path and text.
pub fn breaches(files: &[(String, String)]) -> Vec<String> {
    files
        .iter()
        .flat_map(|(path, text)| breaches_of_file(path, text))
        .collect()
}

fn breaches_of_file(path: &str, text: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    let lines = text.lines().count();
    if lines > MOST_LINES {
        breaches.push(format!(
            "{path}: {lines} lines, at most {MOST_LINES}: split it by noun"
        ));
    }
    for (number, line) in text.lines().enumerate() {
        // Prose may speak of anything.
        if line.trim_start().starts_with("//") {
            continue;
        }
        let at = format!("{path}:{}", number + 1);
        for placeholder in PLACEHOLDERS
            .iter()
            .filter(|placeholder| line.contains(*placeholder))
        {
            breaches.push(format!("{at}: {placeholder}…) is left behind"));
        }
        for Confined {
            library,
            homes,
            reason,
        } in &CONFINED
        {
            let at_home = homes.iter().any(|home| path.starts_with(home));
            if !at_home && line.contains(library) {
                breaches.push(format!(
                    "{at}: names {library} outside {}: {reason}",
                    homes[0]
                ));
            }
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_five_hundred_lines_passes_and_one_more_does_not() {
        assert!(breaches_of_file("a.rs", &"x\n".repeat(MOST_LINES)).is_empty());
        let breaches = breaches_of_file("a.rs", &"x\n".repeat(MOST_LINES + 1));
        assert_eq!(breaches, ["a.rs: 501 lines, at most 500: split it by noun"]);
    }

    #[test]
    fn placeholders_are_found_with_their_line_and_prose_is_left_alone() {
        for placeholder in PLACEHOLDERS {
            let text = format!("// {placeholder})\nfn f() {{\n    {placeholder})\n}}\n");
            let breaches = breaches_of_file("b.rs", &text);
            assert_eq!(breaches.len(), 1, "{breaches:?}");
            assert!(breaches[0].starts_with("b.rs:3: "), "{breaches:?}");
        }
    }

    #[test]
    fn a_confined_library_may_be_named_at_home_only() {
        for Confined { library, homes, .. } in &CONFINED {
            let text = format!("use {library}::Anything;\n");
            for home in *homes {
                assert!(breaches_of_file(&format!("{home}/mod.rs"), &text).is_empty());
            }
            assert_eq!(breaches_of_file("scheduler/src/lib.rs", &text).len(), 1);
        }
    }
}
