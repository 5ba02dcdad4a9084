//! The way to the servers: one client per endpoint, kept for as long as it answers, and a deadline
//! on every call.
//!
//! etcd-client can hold several endpoints in one client, but its balancer keeps picking a dead one:
//! with three members and one down, a quarter of all calls fail until it is back. So there is one
//! client for each endpoint, one of them is current, and a failure makes the next one current for
//! everybody.

use super::errors::{Fault, classify};
use etcd_client::{Client, ConnectOptions};
use leasehold_common::time::Span;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};

/// Whether a call may be made twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Reads, and writes that come to the same whether applied once or twice.
    Safe,
    /// Writes that count: made again only where it is certain that nothing was applied.
    OnlyIfUnapplied,
}

/// The endpoints, in the order of the settings.
pub(super) struct Endpoints {
    slots: Vec<Slot>,
    current: AtomicUsize,
    options: ConnectOptions,
    call_timeout: Span,
}

struct Slot {
    url: String,
    client: OnceCell<Client>,
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.slots.iter().map(|slot| &slot.url))
            .finish()
    }
}

impl Endpoints {
    pub(super) fn new(urls: &[String], options: ConnectOptions, call_timeout: Span) -> Self {
        let slot = |url: &String| Slot {
            url: url.clone(),
            client: OnceCell::new(),
        };
        Self {
            slots: urls.iter().map(slot).collect(),
            current: AtomicUsize::new(0),
            options,
            call_timeout,
        }
    }

    /// How long one call may take at one endpoint.
    pub(super) fn call_timeout(&self) -> Duration {
        self.call_timeout.std()
    }

    /// The URLs, in order.
    pub(super) fn urls(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().map(|slot| slot.url.as_str())
    }

    /// The URL that is asked first at present.
    pub(super) fn current_url(&self) -> &str {
        &self.slots[self.current()].url
    }

    fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    /// Makes the endpoint after `failed` current, unless somebody else has already done so.
    fn rotate_from(&self, failed: usize) {
        let next = (failed + 1) % self.slots.len();
        let won = self
            .current
            .compare_exchange(failed, next, Ordering::Relaxed, Ordering::Relaxed);
        if won.is_ok() && next != failed {
            let (from, to) = (&self.slots[failed].url, &self.slots[next].url);
            tracing::info!(%from, %to, "etcd endpoint changed");
        }
    }

    /// Gives up on the current endpoint, which was quiet for too long on a stream.
    pub(super) fn rotate(&self) {
        self.rotate_from(self.current());
    }

    /// Calls the current endpoint, and on failure the others, as often as `repeat` allows. Ends
    /// after twice the deadline of one call.
    pub(super) async fn call<T, F>(
        &self,
        repeat: Repeat,
        op: impl Fn(Client) -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        self.call_within(self.call_timeout(), repeat, op).await
    }

    /// [`Endpoints::call`] with another deadline.
    pub(super) async fn call_within<T, F>(
        &self,
        deadline: Duration,
        repeat: Repeat,
        op: impl Fn(Client) -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let end = Instant::now() + 2 * deadline;
        let tries = 2 * self.slots.len();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let at = self.current();
            let left = end.saturating_duration_since(Instant::now());
            let fault = match self.attempt(at, deadline.min(left), &op).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            if fault.is_about_the_endpoint() {
                self.rotate_from(at);
            }
            let again = match repeat {
                Repeat::Safe => fault.is_about_the_endpoint(),
                Repeat::OnlyIfUnapplied => fault.is_worth_another_try(),
            };
            let pause = pause(attempt, dice());
            if !again || attempt >= tries || Instant::now() + pause >= end {
                return Err(fault);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Calls one endpoint, and no other, once.
    pub(super) async fn call_one<T, F>(
        &self,
        index: usize,
        op: impl Fn(Client) -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        self.attempt(index, self.call_timeout(), &op).await
    }

    async fn attempt<T, F>(
        &self,
        index: usize,
        deadline: Duration,
        op: &impl Fn(Client) -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let slot = &self.slots[index];
        let end = Instant::now() + deadline;
        let client = match timeout(deadline, slot.connect(&self.options)).await {
            Ok(connected) => connected?,
            // Only the login has been sent so far.
            Err(_) => return Err(Fault::NotSent(slot.overdue("login", deadline))),
        };
        match timeout(end.saturating_duration_since(Instant::now()), op(client)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(slot.name(classify(&error))),
            Err(_) => Err(Fault::Lost(slot.overdue("answer", deadline))),
        }
    }
}

impl Slot {
    /// The client of this endpoint. Without a password nothing is sent; with one, the login is.
    async fn connect(&self, options: &ConnectOptions) -> Result<Client, Fault> {
        let connect = || Client::connect([self.url.as_str()], Some(options.clone()));
        let client = self.client.get_or_try_init(connect).await;
        client.cloned().map_err(|error| {
            match self.name(classify(&error)) {
                // The login was lost, the call itself had not been sent.
                Fault::Lost(detail) => Fault::NotSent(detail),
                other => other,
            }
        })
    }

    fn overdue(&self, what: &str, deadline: Duration) -> String {
        format!("{}: no {what} within {deadline:?}", self.url)
    }

    /// Says at which endpoint it went wrong, where that may matter.
    fn name(&self, fault: Fault) -> Fault {
        let at = |detail: String| format!("{}: {detail}", self.url);
        match fault {
            Fault::NotSent(detail) => Fault::NotSent(at(detail)),
            Fault::Busy(detail) => Fault::Busy(at(detail)),
            Fault::Lost(detail) => Fault::Lost(at(detail)),
            Fault::Invalid(detail) => Fault::Invalid(at(detail)),
            Fault::Denied(_)
            | Fault::NoSpace(_)
            | Fault::TooLarge(_)
            | Fault::Compacted(_)
            | Fault::LeaseGone => fault,
        }
    }
}

/// How long to wait before another try: 10 to 500 ms, longer with each try, and never the same for
/// two clients that failed together.
pub(super) fn pause(attempt: usize, dice: u64) -> Duration {
    let step = u32::try_from(attempt.min(5)).expect("at most 5");
    let most = (20_u64 << step).min(500);
    Duration::from_millis(10 + dice % (most - 10))
}

/// A number nobody can foresee: what spreads the retries and renewals of a fleet. The standard
/// library seeds every hasher anew.
pub(super) fn dice() -> u64 {
    RandomState::new().hash_one(0_u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_below_half_a_second() {
        for attempt in 1..20 {
            for dice in [0, 1, 489, u64::MAX] {
                let pause = pause(attempt, dice);
                assert!(
                    (10..500).contains(&pause.as_millis()),
                    "{attempt} {pause:?}"
                );
            }
        }
        assert!(pause(1, u64::MAX) < Duration::from_millis(40));
    }

    #[tokio::test]
    async fn a_write_to_a_port_where_nobody_listens_was_not_sent() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        let endpoints = Endpoints::new(&[url], ConnectOptions::default(), Span::from_secs(2));
        let fault = endpoints
            .call(Repeat::OnlyIfUnapplied, |mut client| async move {
                client.put("/k", "v", None).await
            })
            .await
            .unwrap_err();
        assert!(matches!(fault, Fault::NotSent(_)), "{fault:?}");
    }
}
