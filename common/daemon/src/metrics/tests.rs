use super::*;
use crate::settings::Layers;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Fragment {
    metrics: MetricsFragment,
}

fn read(assignments: &[&str]) -> Result<MetricsSettings, String> {
    let layers = assignments
        .iter()
        .fold(Layers::new("agent"), |layers, set| layers.set(set));
    let (fragment, mut findings) = layers.read::<Fragment>();
    let settings = fragment.metrics.settle("metrics", &mut findings);
    findings.finish(settings).map_err(|e| e.to_string())
}

#[test]
fn nothing_listens_unless_the_settings_say_where() {
    let nowhere = MetricsSettings {
        listen: None,
        tenants: false,
    };
    assert_eq!(read(&[]), Ok(nowhere.clone()));
    assert_eq!(read(&["metrics.listen=off"]), Ok(nowhere));
    let listen = |set: &str| read(&[set]).unwrap().listen.unwrap().to_string();
    assert_eq!(
        listen("metrics.listen=127.0.0.1:9470"),
        "http://127.0.0.1:9470"
    );
    assert_eq!(listen("metrics.listen=[::1]:9470"), "http://[::1]:9470");
    assert_eq!(
        listen("metrics.listen=unix:/run/leasehold/agent.sock"),
        "unix:/run/leasehold/agent.sock"
    );
}

#[test]
fn an_address_that_others_reach_is_refused_with_what_is_allowed() {
    for (given, why) in [
        ("0.0.0.0:9470", "others on the network"),
        ("[::]:9470", "others on the network"),
        ("10.1.2.3:9470", "others on the network"),
        ("localhost:9470", "no address with a port"),
        ("127.0.0.1", "no address with a port"),
        ("unix:metrics.sock", "does not begin at /"),
        ("unix:/", "does not begin at /"),
        ("on", "no address with a port"),
    ] {
        let told = read(&[&format!("metrics.listen={given}")]).unwrap_err();
        assert!(told.contains("flag --set: metrics.listen: is"), "{told}");
        assert!(
            told.contains(&format!("{given:?}")) && told.contains(why),
            "{told}"
        );
        assert!(
            told.contains("allowed are") && told.contains("127.0.0.1:9470"),
            "{told}"
        );
    }
}

fn pages(with_tenants: bool) -> Pages {
    let mut pages = Pages::default();
    process::register(&mut pages.public);
    let (passes, waits) = (Counter::<u64>::default(), Histogram::new([0.1, 1.0]));
    passes.inc_by(3);
    waits.observe(0.5);
    pages.public.register("passes", "Passes made", passes);
    pages
        .public
        .register_with_unit("wait", "Waits", Unit::Seconds, waits);
    pages.tenants = with_tenants.then(|| {
        let mut tenants = Registry::default();
        tenants.register("acmes", "What acme has", Counter::<u64>::default());
        tenants
    });
    pages
}

async fn ask(mut stream: impl Stream, request: &str) -> String {
    let request = request.replace('\n', "\r\n") + "Host: h\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin {}
impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Stream for S {}

async fn serving(listen: &str, with_tenants: bool) -> (Option<u16>, CancellationToken) {
    let settings = MetricsSettings {
        listen: Some(listen.parse().unwrap()),
        tenants: with_tenants,
    };
    let server = Server::bind(&settings).await.unwrap().unwrap();
    let (port, shutdown) = (server.port(), CancellationToken::new());
    tokio::spawn(server.run(pages(with_tenants), shutdown.clone()));
    (port, shutdown)
}

#[tokio::test]
async fn a_scrape_of_a_port_is_openmetrics() {
    let (port, _shutdown) = serving("127.0.0.1:0", true).await;
    let connect = || async { TcpStream::connect(("127.0.0.1", port.unwrap())).await };
    let answer = ask(connect().await.unwrap(), "GET /metrics HTTP/1.1\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains(
            "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"
        ),
        "{answer}"
    );
    assert!(answer.ends_with("# EOF\n"), "{answer}");
    assert!(answer.contains("# TYPE passes counter\npasses_total 3\n"));
    assert!(answer.contains("# UNIT wait_seconds seconds\n"));
    for own in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
    ] {
        let line = answer.lines().find(|line| line.starts_with(own));
        let value = line.and_then(|line| line.split(' ').nth(1)).unwrap_or("0");
        assert!(value.parse::<f64>().unwrap() > 0.0, "{own}: {value}");
    }
    assert!(!answer.contains("acme"), "{answer}");
    let tenants = ask(connect().await.unwrap(), "GET /metrics/tenants HTTP/1.1\n").await;
    assert!(tenants.contains("acmes_total 0\n# EOF\n"), "{tenants}");
}

#[tokio::test]
async fn a_unix_socket_serves_who_may_open_it_and_goes_with_its_server() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.sock");
    let (_, shutdown) = serving(&format!("unix:{}", path.display()), false).await;
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let stream = UnixStream::connect(&path).await.unwrap();
    let answer = ask(stream, "GET /metrics HTTP/1.1\n").await;
    assert!(answer.contains("passes_total 3\n"), "{answer}");
    let stream = UnixStream::connect(&path).await.unwrap();
    let refused = ask(stream, "GET /metrics/tenants HTTP/1.1\n").await;
    assert!(refused.starts_with("HTTP/1.1 404"), "{refused}");
    assert!(refused.contains("metrics.tenants is false"), "{refused}");
    shutdown.cancel();
    while path.exists() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_no_page_and_what_is_no_reading_is_told_so() {
    let (port, _shutdown) = serving("127.0.0.1:0", false).await;
    for (request, status) in [
        ("GET / HTTP/1.1\n", "404"),
        ("GET /metrics/ HTTP/1.1\n", "404"),
        ("POST /metrics HTTP/1.1\nContent-Length: 0\n", "405"),
    ] {
        let stream = TcpStream::connect(("127.0.0.1", port.unwrap()))
            .await
            .unwrap();
        let answer = ask(stream, request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn the_older_format_is_there_for_who_asks_for_it_alone() {
    let (port, _shutdown) = serving("127.0.0.1:0", false).await;
    let stream = TcpStream::connect(("127.0.0.1", port.unwrap()))
        .await
        .unwrap();
    let answer = ask(
        stream,
        "GET /metrics HTTP/1.1\nAccept: text/plain;version=0.0.4\n",
    )
    .await;
    assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert!(answer.contains(
        "# HELP passes_total Passes made.\n# TYPE passes_total counter\npasses_total 3\n"
    ));
    assert!(answer.contains("# HELP wait_seconds Waits.\n# TYPE wait_seconds histogram\n"));
    assert!(!answer.contains("# UNIT") && !answer.contains("# EOF"));
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = MetricsSettings {
        listen: Some(Address::Loopback(taken.local_addr().unwrap())),
        tenants: false,
    };
    let told = Server::bind(&settings).await.unwrap_err().to_string();
    let address = taken.local_addr().unwrap().to_string();
    assert!(
        told.contains("metrics.listen") && told.contains(&address),
        "{told}"
    );
}
