//! Policies, DBA-added channels and attached tables, kept by each backend until somebody changes them.
//! May touch: the tables `account`, `blocked_identifier` and `channel`; PostgreSQL's cache invalidation.
//!
//! A change of one of these tables sends a relation-cache invalidation (trigger `policy_changed`), which every backend
//! receives when it next looks; so a policy is seen by the next call, and a call reads no policy it knows.

use super::attachment::{AttachedTable, RowShape};
use super::distributed::is_distributed;
use super::history::HistoryView;
use super::payload::RowReader;
use super::spi::{connect, Mode, Statement, Value};
use super::statement;
use crate::error::IdentityError;
use crate::identifier::channel::Profile;
use crate::identifier::placeholder;
use crate::resolution::{
    ChannelFormat, CustomChannels, Derivation, IdentifiedCookie, OnAuthorization, Policy,
};
use pgrx::pg_sys;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::mem::ManuallyDrop;
use std::rc::Rc;

/// What a backend remembers. Never dropped: at exit there is no SPI left to free plans with.
#[derive(Default)]
pub(super) struct Cache {
    policies: HashMap<String, Rc<Policy>>,
    channels: Option<Rc<HashMap<String, String>>>,
    /// By the oid of an attached table or of one of its partitions.
    pub(super) shapes: HashMap<pg_sys::Oid, Rc<RowShape>>,
    pub(super) all_tables: Option<Rc<[Rc<AttachedTable>]>>,
    /// The views that the search reads.
    pub(super) history_views: Option<Rc<[Rc<HistoryView>]>>,
    pub(super) extension_owner: Option<pg_sys::Oid>,
    /// By the composite type of a row.
    pub(super) row_readers: HashMap<pg_sys::Oid, Rc<RowReader>>,
    /// What of the tables on other nodes `all_tables` was made from, where they are distributed.
    pub(super) made_from: String,
    /// Whether `pending_rebind` has rows.
    owed: Option<bool>,
    /// Whether Citus distributes the identity tables. Then no trigger tells of a change, and no policy is kept.
    pub(super) distributed: Option<bool>,
    /// Read inside a parallel query, where no new snapshot can be taken: good for that query only.
    read_in_parallel: bool,
}

thread_local! {
    static CACHE: ManuallyDrop<RefCell<Cache>> = ManuallyDrop::new(RefCell::new(Cache::default()));
    static STALE: Cell<bool> = const { Cell::new(true) };
    /// How many changes this backend has heard of.
    static CHANGES: Cell<u64> = const { Cell::new(0) };
    // Never shortened: what a transaction dropped is back when it is rolled back, and tells of it under its old oid.
    static WATCHED: RefCell<BTreeSet<u32>> = const { RefCell::new(BTreeSet::new()) };
}

statement!(
    WATCHED_TABLES,
    "select c.oid
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) c.relnamespace
    where n.nspname operator(pg_catalog.=) 'visitor_identity'::pg_catalog.name
        and c.relname operator(pg_catalog.=) any (
            '{account,blocked_identifier,channel,attached_table,pending_rebind,visitor}'::pg_catalog.name[]
        )"
);

statement!(
    ACCOUNT,
    "select a.namespace, a.derivation, a.on_authorization, a.channel_format, a.require_signature,
        a.identified_cookie, a.max_rebinds::pg_catalog.int8, a.max_rebind_chats::pg_catalog.int8
    from visitor_identity.account as a
    where a.account operator(pg_catalog.=) $1"
);

statement!(
    BLOCKED,
    "select b.identifier
    from visitor_identity.blocked_identifier as b
    where b.account operator(pg_catalog.=) $1"
);

statement!(
    CHANNELS,
    "select c.channel_type, c.pattern
    from visitor_identity.channel as c
    where not c.built_in"
);

statement!(MATCHES, "select $1 operator(pg_catalog.~) $2");

/// Receives cache invalidations. Called by PostgreSQL at moments when no table may be read: it only takes a note.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn relation_changed(_argument: pg_sys::Datum, relation: pg_sys::Oid) {
    let watched = relation == pg_sys::InvalidOid
        || WATCHED.with(|watched| {
            watched
                .try_borrow()
                .map_or(true, |watched| watched.contains(&relation.to_u32()))
        });
    if watched {
        out_of_date();
    }
}

/// Receives changes of schemas: the kept texts name them.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn schema_changed(_argument: pg_sys::Datum, _cache: i32, _hash: u32) {
    out_of_date();
}

fn out_of_date() {
    STALE.with(|stale| stale.set(true));
    CHANGES.with(|changes| changes.set(changes.get().wrapping_add(1)));
}

/// Registers the callbacks; called once, when the library is loaded.
pub fn register() {
    // SAFETY: static functions that live as long as the backend; registered once.
    unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), pg_sys::Datum::from(0));
        pg_sys::CacheRegisterSyscacheCallback(
            pg_sys::SysCacheIdentifier::NAMESPACEOID as i32,
            Some(schema_changed),
            pg_sys::Datum::from(0),
        );
    }
}

/// Tells every backend, at commit, that a policy table changed.
pub fn announce_change(table: pg_sys::Oid) {
    // SAFETY: the oid of the relation whose trigger is running.
    unsafe { pg_sys::CacheInvalidateRelcacheByRelid(table) }
}

/// Another relation whose change must empty the cache: an attached table or a partition of one.
pub(super) fn watch(relation: pg_sys::Oid) {
    WATCHED.with(|watched| watched.borrow_mut().insert(relation.to_u32()));
}

/// The cache, emptied if anything changed since the last look. Call it inside `connect`.
pub(super) fn cached<R>(read: impl FnOnce(&mut Cache) -> R) -> Result<R, IdentityError> {
    // SAFETY: inside a transaction; both only read and process backend state.
    let in_parallel = unsafe {
        pg_sys::AcceptInvalidationMessages();
        pg_sys::IsInParallelMode()
    };
    let outlived = CACHE.with(|cache| {
        let cache = cache.borrow();
        cache.read_in_parallel && !in_parallel
    });
    if STALE.get() || outlived {
        let as_of = CHANGES.get();
        let forgotten = CACHE.with(|cache| std::mem::take(&mut *cache.borrow_mut()));
        drop(forgotten);
        // In this order: a change that arrives while the names are read is seen at the next look. So is everything when
        // they cannot be read, as by a call that is cancelled here: what is not watched would never be heard of.
        STALE.set(true);
        let rows = WATCHED_TABLES.with(|statement| statement.run(Mode::NewestReadOnly, &[]))?;
        STALE.set(CHANGES.get() != as_of);
        for row in 0..rows.len() {
            if let Some(relation) = rows.get::<pg_sys::Oid>(row, 1) {
                watch(relation);
            }
        }
    }
    Ok(CACHE.with(|cache| {
        let mut cache = cache.borrow_mut();
        cache.read_in_parallel |= in_parallel;
        read(&mut cache)
    }))
}

/// The number of the last change that this backend has heard of: to be asked before something is read that is to be kept.
pub(super) fn changes() -> u64 {
    CHANGES.get()
}

/// Keeps what was read, unless something changed since `as_of`: then it may be what was there before, and the next call
/// reads it again.
pub(super) fn keep(as_of: u64, write: impl FnOnce(&mut Cache)) {
    // SAFETY: inside a transaction; both only read and process backend state.
    let in_parallel = unsafe {
        pg_sys::AcceptInvalidationMessages();
        pg_sys::IsInParallelMode()
    };
    if changes() == as_of {
        CACHE.with(|cache| {
            let mut cache = cache.borrow_mut();
            cache.read_in_parallel |= in_parallel;
            write(&mut cache);
        });
    }
}

/// The policies of an account. Errors: 42704 for an unknown account.
pub fn policy(account: &str) -> Result<Rc<Policy>, IdentityError> {
    if let Some(policy) = cached(|cache| cache.policies.get(account).cloned())? {
        return Ok(policy);
    }
    let as_of = changes();
    let policy = Rc::new(read_policy(account)?.ok_or(IdentityError::UnknownAccount)?);
    if !is_distributed()? {
        keep(as_of, |cache| {
            cache
                .policies
                .insert(account.to_owned(), Rc::clone(&policy));
        });
    }
    Ok(policy)
}

fn read_policy(account: &str) -> Result<Option<Policy>, IdentityError> {
    let name = [Value::Text(Some(account))];
    let rows = ACCOUNT.with(|statement| statement.run(Mode::NewestReadOnly, &name))?;
    let Some(namespace) = rows.uuid(0, 1) else {
        return Ok(None);
    };
    let text = |column| rows.get::<String>(0, column).unwrap_or_default();
    let mut policy = Policy {
        account: account.to_owned(),
        namespace,
        derivation: Derivation::from_name(&text(2)).unwrap_or(Derivation::UuidV5),
        on_authorization: OnAuthorization::from_name(&text(3)).unwrap_or(OnAuthorization::Rebind),
        channel_format: ChannelFormat::from_name(&text(4))
            .unwrap_or(ChannelFormat::Profile(Profile::Platform)),
        require_signature: rows.truth(0, 5),
        identified_cookie: IdentifiedCookie::from_name(&text(6)).unwrap_or(IdentifiedCookie::Auto),
        max_rebinds: rows.number(0, 7),
        max_rebind_chats: rows.number(0, 8),
        blocked: HashSet::new(),
    };
    let blocked = BLOCKED.with(|statement| statement.run(Mode::NewestReadOnly, &name))?;
    for row in 0..blocked.len() {
        if let Some(value) = blocked.get::<String>(row, 1) {
            policy.blocked.insert(placeholder::fold(&value));
        }
    }
    Ok(Some(policy))
}

statement!(
    ANYTHING_OWED,
    "select exists (
        select 1
        from visitor_identity.pending_rebind
    )"
);

statement!(
    ANYTHING_OWED_IN_ACCOUNT,
    "select exists (
        select 1
        from visitor_identity.pending_rebind as r
        where r.account operator(pg_catalog.=) $1
    )"
);

/// Whether any rebinding may be owed in the account: normally none is by anybody, and then no call has to look for one.
/// That one was made or settled is announced as a change of a policy is.
pub fn is_anything_owed(account: &str) -> Result<bool, IdentityError> {
    if let Some(owed) = cached(|cache| cache.owed)? {
        return Ok(owed);
    }
    if is_distributed()? {
        let account = [Value::Text(Some(account))];
        let rows = ANYTHING_OWED_IN_ACCOUNT
            .with(|statement| statement.run(Mode::NewestReadOnly, &account))?;
        return Ok(rows.truth(0, 1));
    }
    let as_of = changes();
    let rows = ANYTHING_OWED.with(|statement| statement.run(Mode::NewestReadOnly, &[]))?;
    let owed = rows.truth(0, 1);
    keep(as_of, |cache| cache.owed = Some(owed));
    Ok(owed)
}

/// The channels that a DBA added, with their patterns.
pub struct Channels(Rc<HashMap<String, String>>);

impl CustomChannels for Channels {
    fn accepts(&self, channel_type: &str, channel_user_id: &str) -> Option<bool> {
        let pattern = self.0.get(channel_type)?;
        let whole = format!("^(?:{pattern})$");
        let values = [
            Value::Text(Some(channel_user_id)),
            Value::Text(Some(&whole)),
        ];
        let matches = MATCHES
            .with(|statement| statement.run(Mode::ReadOnly, &values))
            .map(|rows| rows.truth(0, 1));
        Some(matches.unwrap_or(false))
    }
}

/// The channels that a DBA added. Call it inside `connect`.
pub fn custom_channels() -> Result<Channels, IdentityError> {
    if let Some(channels) = cached(|cache| cache.channels.clone())? {
        return Ok(Channels(channels));
    }
    let as_of = changes();
    let rows = CHANNELS.with(|statement| statement.run(Mode::NewestReadOnly, &[]))?;
    let channels: HashMap<String, String> = (0..rows.len())
        .filter_map(|row| Some((rows.get(row, 1)?, rows.get(row, 2)?)))
        .collect();
    let channels = Rc::new(channels);
    if !is_distributed()? {
        keep(as_of, |cache| cache.channels = Some(Rc::clone(&channels)));
    }
    Ok(Channels(channels))
}

/// Whether a channel user id is one of the channel's, built in or added. Errors: 22023 for an unknown channel.
pub fn check_added_channel(
    channel_type: &str,
    channel_user_id: &str,
) -> Result<bool, IdentityError> {
    connect(|| {
        custom_channels()?
            .accepts(channel_type, channel_user_id)
            .ok_or(IdentityError::UnknownChannel {
                built_in_only: false,
            })
    })
}

/// The statement type is private to the store; this keeps the macro's expansion in one place.
pub(crate) type Kept = ManuallyDrop<Statement>;
