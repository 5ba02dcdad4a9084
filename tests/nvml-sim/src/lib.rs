//! `libnvidia-ml`, simulated: the C face of the model in `leasehold-gpu-sim`.
//!
//! An agent loads this library as it loads NVIDIA's, by `nvml-wrapper`, and cannot tell the
//! difference: same symbols, same structs, same return codes. So the agent's own NVML code is what
//! is tested, not a stand-in for it.
//!
//! ```text
//!   agent ── nvml-wrapper ── dlopen ──▶ nvmlDeviceGet…            (one file for each noun)
//!                                          │ abi: checked pointers, panics caught
//!                                          ▼
//!                                       simulator ── clock, lock ──▶ Replay ──▶ Node
//!                                          ▲
//!   a test ── writes ──▶ state file ───────┘ looked at in every call
//! ```
//!
//! # Steering it
//!
//! The state file holds a `Scenario`; the essay of `leasehold-gpu-sim` shows one. The library looks
//! for it once, when it is first initialised:
//! 1. the file named by `LEASEHOLD_NVML_SIM`;
//! 2. else the file beside the library itself, with `.json` in the place of `.so`, so that several
//!    copies of the library can be in one process with a node each ([`install`] makes one);
//! 3. else there is a node of eight healthy H200, named after the host.
//!
//! It looks again in every call whether that file has been replaced. Limits and modes set through
//! the library live as long as it is loaded, like those of a driver that nobody unloads.
//!
//! # Invariants
//! - Nothing is written through a null pointer, no handle is ever dereferenced, no panic leaves the
//!   library: it becomes code 999.
//! - A buffer that is too small gets code 7 and, for lists, the size that is needed.
//! - A call that the model makes fail returns that code and costs no other call. A GPU that hangs
//!   keeps its caller for as long as it hangs, and nobody else.
//! - Of several events of one kind on one GPU between two waits only the last is delivered, and
//!   none from before the registration: NVML loses XIDs, and its users must know.
//! - Only calls that every driver since R535 has are exported. An agent that asks for a newer one
//!   finds no symbol, as it would on an old node.
//!
//! Not here: MIG instances, vGPU, units and fans, accounting, GPM. What `nvml-wrapper` calls without
//! looking when it drops something (`nvmlGpmSampleFree`) is here nevertheless.

#![expect(
    unsafe_code,
    reason = "a C ABI is made of exported symbols and foreign pointers"
)]

mod abi;
mod clock;
mod device;
mod ecc;
mod event;
mod field;
mod heat;
mod identity;
mod lifetime;
mod link;
mod memory;
mod mode;
mod path;
mod power;
mod process;
mod simulator;
mod system;
mod wear;

pub use path::{InstallError, install, library_path, state_path};
