//! `leasectl`: see the library for what it does and how it is put together.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    leasectl::main(std::env::args_os()).await.into()
}
