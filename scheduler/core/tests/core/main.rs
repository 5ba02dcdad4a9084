//! The scheduler's decisions as stories.

#[cfg(test)]
mod ahead;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod cleaning;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod gb200;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod health;
#[cfg(test)]
mod inventory;
#[cfg(test)]
mod life;
#[cfg(test)]
mod liveness;
#[cfg(test)]
mod maintenance;
#[cfg(test)]
mod nodes;
#[cfg(test)]
mod packing;
#[cfg(test)]
mod parts;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod power;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod quota;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod room;
#[cfg(test)]
mod tally;
#[cfg(test)]
mod terms;
#[cfg(test)]
mod verdicts;
#[cfg(test)]
mod waiting;
#[cfg(test)]
mod words;
#[cfg(test)]
mod writes;
