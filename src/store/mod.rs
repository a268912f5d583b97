//! The only place with SQL that runs at resolution time (`distribution.rs` plans statements, which are shown before they run): policies, facts, bindings, locks, moves, the log.
//! May touch: the extension's tables, the attached tables through kept plans, and nothing of the rules themselves.

pub mod attach;
pub mod attach_visitor;
pub mod attachment;
pub mod backfill;
pub mod batch;
mod batch_facts;
pub mod bulk;
pub mod clash;
pub mod device;
pub mod direct;
pub mod distribute;
pub mod distributed;
pub mod explain;
pub mod graph;
pub mod held;
pub mod history;
pub mod identity;
pub mod merge;
pub mod notification;
pub mod payload;
pub mod person_rows;
pub mod policy;
pub mod privacy;
pub mod rebind;
pub mod refused_link;
pub mod resolve;
pub mod row_lock;
pub mod rows;
pub mod session;
pub mod signature;
pub mod spi;
pub mod undo;
pub mod whereabouts;

/// A statement kept for the life of the backend, in a name: `NAME.with(|statement| statement.run(...))`. Planned once for
/// whatever values come, because its way never depends on them; left the choice, PostgreSQL would plan it at each call
/// where the identity tables are partitioned.
macro_rules! statement {
    ($name:ident, $text:expr) => {
        thread_local! {
            static $name: $crate::store::policy::Kept =
                const {
                    std::mem::ManuallyDrop::new(
                        $crate::store::spi::Statement::fixed($text).for_any_values(),
                    )
                };
        }
    };
}
pub(crate) use statement;
