//! So many clients that share a pile of work, and how long they took.

use crate::latency::Latencies;
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What came of a pile of work.
#[derive(Debug)]
pub struct Done<T> {
    /// What each piece gave, in no order.
    pub results: Vec<T>,
    /// How long each piece took.
    pub latencies: Latencies,
    /// How long all of it took, from the first to the last.
    pub took: Duration,
}

/// Has the clients take pieces `0..pieces` one by one, each as soon as it has done the one before:
/// a closed loop, with as many requests under way as there are clients.
///
/// # Errors
/// The first error of any client; the others are then given up.
pub async fn share_out<C, T, W>(clients: &[Arc<C>], pieces: u32, work: W) -> Result<Done<T>>
where
    C: ?Sized + Send + Sync + 'static,
    T: Send + 'static,
    W: AsyncWork<C, T>,
{
    let next = Arc::new(AtomicU32::new(0));
    let mut tasks = JoinSet::new();
    let begin = Instant::now();
    for client in clients {
        let (client, next, work) = (Arc::clone(client), Arc::clone(&next), work.clone());
        tasks.spawn(async move {
            let (mut results, mut latencies) = (Vec::new(), Latencies::default());
            loop {
                let piece = next.fetch_add(1, Ordering::Relaxed);
                if piece >= pieces {
                    return anyhow::Ok((results, latencies));
                }
                let sent = Instant::now();
                results.push(work.run(&client, piece).await?);
                latencies.push(sent.elapsed());
            }
        });
    }
    let (mut results, mut latencies) = (Vec::new(), Latencies::default());
    while let Some(ended) = tasks.join_next().await {
        let (gave, times) = ended??;
        results.extend(gave);
        latencies.extend(times);
    }
    Ok(Done {
        results,
        latencies,
        took: begin.elapsed(),
    })
}

/// One piece of work by one client.
pub trait AsyncWork<C: ?Sized, T>: Clone + Send + Sync + 'static {
    /// Does piece number `piece`.
    fn run(&self, client: &C, piece: u32) -> impl Future<Output = Result<T>> + Send;
}
