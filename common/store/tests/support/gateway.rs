//! etcd's JSON gateway, for what a store never does: compacting, adding users. Plain HTTP/1.1 by
//! hand, so that no client beside the one under test is needed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Posts JSON to the server at a port of this host; the body of a good answer.
pub fn post(port: u16, path: &str, body: &str) -> Result<String, String> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    send(port, &(head + body))
}

/// Gets a page.
pub fn get(port: u16, path: &str) -> Result<String, String> {
    send(
        port,
        &format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"),
    )
}

/// Bytes as the gateway wants them.
pub fn bytes(text: &str) -> String {
    STANDARD.encode(text)
}

fn send(port: u16, request: &str) -> Result<String, String> {
    let answer = exchange(port, request).map_err(|error| error.to_string())?;
    if answer.starts_with("HTTP/1.1 200") {
        Ok(answer)
    } else {
        Err(answer)
    }
}

fn exchange(port: u16, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
