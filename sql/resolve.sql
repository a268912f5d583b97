-- Resolution as SQL functions.

create function visitor_identity.resolve_visitor(
    provided_visitor_id text default null,
    channel_type text default null,
    channel_user_id text default null,
    visitor_id uuid default null,
    channel_id text default '',
    account text default null
)
returns uuid
language c volatile security definer
as 'MODULE_PATHNAME', 'resolve_visitor_wrapper';

comment on function visitor_identity.resolve_visitor(text, text, text, uuid, text, text) is
'The canonical visitor of whatever identifiers are given; a new one is assigned to the unknown. With a provided id it authorizes: anonymous visitors that the request shows are absorbed and their chats rebound. VOLATILE; a known visitor is answered without any write, also in a read-only transaction. Errors: 22023, 22004, 22001, 28000, 42501, 42704, 25006, 40001.';

create function visitor_identity.resolve_visitor_detail(
    provided_visitor_id text default null,
    channel_type text default null,
    channel_user_id text default null,
    visitor_id uuid default null,
    channel_id text default '',
    account text default null
)
returns table (
    visitor_id uuid,
    outcome text,
    basis text,
    previous_visitor_ids uuid[],
    rebind_ids bigint[],
    rebound_chats bigint,
    notes text[]
)
language c volatile security definer rows 1
as 'MODULE_PATHNAME', 'resolve_visitor_detail_wrapper';

comment on function visitor_identity.resolve_visitor_detail(text, text, text, uuid, text, text) is
'As resolve_visitor, with one row that says how: outcome (authorized, switched, created, recognized), basis (provided, channel, cookie, none), the absorbed visitors, the rebindings, how many chats moved, and note codes. VOLATILE. Errors as resolve_visitor.';

create function visitor_identity.resolve_visitors(
    provided_visitor_ids text[] default null,
    channel_types text[] default null,
    channel_user_ids text[] default null,
    visitor_ids uuid[] default null,
    channel_ids text[] default null,
    account text default null
)
returns table (
    request bigint,
    visitor_id uuid,
    outcome text,
    basis text,
    notes text[],
    refused_sqlstate text,
    refused_message text
)
language c volatile security definer rows 1000
as 'MODULE_PATHNAME', 'resolve_visitors_wrapper';

comment on function visitor_identity.resolve_visitors(text[], text[], text[], uuid[], text[], text) is
'resolve_visitor for many independent requests, for ingestion: one array an argument, one element a request, one row a request in their order. A request that resolve_visitor would refuse gives outcome refused with the SQLSTATE and message, changes nothing, and stops no other. VOLATILE; known visitors are answered without any write, also in a read-only transaction. Errors: 22023 for arrays of different lengths, 42501, 42704, 25006, 40001.';

create function visitor_identity.find_visitor(
    provided_visitor_id text default null,
    channel_type text default null,
    channel_user_id text default null,
    visitor_id uuid default null,
    channel_id text default '',
    account text default null
)
returns uuid
language c stable parallel safe security definer
as 'MODULE_PATHNAME', 'find_visitor_wrapper';

comment on function visitor_identity.find_visitor(text, text, text, uuid, text, text) is
'The canonical visitor of the identifiers, or NULL for the unknown. Writes and locks nothing; works on a hot standby. STABLE, PARALLEL SAFE. Errors: 22023, 22004, 22001, 28000, 42501, 42704.';

create function visitor_identity.chat_visitor(
    provided_visitor_id text default null,
    channel_type text default null,
    channel_user_id text default null,
    visitor_id uuid default null,
    channel_id text default '',
    account text default null
)
returns uuid
language c volatile security definer
as 'MODULE_PATHNAME', 'chat_visitor_wrapper';

comment on function visitor_identity.chat_visitor(text, text, text, uuid, text, text) is
'The visitor for a chat row with these identifiers that the caller is going to write in the same transaction, where no trigger of an attached table does it: on distributed tables. By the rules of the triggers: what is malformed counts as no identifier, an unknown visitor_id is adopted, anonymous visitors that the row shows are absorbed and their chats rebound. The visitor stays as he is until the transaction ends. Write him as visitor_id, and into a new row as origin_visitor_id too. VOLATILE. Errors: 42501, 42704, 25006, 40001.';

create function visitor_identity.at_account(
    account text,
    call text,
    caller text
)
returns text
language c volatile strict
as 'MODULE_PATHNAME', 'at_account_wrapper';

comment on function visitor_identity.at_account(text, text, text) is
'A part of resolve_visitor, find_visitor, chat_visitor and authorize_visitor where the tables are distributed: carries out a call that another node was asked, on the node that has the account. Nobody is granted it. STRICT, because Citus does not look whether a distribution argument is NULL. VOLATILE. Errors: those of the calls.';

create function visitor_identity.derive_visitor_id(
    provided_visitor_id text,
    account text default null
)
returns uuid
language c stable parallel safe security definer
as 'MODULE_PATHNAME', 'derive_visitor_id_wrapper';

comment on function visitor_identity.derive_visitor_id(text, text) is
'The visitor_id that is computed from a provided id under the account''s derivation, generation 0; NULL for what is no id. It says nothing about what is bound. STABLE. Errors: 22023, 22001, 42501, 42704.';

create function visitor_identity.account_is_visible(account text)
returns boolean
language c stable parallel safe
as 'MODULE_PATHNAME', 'account_is_visible_wrapper';

comment on function visitor_identity.account_is_visible(text) is
'False when the session is locked to another account by visitor_identity.locked_account. STABLE.';
