//! Examples, properties, and ClusterShell's `NodeSet` as an oracle where it is installed.

use super::*;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use std::fmt::Write as _;
use std::process::Command;

fn folded(names: &str) -> String {
    fold(names.split_whitespace())
}

fn expanded(list: &str) -> String {
    expand(list).unwrap().join(" ")
}

fn refused(list: &str) -> String {
    expand(list).unwrap_err().to_string()
}

fn sorted_set(mut names: Vec<String>) -> Vec<String> {
    names.sort_by(|a, b| natural_order(a, b));
    names.dedup();
    names
}

#[test]
fn folding_sorts_naturally_and_drops_duplicates() {
    assert_eq!(folded("h10 h9 h8 h9"), "h[8-10]");
    assert_eq!(folded("h001 h002 h016 h015"), "h[001-002,015-016]");
    assert_eq!(folded("login h2 h1"), "h[1-2],login");
    assert_eq!(folded("h1"), "h1");
    assert_eq!(folded(""), "");
}

#[test]
fn several_fields_fold_into_products() {
    assert_eq!(folded("r1n1 r1n2 r2n1 r2n2 r3n1"), "r[1-2]n[1-2],r3n1");
    let rows = expand("hall-a-row-[1-4]-rack-[01-08]-n[1-18]").unwrap();
    assert_eq!(rows.len(), 4 * 8 * 18);
    assert_eq!(
        fold(rows.iter().map(String::as_str)),
        "hall-a-row-[1-4]-rack-[01-08]-n[1-18]"
    );
    assert_eq!(folded("h1-ib h2-ib h1-eth h2-eth"), "h[1-2]-eth,h[1-2]-ib");
}

#[test]
fn padding_is_part_of_the_name() {
    assert_eq!(folded("h1 h01 h2"), "h[1,01,2]");
    assert_eq!(folded("h098 h099 h100"), "h[098-100]");
    assert_eq!(folded("h99 h100"), "h[99-100]");
    assert_eq!(folded("h0 h1 h00"), "h[0,00,1]");
    assert_eq!(folded("h099 h0100"), "h[099,0100]");
    assert_eq!(expanded("h[1,01,2]"), "h1 h01 h2");
}

#[test]
fn expanding_gives_the_set_in_natural_order() {
    assert_eq!(expanded("h[001-003,020]"), "h001 h002 h003 h020");
    assert_eq!(expanded("r[1-2]n[01-02]"), "r1n01 r1n02 r2n01 r2n02");
    assert_eq!(expanded("b,a,h[9-10],h9"), "a b h9 h10");
    assert_eq!(expanded("[1-2].example.org"), "1.example.org 2.example.org");
    assert_eq!(expanded(""), "");
}

#[test]
fn mistakes_are_named_with_their_position() {
    let cases = [
        ("h[1-3", "the bracket opened at character 2 is not closed"),
        ("h[1,", "the bracket opened at character 2 is not closed"),
        ("h1]", "the bracket closed at character 3 was not opened"),
        (
            "h[]",
            "empty range at character 3: wanted a number such as 7 or a range such as 001-016",
        ),
        (
            "h[1-]",
            "empty range at character 5: wanted a number such as 7 or a range such as 001-016",
        ),
        (
            "h[1,,2]",
            "empty range at character 5: wanted a number such as 7 or a range such as 001-016",
        ),
        ("a,,b", "empty name at character 3"),
        ("a,", "empty name at character 3"),
        (
            "h[16-1]",
            "range 16-1 at character 3 runs backwards: write 1-16",
        ),
        (
            "h[01-100]",
            "range 01-100 at character 3 pads its ends differently: give both one width",
        ),
        (
            "h 1",
            "character ' ' at 2 is not allowed in a host name: A-Z, a-z, 0-9, '.', '_' and '-'",
        ),
        (
            "h[1-x]",
            "character 'x' at 5 is not allowed in a bracket: digits, '-' and ','",
        ),
        (
            "h[[1]]",
            "character '[' at 3 is not allowed in a bracket: digits, '-' and ','",
        ),
        (
            "hé",
            "character 'é' at 2 is not allowed in a host name: A-Z, a-z, 0-9, '.', '_' and '-'",
        ),
        (
            "h[1-9999999999999999999]",
            "number 9999999999999999999 at character 5 is too large for a range: up to 18 digits",
        ),
    ];
    for (list, message) in cases {
        assert_eq!(refused(list), message, "{list}");
    }
}

#[test]
fn what_is_too_much_is_refused_before_it_is_made() {
    assert_eq!(expand("h[1-1000000]").unwrap().len(), EXPAND_MAX);
    assert_eq!(
        refused("h[1-1000001]"),
        "the list gives more than 1000000 names by character 1"
    );
    assert_eq!(
        refused("a,h[1-1000000]"),
        "the list gives more than 1000000 names by character 3"
    );
    assert!(refused("h[1-999999999999999999]").contains("more than 1000000"));
    assert!(refused("[1-99999][1-99999][1-99999][1-99999][1-99999]").contains("more than"));
    assert!(refused(&format!("{}[1-1000000]", "a".repeat(200))).contains("too long"));
}

#[test]
fn a_cell_of_125_000_nodes_folds_to_one_word() {
    let names = expand("h[000001-125000]").unwrap();
    assert_eq!(fold(names.iter().map(String::as_str)), "h[000001-125000]");
}

/// Names that look like a fleet's: few letters and small numbers, so that products, gaps, mixed
/// padding and duplicates all occur.
fn names() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("(h|r|a-b)(0{0,2}[0-9]{1,2}(n|-|\\.x)?(0?[0-3])?)?", 0..60)
}

proptest! {
    #[test]
    fn expanding_what_was_folded_gives_the_set(names in names()) {
        let list = fold(names.iter().map(String::as_str));
        prop_assert_eq!(expand(&list).unwrap(), sorted_set(names), "{}", list);
    }

    #[test]
    fn folding_is_stable(names in names()) {
        let once = fold(names.iter().map(String::as_str));
        let again = fold(expand(&once).unwrap().iter().map(String::as_str));
        prop_assert_eq!(once, again);
    }

    #[test]
    fn any_host_name_survives(
        names in prop::collection::vec("[A-Za-z0-9][A-Za-z0-9._-]{0,30}", 0..20),
    ) {
        let list = fold(names.iter().map(String::as_str));
        prop_assert_eq!(expand(&list).unwrap(), sorted_set(names), "{}", list);
    }

    #[test]
    fn any_text_is_expanded_or_refused_but_never_panics(text in "[h0-9\\[\\],é -]{0,24}") {
        drop(expand(&text));
    }

    #[test]
    fn natural_order_is_a_total_order(mut a in names()) {
        a.sort_by(|x, y| natural_order(x, y));
        for (i, x) in a.iter().enumerate() {
            for y in &a[i..] {
                prop_assert!(natural_order(x, y).is_le());
                prop_assert_eq!(natural_order(x, y).is_eq(), x == y);
            }
        }
    }
}

/// Runs a line of Python with `NodeSet` at hand, once per input line; nothing where ClusterShell is
/// not installed.
fn cluster_shell(body: &str, lines: &[String]) -> Option<Vec<String>> {
    let dir = tempdir();
    let input = dir.join("lines");
    std::fs::write(&input, lines.join("\n")).unwrap();
    let mut script = String::from("import sys\nfrom ClusterShell.NodeSet import NodeSet\n");
    writeln!(
        script,
        "for line in open(sys.argv[1]):\n    line = line.strip()\n    {body}"
    )
    .unwrap();
    let ran = ["python3", "/usr/bin/python3"]
        .into_iter()
        .find_map(|python| {
            let output = Command::new(python)
                .arg("-c")
                .arg(&script)
                .arg(&input)
                .output()
                .ok()?;
            output.status.success().then_some(output.stdout)
        });
    std::fs::remove_dir_all(&dir).unwrap();
    Some(
        String::from_utf8(ran?)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect(),
    )
}

fn tempdir() -> std::path::PathBuf {
    let dir = std::env::temp_dir().join(format!("leasehold-hostlist-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

#[test]
fn cluster_shell_reads_our_lists_and_we_read_its() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let sets: Vec<Vec<String>> = (0..200)
        .map(|_| sorted_set(names().new_tree(&mut runner).unwrap().current()))
        .filter(|set| !set.is_empty())
        .collect();
    let ours: Vec<String> = sets
        .iter()
        .map(|set| fold(set.iter().map(String::as_str)))
        .collect();
    let Some(read) = cluster_shell("print(' '.join(NodeSet(line)))", &ours) else {
        println!("skipped: python3 with ClusterShell is not installed");
        return;
    };
    for ((set, list), read) in sets.iter().zip(&ours).zip(&read) {
        let read = sorted_set(read.split(' ').map(str::to_owned).collect());
        assert_eq!(&read, set, "ClusterShell on {list}");
    }
    let plain: Vec<String> = sets.iter().map(|set| set.join(",")).collect();
    let theirs = cluster_shell("print(NodeSet(line))", &plain).expect("it ran a moment ago");
    for (set, list) in sets.iter().zip(&theirs) {
        assert_eq!(&expand(list).unwrap(), set, "we on {list}");
    }
}
