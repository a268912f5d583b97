//! `visitor_identity`: identity resolution inside the chat database.
//!
//! One request walks one way: SQL call, `api`, `identifier` (normalised), `store` (facts), `resolution` (decision),
//! `store` (carried out), `api` (row). The SQL objects are in `sql/`, one file a concern.

mod api;
mod call;
mod device;
mod distribution;
mod error;
mod graph;
mod identifier;
mod instant;
mod payload;
mod provenance;
mod resolution;
mod search;
mod settings;
mod signature;
mod store;
mod trigger;

use pgrx::prelude::*;

pgrx::pg_module_magic!();

/// Called by PostgreSQL when the library is loaded into a backend.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    settings::register();
    store::direct::register();
    store::policy::register();
    trigger::register();
}

extension_sql_file!("../sql/identifier.sql", name = "identifier", bootstrap);
extension_sql_file!(
    "../sql/account.sql",
    name = "account",
    requires = ["identifier"]
);
extension_sql_file!(
    "../sql/identity.sql",
    name = "identity",
    requires = ["account"]
);
extension_sql_file!(
    "../sql/partition.sql",
    name = "partition",
    requires = ["identity"]
);
extension_sql_file!(
    "../sql/resolve.sql",
    name = "resolve",
    requires = ["partition"]
);
extension_sql_file!("../sql/chat.sql", name = "chat", requires = ["resolve"]);
extension_sql_file!(
    "../sql/operation.sql",
    name = "operation",
    requires = ["chat"]
);
extension_sql_file!(
    "../sql/signature.sql",
    name = "signature",
    requires = ["operation"]
);
extension_sql_file!("../sql/push.sql", name = "push", requires = ["signature"]);
extension_sql_file!("../sql/payload.sql", name = "payload", requires = ["push"]);
extension_sql_file!(
    "../sql/inspect.sql",
    name = "inspect",
    requires = ["payload"]
);
extension_sql_file!("../sql/audit.sql", name = "audit", requires = ["inspect"]);
extension_sql_file!("../sql/privacy.sql", name = "privacy", requires = ["audit"]);
extension_sql_file!(
    "../sql/distribution.sql",
    name = "distribution",
    requires = ["privacy"]
);
extension_sql_file!(
    "../sql/access.sql",
    name = "access",
    requires = ["distribution"]
);
