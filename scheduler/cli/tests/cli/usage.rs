//! Words that make no command.

use clap::Parser as _;
use leasectl::args::Cli;

fn refused(words: &str) -> String {
    let words = ["leasectl"].into_iter().chain(words.split_whitespace());
    Cli::try_parse_from(words).unwrap_err().to_string()
}

#[test]
fn a_wrong_word_is_told_with_the_words_that_are_right() {
    let class = refused("leases create --account a --class gold --nodes 1 --sku h200 --for 1h");
    assert!(
        class.contains("'gold'") && class.contains("internal-critical"),
        "{class}"
    );
    let within = refused("leases create --account a --class spot --nodes 1 --sku h200 --within x");
    assert!(within.contains("domain, rack, row, hall, cell"), "{within}");
    assert!(refused("accounts create acme --side left").contains("internal, tenant"));
}

#[test]
fn the_help_of_drain_says_whose_drain_it_is() {
    let help = refused("nodes drain --help");
    assert!(help.contains("Slurm's drain"), "{help}");
    assert!(help.contains("nothing is evicted"), "{help}");
    let all = refused("nodes --help");
    assert!(all.contains("[alias: cordon]"), "{all}");
    assert!(refused("nodes uncordon --help").contains("nodes undrain"));
}

#[test]
fn values_that_cannot_be_are_refused_before_anything_is_sent() {
    let create = "leases create --account a --class spot --sku h200";
    for (words, told) in [
        ("--nodes -1 --for 1h", "'-1' for '--nodes <N|MIN..N>'"),
        ("--gpus -2 --for 1h", "a whole number, 1 or more"),
        ("--nodes 99999999999 --for 1h", "'99999999999'"),
        ("--nodes 1 --gpus 1", "cannot be used with"),
        ("--nodes 1 --slice 1g.18gb:1", "cannot be used with"),
        ("--unit hall-a --slice 1g.18gb:1", "cannot be used with"),
        (
            "--for 1h",
            "<--nodes <N|MIN..N>|--unit <PREFIX>|--gpus <N>|--slice <PROFILE:N>>",
        ),
        ("--nodes 1 --for soon", "no length of time such as 90s"),
        ("--nodes 1 --until tomorrow", "no RFC 3339 instant"),
        (
            "--nodes 1 --for 1h --until 2026-11-22T09:00:00Z",
            "cannot be used with",
        ),
        ("--nodes 1 --for 1h --wait --dry-run", "cannot be used with"),
    ] {
        let refused = refused(&format!("{create} {words}"));
        assert!(refused.contains(told), "{words}: {refused}");
    }
    let quota = refused("accounts create acme --side tenant --quota-gpus -5");
    assert!(quota.contains("-5 is not in 0..="), "{quota}");
    assert!(refused("accounts create Acme --side tenant").contains("1 to 63 of a-z"));
    assert!(refused("leases show seven").contains("a whole number"));
    let all = "--nodes <N>|--drop <HOSTLIST>|--gpus <N>|--slice <PROFILE:N>";
    assert!(refused("leases shrink 7").contains(all));
    assert!(refused("leases shrink 7 --gpus 1 --slice 1g.18gb:1").contains("cannot be used with"));
    assert!(refused("leases shrink 7 --nodes 1 --drop h001").contains("cannot be used with"));
    assert!(refused("nodes drain h001").contains("--reason <TEXT>"));
    assert!(refused("nodes cordon --reason x").contains("<HOSTLIST>"));
    assert!(
        refused("nodes drain h001 --reason x --wait --dry-run").contains("cannot be used with")
    );
    assert!(refused("nodes ls -N --reasons").contains("cannot be used with"));
    assert!(refused("leases replace 7").contains("--node <NAME>"));
    assert!(refused("etcd-roles --from-inventory f.csv").contains("--cell"));
}
