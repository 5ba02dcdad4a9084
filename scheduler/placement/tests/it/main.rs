//! The engine from outside: explanations as stories, and properties with oracles that share nothing
//! with it.

#[cfg(test)]
mod brute;
#[cfg(test)]
mod cell;
#[cfg(test)]
mod changes;
#[cfg(test)]
mod cleaning;
#[cfg(test)]
mod conscience;
#[cfg(test)]
mod earliest;
#[cfg(test)]
mod fine;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod floors;
#[cfg(test)]
mod happenings;
#[cfg(test)]
mod houses;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod reasons;
#[cfg(test)]
mod reclaim;
#[cfg(test)]
mod sides;
#[cfg(test)]
mod slices;
#[cfg(test)]
mod stories;
#[cfg(test)]
mod surplus;
#[cfg(test)]
mod trim;
#[cfg(test)]
mod whole;
