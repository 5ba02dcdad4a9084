//! What the scheduler refuses, as people and as scripts see it.

use crate::server::Server;
use leasectl::exit::Exit;
use leasehold_common::api::{Problem, ProblemCode};

fn refusing(problem: &Problem) -> Server {
    Server::saying(problem.status, serde_json::to_string(problem).unwrap())
}

#[tokio::test]
async fn a_refusal_is_one_line_and_an_exit_code() {
    let unknown = Problem::new(ProblemCode::UnknownAccount, "no account \"acne\"").about(
        "account",
        "acne",
        "an account of this cell",
    );
    let ran = refusing(&unknown).run("accounts show acne").await;
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::NoSuchObject, ""));
    insta::assert_snapshot!(ran.err, @r#"
    leasectl: unknown-account: no account "acne" (allowed: an account of this cell)
    "#);
}

#[tokio::test]
async fn with_json_the_problem_document_goes_to_standard_error() {
    let forbidden = Problem::new(ProblemCode::Forbidden, "uid 1001 is a viewer");
    let ran = refusing(&forbidden).run("accounts ls -o json").await;
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Permission, ""));
    assert_eq!(
        serde_json::from_str::<Problem>(&ran.err).unwrap(),
        forbidden
    );
}

#[tokio::test]
async fn something_else_on_the_socket_is_told_apart() {
    let ran = Server::saying(500, "<html>oops").run("status").await;
    assert_eq!(ran.exit, Exit::Failed);
    insta::assert_snapshot!(ran.err, @r#"
    leasectl: status 500 Internal Server Error without a problem document: "<html>oops"
    "#);
    let ran = Server::saying(200, "[]").run("status").await;
    assert_eq!(ran.exit, Exit::Failed);
    assert!(
        ran.err.contains("is the scheduler of another version?"),
        "{}",
        ran.err
    );
}
