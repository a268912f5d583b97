//! One target a parser: reads an input, calls the rules, and holds what came of it against what the rule promises. `run`
//! says what kind of case it was; `REACHES` are the kinds that a run of some size must have seen, or it tried nothing.

/// One way to try the rules.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]) -> &'static str,
    pub reaches: &'static [&'static str],
    /// A text a line: a JSON array of the texts that the input begins with.
    pub seeds: &'static str,
}

pub mod channel;
pub mod decide;
pub mod derivation;
pub mod device;
pub mod graph;
pub mod identifier;
pub mod instant;
pub mod messages;
pub mod number;
pub mod payload;
pub mod policy;
pub mod request;
pub mod search;
pub mod signed_json;
pub mod signed_shift;
pub mod strict_rule;

macro_rules! targets {
    ($($name:ident)*) => {
        /// Every target.
        pub const ALL: &[Target] = &[$(Target {
            name: stringify!($name),
            run: $name::run,
            reaches: $name::REACHES,
            seeds: include_str!(concat!("../../seeds/", stringify!($name))),
        }),*];
    };
}

targets! {
    identifier channel number request decide derivation signed_json signed_shift strict_rule device payload messages graph
    instant search policy
}
