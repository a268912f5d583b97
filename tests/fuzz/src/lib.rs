//! The pure modules of the extension, compiled by themselves: that this compiles is the proof that none of them imports
//! pgrx, and that none has `unsafe`. Beside them what tries them with arbitrary input.
#![forbid(unsafe_code)]
// Used by the rooms that are not here.
#![allow(dead_code, unused_imports)]

#[path = "../../../src/call.rs"]
pub mod call;
#[path = "../../../src/device.rs"]
pub mod device;
#[path = "../../../src/distribution.rs"]
pub mod distribution;
#[path = "../../../src/graph.rs"]
pub mod graph;
#[path = "../../../src/identifier/mod.rs"]
pub mod identifier;
#[path = "../../../src/instant.rs"]
pub mod instant;
#[path = "../../../src/payload/mod.rs"]
pub mod payload;
#[path = "../../../src/provenance.rs"]
pub mod provenance;
#[path = "../../../src/resolution/mod.rs"]
pub mod resolution;
#[path = "../../../src/search.rs"]
pub mod search;
#[path = "../../../src/signature/mod.rs"]
pub mod signature;

pub mod source;
pub mod targets;
