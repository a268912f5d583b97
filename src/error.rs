//! The one list of errors, with their SQLSTATE, message, DETAIL and HINT (design section 8).
//! May touch: PostgreSQL's error reporting. A message never contains an identifier: they are personal data and end in logs.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::PgSqlErrorCode;

/// Everything that this extension refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityError {
    /// 22001: an identifier over its length; the argument's name.
    TooLong(&'static str),
    /// 22023: a control character inside an identifier; the argument's name.
    ControlCharacter(&'static str),
    /// 22004: a channel user id without a channel.
    ChannelTypeMissing,
    /// 22004: a channel without a channel user id.
    ChannelUserIdMissing,
    /// 22023: no such channel; true when only built-in ones were looked at.
    UnknownChannel { built_in_only: bool },
    /// 22023: the id does not have the channel's format under the account's profile.
    ChannelFormat {
        channel_type: String,
        profile: &'static str,
    },
    /// 22023: an option with a value that it does not know.
    BadOption {
        option: &'static str,
        allowed: &'static str,
    },
    /// 22001: a token over its length.
    TokenTooLong,
    /// 22004: a registration without something that it must have; the argument's name.
    RegistrationIncomplete(&'static str),
    /// 22P02: not `UUID[-section]`.
    MalformedDeviceId,
    /// 22023: a visitor_id and a provided id that are of two people.
    TwoPeople,
    /// 22023: not an age of registrations.
    BadAge,
    /// 22023: the arrays of many requests have different lengths.
    ArraysDiffer,
    /// 22023: a batch of no chats.
    BadBatchSize,
    /// 22023: a number below the least that an option takes.
    BadNumber { option: &'static str, least: i64 },
    /// 22023: a name that no account can have.
    BadAccountName,
    /// 22023: a page of no rows.
    BadPageSize,
    /// 22023: a drawing of nobody.
    BadMostNodes,
    /// 22023: a signature over what is no identifier.
    SignedIdUnusable,
    /// 22023: a key without a text.
    EmptySecret,
    /// 22023: `signature_fields` that is no strict rule; why.
    BadSignatureFields(String),
    /// 22023: `per_table` that does not say what to do with attached tables; why.
    BadPerTable(String),
    /// 28000: a bare provided id where the account takes verified ones only.
    SignatureRequired,
    /// 28000: signed visitor fields that do not verify; the product's code, and why.
    SignatureRefused { code: &'static str, reason: String },
    /// 42501: the session is locked to another account.
    AccountLocked,
    /// 42501: the caller does not own the table.
    NotTableOwner(String),
    /// 42501: the caller may read no history view.
    NotReadable(String),
    /// 22P02: not a uuid.
    MalformedUuid,
    /// 22P02: no signed visitor fields; why.
    MalformedVisitor(String),
    /// 22P02: no messages of a chat; why.
    MalformedMessages(String),
    /// 42704: no such account.
    UnknownAccount,
    /// 42704: no such visitor, or one that was forgotten.
    UnknownVisitor,
    /// 42704: no such rebinding.
    UnknownRebinding,
    /// 42704: no such key.
    UnknownKey,
    /// 42703: the table has no such column.
    UnknownColumn { table: String, column: String },
    /// 55000: a table that cannot be attached, or an attached one that changed under our hands.
    Attachment {
        message: String,
        detail: String,
        hint: String,
    },
    /// 55000: the account of a chat row cannot change.
    AccountOfChatChanged,
    /// 25006: a write was needed in a read-only transaction.
    ReadOnly,
    /// 25006: an operation that always writes.
    ReadOnlyOperation,
    /// 25006: a registration that would be written.
    ReadOnlyRegistration,
    /// 25006: attaching, detaching, keys.
    ReadOnlySetup,
    /// 0A000: something would be moved above READ COMMITTED where the tables are distributed.
    NeedsReadCommitted,
    /// 0A000: `distribute` without Citus.
    CitusMissing,
    /// 42501: not the owner of the extension.
    NotExtensionOwner,
    /// 40001: retry the transaction.
    Serialization,
    /// 40001: rows that clash on a unique key were committed while rows were moved.
    ClashAppeared,
    /// 55000: the account of a row of a visitor table cannot change.
    AccountOfRowChanged,
    /// XX000: something that cannot happen.
    Internal(String),
}

struct Report {
    code: PgSqlErrorCode,
    message: String,
    detail: String,
    hint: String,
}

impl IdentityError {
    /// 55000, with what to say.
    pub fn not_in_state(message: &str, detail: &str, hint: &str) -> Self {
        Self::Attachment {
            message: message.to_owned(),
            detail: detail.to_owned(),
            hint: hint.to_owned(),
        }
    }

    /// The SQLSTATE and the message, for who is told of an error without it being raised.
    pub fn sqlstate_and_message(self) -> (String, String) {
        let report = self.report_parts();
        let code = report.code as i32;
        // Five characters of six bits each, the first in the lowest bits (PostgreSQL, MAKE_SQLSTATE).
        let sqlstate = (0..5)
            .filter_map(|place| char::from_u32(((code >> (6 * place)) & 0x3f) as u32 + 0x30))
            .collect();
        (sqlstate, report.message)
    }

    fn report_parts(self) -> Report {
        use PgSqlErrorCode::*;
        let parts = |code, message: &str, detail: &str, hint: &str| Report {
            code,
            message: message.to_owned(),
            detail: detail.to_owned(),
            hint: hint.to_owned(),
        };
        match self {
            Self::TooLong(argument) => parts(
                ERRCODE_STRING_DATA_RIGHT_TRUNCATION,
                &format!("{argument} is too long"),
                "An identifier has at most 512 bytes of UTF-8, after trimming.",
                "Pass the identifier itself, not a document or a token that contains it.",
            ),
            Self::ControlCharacter(argument) => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                &format!("{argument} contains a control character"),
                "An identifier is printable text; blanks and line ends are removed at both ends only.",
                "Look for a line end or a tab inside the value that the client sends.",
            ),
            Self::ChannelTypeMissing => parts(
                ERRCODE_NULL_VALUE_NOT_ALLOWED,
                "channel_user_id without channel_type",
                "A channel user id has a meaning only within its channel.",
                "Pass channel_type too, telegram for instance.",
            ),
            Self::ChannelUserIdMissing => parts(
                ERRCODE_NULL_VALUE_NOT_ALLOWED,
                "channel_type without channel_user_id",
                "A channel alone identifies nobody.",
                "Pass channel_user_id too, or leave channel_type NULL.",
            ),
            Self::UnknownChannel { built_in_only } => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                "unknown channel_type",
                if built_in_only {
                    "This function knows the built-in channels only, by their lower-case names."
                } else {
                    "The channels are the rows of visitor_identity.channel, by their lower-case names."
                },
                if built_in_only {
                    "Use visitor_identity.check_channel_user_id for channels that were added by INSERT."
                } else {
                    "Add the channel by INSERT into visitor_identity.channel with a regular expression for its ids."
                },
            ),
            Self::ChannelFormat {
                channel_type,
                profile,
            } => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                &format!("channel_user_id does not have the format of channel {channel_type}"),
                &format!("The account takes channel user ids of profile \"{profile}\"."),
                "Compare visitor_identity.check_channel_user_id(channel_type, channel_user_id, profile); the profile is the column channel_format of visitor_identity.account, the pattern of an added channel is in visitor_identity.channel.",
            ),
            Self::BadOption { option, allowed } => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                &format!("invalid value for {option}"),
                &format!("It is one of: {allowed}."),
                "Spell the value in lower case, without blanks.",
            ),
            Self::TokenTooLong => parts(
                ERRCODE_STRING_DATA_RIGHT_TRUNCATION,
                "token is too long",
                "A token has at most 4096 bytes of UTF-8.",
                "Pass the token exactly as the push service gave it.",
            ),
            Self::RegistrationIncomplete(argument) => parts(
                ERRCODE_NULL_VALUE_NOT_ALLOWED,
                &format!("{argument} is missing"),
                "It is NULL or blank, or a placeholder such as null in the place of a token.",
                "Pass what the app and the push service gave; the token none removes a registration.",
            ),
            Self::MalformedDeviceId => parts(
                ERRCODE_INVALID_TEXT_REPRESENTATION,
                "malformed device_id",
                "A device id is a UUID, with or without hyphens and not of zeros; a section may follow after a hyphen.",
                "Pass the id that the SDK made when the app was installed.",
            ),
            Self::TwoPeople => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                "visitor_id and provided_visitor_id belong to two people",
                "A message goes to the devices of one person.",
                "Pass one of them: the visitor of the chat, or the provided id.",
            ),
            Self::BadAge => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                "invalid value for older_than",
                "It is an interval from an hour to a thousand years: registrations are kept up to the hour.",
                "Pass the time after which the push services give tokens up, for instance 270 days.",
            ),
            Self::BadNumber { option, least } => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                &format!("invalid value for {option}"),
                &format!("It is a number from {least}."),
                "Pass a larger number.",
            ),
            Self::BadAccountName => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                "invalid value for account",
                "The name of an account is not empty, and has no blanks at its ends.",
                "Trim the name.",
            ),
            Self::ArraysDiffer => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                "the arrays differ in length",
                "Each array has one element a request, NULL where the request has no such identifier.",
                "Leave an array NULL that no request needs.",
            ),
            Self::BadBatchSize => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                "invalid value for batch_size",
                "A batch has at least one chat.",
                "Pass a number from 1; other sessions wait for no more than one batch.",
            ),
            Self::BadPageSize => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                "invalid value for page_size",
                "A page has at least one chat.",
                "Pass a number from 1.",
            ),
            Self::BadMostNodes => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                "invalid value for most_nodes",
                "A graph has at least the visitor himself.",
                "Pass a number from 1.",
            ),
            Self::SignedIdUnusable => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                "the signed field \"id\" is no identifier",
                "It is blank, a zero, a placeholder, or a value that the account blocks.",
                "Sign the person's id in the client's own system; for a visitor who is not logged in call visitor_identity.resolve_visitor without a provided id.",
            ),
            Self::EmptySecret => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                "invalid value for secret",
                "A key is a text that is not empty.",
                "Pass the private key as the product's settings show it; it is used as this text.",
            ),
            Self::BadSignatureFields(reason) => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                "invalid value for signature_fields",
                &format!("Reason: {reason}."),
                "Pass a JSON object with one line of text a field, for instance \"digits\" for \"id\"; NULL verifies as the product does.",
            ),
            Self::BadPerTable(reason) => parts(
                ERRCODE_INVALID_PARAMETER_VALUE,
                "invalid value for per_table",
                &format!("Reason: {reason}."),
                "Pass a JSON object of attached tables, each with delete, anonymize or keep; visitor_identity.attached_table lists the tables.",
            ),
            Self::SignatureRefused { code, reason } => parts(
                ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
                &format!("the signed visitor fields are refused: {code}"),
                &format!("Reason: {reason}."),
                "Let the client's system sign the fields again; visitor_identity.verify_visitor_fields tells the code without an error.",
            ),
            Self::MalformedVisitor(reason) => parts(
                ERRCODE_INVALID_TEXT_REPRESENTATION,
                "malformed signed visitor fields",
                &format!("Reason: {reason}."),
                "Pass an object with \"fields\", \"expires\" and \"hash\", or the flat form with \"crc\".",
            ),
            Self::MalformedMessages(reason) => parts(
                ERRCODE_INVALID_TEXT_REPRESENTATION,
                "malformed messages",
                &format!("Reason: {reason}."),
                "Pass an array of objects with \"id\", \"kind\" and \"text\", and \"data\" if there are any.",
            ),
            Self::SignatureRequired => parts(
                ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
                "a verified provided_visitor_id is required",
                "The account takes provided ids only with a valid signature (require_signature).",
                "Pass the signed visitor fields instead of the bare id.",
            ),
            Self::AccountLocked => parts(
                ERRCODE_INSUFFICIENT_PRIVILEGE,
                "permission denied for account",
                "The session is locked to another account by visitor_identity.locked_account.",
                "Leave the account NULL to mean the session's own.",
            ),
            Self::NotTableOwner(table) => parts(
                ERRCODE_INSUFFICIENT_PRIVILEGE,
                &format!("must be owner of table {table}"),
                "Triggers move the rows of an attached table as its owner.",
                "Call it as the owner of the table.",
            ),
            Self::NotReadable(view) => parts(
                ERRCODE_INSUFFICIENT_PRIVILEGE,
                &format!("permission denied for view {view}"),
                "The chats are read with the caller's own rights.",
                "Grant SELECT on the view, or call visitor_identity.grant_access(role, 'reader').",
            ),
            Self::MalformedUuid => parts(
                ERRCODE_INVALID_TEXT_REPRESENTATION,
                "the query is not a visitor_id",
                "A visitor_id is a uuid, with or without hyphens.",
                "Leave \"by\" NULL to search by every kind of identifier.",
            ),
            Self::UnknownAccount => parts(
                ERRCODE_UNDEFINED_OBJECT,
                "unknown account",
                "The accounts are the rows of visitor_identity.account.",
                "Insert the account, or set visitor_identity.account to one that exists.",
            ),
            Self::UnknownVisitor => parts(
                ERRCODE_UNDEFINED_OBJECT,
                "unknown visitor",
                "No visitor of the account has this identifier, or the person was forgotten.",
                "Pass the account if it is not the session's own; find_visitor tells who is known.",
            ),
            Self::UnknownRebinding => parts(
                ERRCODE_UNDEFINED_OBJECT,
                "unknown rebinding",
                "The rebindings of an account are the rows of visitor_identity.rebind.",
                "Pass the rebind_id, and the account if it is not the session's own.",
            ),
            Self::UnknownKey => parts(
                ERRCODE_UNDEFINED_OBJECT,
                "unknown signature key",
                "The keys of an account have the numbers that visitor_identity.add_signature_key returned.",
                "Pass the key_id, and the account if it is not the session's own.",
            ),
            Self::UnknownColumn { table, column } => parts(
                ERRCODE_UNDEFINED_COLUMN,
                &format!("column \"{column}\" of table {table} does not exist"),
                "A column that is named must exist; a default name is skipped where there is no such column.",
                "Name the table's own columns, for instance visitor_id => 'client_visitor'.",
            ),
            Self::Attachment {
                message,
                detail,
                hint,
            } => parts(
                ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                &message,
                &detail,
                &hint,
            ),
            Self::AccountOfChatChanged => parts(
                ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                "the account of a chat cannot change",
                "A chat belongs to the visitors of its account.",
                "Insert the chat into the other account and delete it here.",
            ),
            Self::ReadOnly => parts(
                ERRCODE_READ_ONLY_SQL_TRANSACTION,
                "cannot assign a visitor_id in a read-only transaction",
                "The identifiers are not known yet, or an authorization would change something.",
                "Call resolve_visitor on the primary in a read-write transaction, or use find_visitor, which writes nothing.",
            ),
            Self::ReadOnlySetup => parts(
                ERRCODE_READ_ONLY_SQL_TRANSACTION,
                "cannot change tables or keys in a read-only transaction",
                "The function writes to the catalog or to the extension's tables.",
                "Call it on the primary in a read-write transaction.",
            ),
            Self::ReadOnlyOperation => parts(
                ERRCODE_READ_ONLY_SQL_TRANSACTION,
                "cannot change visitors in a read-only transaction",
                "The operation moves what belongs to visitors, and logs it.",
                "Call it on the primary in a read-write transaction.",
            ),
            Self::ReadOnlyRegistration => parts(
                ERRCODE_READ_ONLY_SQL_TRANSACTION,
                "cannot change registrations in a read-only transaction",
                "Only a registration that is repeated unchanged within the hour needs no write.",
                "Call it on the primary in a read-write transaction.",
            ),
            Self::NeedsReadCommitted => parts(
                ERRCODE_FEATURE_NOT_SUPPORTED,
                "visitors of distributed tables are changed at READ COMMITTED only",
                "Above it, a chat that another transaction has moved could not be told from one that stayed.",
                "Begin the transaction with isolation level read committed; what is known already is answered at every level.",
            ),
            Self::CitusMissing => parts(
                ERRCODE_FEATURE_NOT_SUPPORTED,
                "the extension citus is not installed in this database",
                "visitor_identity.distribute turns the database into a Citus one.",
                "Install Citus, run create extension citus and add the workers; distribute(dry_run => true) shows the plan without it.",
            ),
            Self::NotExtensionOwner => parts(
                ERRCODE_INSUFFICIENT_PRIVILEGE,
                "must be owner of extension visitor_identity",
                "The function changes the extension's own tables.",
                "Call it as a superuser or as the role that created the extension.",
            ),
            Self::Serialization => parts(
                ERRCODE_T_R_SERIALIZATION_FAILURE,
                "could not serialize access due to a concurrent authorization",
                "Another transaction is rebinding the same visitor.",
                "Retry the transaction.",
            ),
            Self::ClashAppeared => parts(
                ERRCODE_T_R_SERIALIZATION_FAILURE,
                "could not serialize access due to a concurrent change of a unique key",
                "A row of an attached table got the unique key of one that was to be moved.",
                "Retry the transaction; if that does not help, look for a trigger of the table that breaks a unique key itself.",
            ),
            Self::AccountOfRowChanged => parts(
                ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                "the account of a visitor's row cannot change",
                "A row belongs to a visitor of its account.",
                "Insert the row into the other account and delete it here.",
            ),
            Self::Internal(message) => parts(
                ERRCODE_INTERNAL_ERROR,
                &message,
                "This should not happen.",
                "Report it with the statement that caused it.",
            ),
        }
    }
}

impl From<IdentityError> for ErrorReport {
    fn from(error: IdentityError) -> Self {
        let report = error.report_parts();
        ErrorReport::new(report.code, report.message, "visitor_identity")
            .set_detail(report.detail)
            .set_hint(report.hint)
    }
}
