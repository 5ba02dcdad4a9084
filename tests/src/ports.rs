//! Ports where nobody listens.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the range from which the kernel takes ports for outgoing connections. A client that keeps
/// knocking at a dead server's port inside that range is, sooner or later, given this very port as
/// its own end, and then talks to itself and keeps the server out.
const FIRST: u16 = 20_000;

/// Up to here, exclusively.
const END: u16 = 32_000;

/// Ports that this process has looked at already: none is handed out twice, since a test in another
/// thread may not listen on its own yet.
static LOOKED_AT: AtomicU32 = AtomicU32::new(0);

/// As many ports as asked for, free a moment ago.
///
/// # Panics
/// When there are not that many.
pub fn free_ports<const N: usize>() -> [u16; N] {
    // Test processes run side by side as well, so each begins to look somewhere else.
    let span = u32::from(END - FIRST);
    let offset = std::process::id().wrapping_mul(61) % span;
    std::array::from_fn(|_| {
        let mut steps = (0..span).map(|_| LOOKED_AT.fetch_add(1, Ordering::Relaxed));
        let port = steps.find_map(|step| {
            let port = u32::from(FIRST) + offset.wrapping_add(step) % span;
            let port = u16::try_from(port).expect("below END");
            TcpListener::bind(("127.0.0.1", port)).ok().map(|_| port)
        });
        port.expect("a free port below the end")
    })
}
