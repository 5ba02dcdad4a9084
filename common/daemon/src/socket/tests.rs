use super::*;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;

fn settings(dir: &tempfile::TempDir) -> SocketSettings {
    SocketSettings {
        path: dir.path().join("control.sock"),
        mode: 0o640,
        group: Some(nix::unistd::getgid().as_raw()),
    }
}

fn names(dir: &tempfile::TempDir) -> Vec<String> {
    std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn a_socket_has_its_mode_and_knows_its_callers() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(&dir);
    let listener = listen("control", &settings).unwrap();
    let mode = settings.path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
    assert_eq!(names(&dir), ["control.sock"], "nothing else is left behind");

    let _client = UnixStream::connect(&settings.path).await.unwrap();
    let (_, peer) = listener.accept().await.unwrap();
    assert_eq!(peer.uid, nix::unistd::geteuid().as_raw());
    assert_eq!(peer.pid, i32::try_from(std::process::id()).ok());

    drop(listener);
    assert!(names(&dir).is_empty());
}

#[tokio::test]
async fn a_live_socket_is_refused_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(&dir);
    let first = listen("control", &settings).unwrap();
    let refused = listen("control", &settings).unwrap_err();
    assert!(matches!(refused, SocketError::Live { .. }), "{refused}");
    assert!(UnixStream::connect(&settings.path).await.is_ok());
    drop(first);
}

#[tokio::test]
async fn a_stale_socket_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(&dir);
    drop(std::os::unix::net::UnixListener::bind(&settings.path).unwrap());
    let _listener = listen("control", &settings).unwrap();
    assert!(UnixStream::connect(&settings.path).await.is_ok());
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(&dir);
    std::fs::write(&settings.path, "precious").unwrap();
    let refused = listen("control", &settings).unwrap_err();
    assert!(matches!(refused, SocketError::NotASocket { .. }));
    assert_eq!(std::fs::read_to_string(&settings.path).unwrap(), "precious");
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(&dir);
    settings.path = dir.path().join("no/control.sock");
    let refused = listen("control", &settings).unwrap_err().to_string();
    assert!(refused.starts_with("cannot open /"), "{refused}");
    assert!(refused.ends_with("/no"), "{refused}");
}

#[tokio::test]
async fn another_processs_socket_is_not_removed_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(&dir);
    let listener = listen("control", &settings).unwrap();
    std::fs::remove_file(&settings.path).unwrap();
    let _other = std::os::unix::net::UnixListener::bind(&settings.path).unwrap();
    drop(listener);
    assert_eq!(names(&dir), ["control.sock"]);
}

/// Runs the test below as a service would be run: with a listening socket as descriptor 3.
#[tokio::test]
async fn a_socket_from_systemd_is_taken_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("activated.sock");
    let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let mut child = Command::new("sh")
        .arg("-c")
        .arg("LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=control exec \"$0\" \"$@\" 3<&0 </dev/null")
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "socket::tests::service"])
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut answer = String::new();
    let mut client = UnixStream::connect(&path).await.unwrap();
    client.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "activated");
    assert!(child.wait().unwrap().success());
}

#[tokio::test]
#[ignore = "a part of the test above, which runs it with a descriptor"]
async fn service() {
    use tokio::io::AsyncWriteExt as _;
    let nowhere = SocketSettings {
        path: "/nowhere/control.sock".into(),
        mode: 0o600,
        group: None,
    };
    assert!(listen("another", &nowhere).is_err(), "not ours by name");
    let listener = listen("control", &nowhere).unwrap();
    assert!(listener.is_activated());
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(b"activated").await.unwrap();
    drop(stream);
    drop(listener);
    assert!(listen("control", &nowhere).is_err(), "given out once");
}
