//! The settings (GUCs) `visitor_identity.*`, and the one rule that turns an `account` argument into an account.
//! May touch: PostgreSQL's configuration, and through `store` what the catalog says of the session's role.

use crate::error::IdentityError;
use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting};
use std::ffi::{CStr, CString};

const DEFAULT_ACCOUNT: &CStr = c"default";

static ACCOUNT: GucSetting<Option<CString>> =
    GucSetting::<Option<CString>>::new(Some(DEFAULT_ACCOUNT));
static LOCKED_ACCOUNT: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static NOTIFY: GucSetting<bool> = GucSetting::<bool>::new(false);
static DIRECT_READS: GucSetting<bool> = GucSetting::<bool>::new(true);

/// Defines the settings; called once, when the library is loaded.
pub fn register() {
    GucRegistry::define_string_guc(
        c"visitor_identity.account",
        c"The account that is meant wherever an account argument is NULL.",
        c"",
        &ACCOUNT,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"visitor_identity.locked_account",
        c"The only account that this role may use; empty: any.",
        c"Set it with ALTER ROLE ... SET. It is a property of the session and does not follow SET ROLE.",
        &LOCKED_ACCOUNT,
        GucContext::Suset,
        GucFlags::default(),
    );
    // Not for everybody: what one role would switch off for itself another one waits for, and whoever may connect may
    // listen, whatever account he is locked to.
    GucRegistry::define_bool_guc(
        c"visitor_identity.notify",
        c"Notifies the channel visitor_identity of every committed rebinding.",
        c"Everybody who may connect may listen. A transaction that has notified cannot be prepared.",
        &NOTIFY,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"visitor_identity.direct_reads",
        c"Reads known visitors from the index itself instead of by a statement.",
        c"The answers are the same; off is slower. Partitioned or distributed tables are read by statements anyway.",
        &DIRECT_READS,
        GucContext::Suset,
        GucFlags::default(),
    );
    #[cfg(not(feature = "pg14"))]
    // SAFETY: a NUL-terminated constant; called from _PG_init, after the settings of this prefix are defined.
    unsafe {
        pgrx::pg_sys::MarkGUCPrefixReserved(c"visitor_identity".as_ptr());
    }
}

fn text(setting: &GucSetting<Option<CString>>) -> Option<String> {
    setting
        .get()
        .map(|value| value.to_string_lossy().into_owned())
        .filter(|value| !value.is_empty())
}

/// Whether rebindings are notified.
pub fn notifies() -> bool {
    NOTIFY.get()
}

/// Whether rows of the identity tables may be read without a statement.
pub fn reads_directly() -> bool {
    DIRECT_READS.get()
}

/// The account to which the session is pinned, if any. Errors: those of reading the catalog.
///
/// The library is loaded at its first use, and until then anybody can set a setting of its name, also at connection
/// time, and so hide what ALTER ROLE ... SET says. Where the setting says nothing, the catalog is asked.
pub fn locked_account() -> Result<Option<String>, IdentityError> {
    match text(&LOCKED_ACCOUNT) {
        Some(account) => Ok(Some(account)),
        None => crate::store::session::locked_by_catalog(),
    }
}

/// The account meant by an argument: the argument itself, or the setting, or the account to which the session is
/// locked. Errors: 42501 when the session is locked to another one (design section 2).
///
/// A locked session that names no account, by argument or by setting, means its own.
pub fn effective_account(argument: Option<&str>) -> Result<String, IdentityError> {
    let named = argument.map(str::to_owned);
    let Some(locked) = locked_account()? else {
        return Ok(named
            .or_else(|| text(&ACCOUNT))
            .unwrap_or_else(|| DEFAULT_ACCOUNT.to_string_lossy().into_owned()));
    };
    let is_default = |name: &String| name.as_bytes() == DEFAULT_ACCOUNT.to_bytes();
    let named = named.or_else(|| text(&ACCOUNT).filter(|name| !is_default(name)));
    match named {
        Some(name) if name != locked => Err(IdentityError::AccountLocked),
        _ => Ok(locked),
    }
}

/// Whether rows of this account may be shown in this session: true unless it is locked to another account. Rows of no
/// account at all are shown to sessions without a lock only.
pub fn account_is_visible(account: Option<&str>) -> Result<bool, IdentityError> {
    Ok(locked_account()?.is_none_or(|locked| Some(locked.as_str()) == account))
}
