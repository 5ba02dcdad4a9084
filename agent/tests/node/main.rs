//! An agent on a simulated node, over the embedded store.

#[cfg(test)]
mod channel;
#[cfg(test)]
mod gpus;
#[cfg(test)]
mod hardware;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod registration;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod wall_clock;
