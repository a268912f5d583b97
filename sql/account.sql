-- Accounts with their policies, the channels a DBA may add, the values that count as no id.
-- Cached by every backend; the trigger policy_changed tells the others.

create function visitor_identity.policy_changed()
returns trigger
language c
as 'MODULE_PATHNAME', 'policy_changed_wrapper';

comment on function visitor_identity.policy_changed() is
'Trigger function: every backend reads its policies again after the change commits.';

create function visitor_identity.check_signature_fields(signature_fields jsonb)
returns boolean
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'check_signature_fields_wrapper';

comment on function visitor_identity.check_signature_fields(jsonb) is
'True for a strict rule of signed visitor fields: an object with one line of text a field, of which the CHECK of account makes sure. IMMUTABLE. Errors: 22023 for anything else, with the reason.';

-- As a CHECK that raises by itself: PostgreSQL's own error of a CHECK shows the whole row, the secret namespace with it.
create function visitor_identity.check_policy(policy text, value text)
returns boolean
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'check_policy_wrapper';

comment on function visitor_identity.check_policy(text, text) is
'True for a value, given as text, that the column policy of account takes, of which the CHECKs of account make sure. IMMUTABLE. Errors: 22023 for any other, with those it takes; 22001 for an account over 512 bytes.';

create table visitor_identity.account (
    account text collate "C" not null
        constraint account_is_identifier check (visitor_identity.check_policy('account', account)),
    namespace uuid not null default pg_catalog.gen_random_uuid(),
    derivation text not null default 'uuid_v5'
        constraint account_derivation check (visitor_identity.check_policy('derivation', derivation)),
    on_authorization text not null default 'rebind'
        constraint account_on_authorization check (visitor_identity.check_policy('on_authorization', on_authorization)),
    channel_format text not null default 'platform'
        constraint account_channel_format check (visitor_identity.check_policy('channel_format', channel_format)),
    require_signature boolean not null default false,
    identified_cookie text not null default 'auto'
        constraint account_identified_cookie check (visitor_identity.check_policy('identified_cookie', identified_cookie)),
    max_rebinds integer not null default 1000
        constraint account_max_rebinds check (visitor_identity.check_policy('max_rebinds', max_rebinds::text)),
    max_rebind_chats integer not null default 10000
        constraint account_max_rebind_chats check (visitor_identity.check_policy('max_rebind_chats', max_rebind_chats::text)),
    signature_fields jsonb
        constraint account_signature_fields check (visitor_identity.check_signature_fields(signature_fields)),
    signature_horizon integer not null default 86400
        constraint account_signature_horizon check (visitor_identity.check_policy('signature_horizon', signature_horizon::text)),
    created_at timestamptz not null default pg_catalog.now(),
    untouched boolean not null default false,
    constraint account_pkey primary key (account)
);

comment on table visitor_identity.account is
'One row a client company: its secret namespace and its policies. Changed by plain UPDATE, seen by the next call in every backend.';
comment on column visitor_identity.account.account is 'Name of the account; the first column of every key.';
comment on column visitor_identity.account.namespace is 'Secret namespace of computed visitor ids. Changing it leaves bound ids alone and changes those computed later.';
comment on column visitor_identity.account.derivation is 'How a provided id gives its visitor_id: uuid_v5 under the namespace, or md5, the product''s own unsalted scheme.';
comment on column visitor_identity.account.on_authorization is 'rebind moves the chats before authorization to the canonical visitor; keep leaves them with the anonymous one.';
comment on column visitor_identity.account.channel_format is 'The profile that resolve_visitor enforces: platform, documented or any.';
comment on column visitor_identity.account.require_signature is 'When true, a provided id counts only when it has been verified.';
comment on column visitor_identity.account.identified_cookie is 'Whether a bare cookie of an identified visitor resolves to him: accept, ignore, or auto (accept, except under md5 or require_signature).';
comment on column visitor_identity.account.max_rebinds is 'How many visitors one identified visitor may absorb.';
comment on column visitor_identity.account.max_rebind_chats is 'How many chats one absorbed visitor may bring.';
comment on column visitor_identity.account.signature_fields is 'The strict rule of signed visitor fields: an object with one line of text a field, its shape and then optional or movable. NULL verifies as the product does, which lets fields be shifted and expiries be stripped.';
comment on column visitor_identity.account.signature_horizon is 'How many seconds ahead the expiry of signed fields may lie under the strict rule.';
comment on column visitor_identity.account.created_at is 'When the account was made.';
comment on column visitor_identity.account.untouched is 'True while the row is as CREATE EXTENSION made it; such a row gives way to the one that a restore brings.';

-- A restore runs CREATE EXTENSION, which makes the row default, and then brings the row default of the dump: the dumped
-- namespace must win, or every computed id changes. Any UPDATE ends the state, and so does the first visitor seen here;
-- visitors that a parallel restore brought first were created before this CREATE EXTENSION. Rows that come as a replica's
-- (logical replication, a restore under session_replication_role) always win: who sends them owns the account.
create function visitor_identity.account_row()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Before NOT NULL, whose error shows the row.
    if num_nulls(
        new.account, new.namespace, new.derivation, new.on_authorization, new.channel_format,
        new.require_signature, new.identified_cookie, new.max_rebinds, new.max_rebind_chats,
        new.signature_horizon, new.created_at, new.untouched
    ) > 0 then
        raise exception 'a policy of an account cannot be NULL'
            using errcode = '22004',
                detail = 'Only signature_fields may be NULL.',
                hint = 'Leave the column out to get its default.';
    end if;
    if tg_op = 'INSERT' then
        delete from visitor_identity.account as a
        where a.account operator(pg_catalog.=) new.account
            and a.untouched
            and (
                current_setting('session_replication_role') = 'replica'
                or not exists (
                    select
                    from visitor_identity.visitor as v
                    where v.account operator(pg_catalog.=) new.account
                        and v.created_at operator(pg_catalog.>=) a.created_at
                )
            );
    elsif new.account is distinct from old.account then
        raise exception 'an account cannot be renamed'
            using errcode = '55000',
                detail = 'The account is part of every key and of every chat row.',
                hint = 'Insert a new account instead.';
    else
        new.untouched := false;
    end if;
    return new;
end
$$;

revoke execute on function visitor_identity.account_row() from public;

comment on function visitor_identity.account_row() is
'Trigger function: the row default made by CREATE EXTENSION gives way to the one that a restore or replication brings; an account is never renamed (55000), a policy never NULL (22004).';

insert into visitor_identity.account (account, untouched) values ('default', true);

create trigger account_row
before insert or update on visitor_identity.account
for each row execute function visitor_identity.account_row();

create trigger policy_changed
after insert or update or delete or truncate on visitor_identity.account
for each statement execute function visitor_identity.policy_changed();

create table visitor_identity.channel (
    channel_type text collate "C" not null
        constraint channel_type_name check (channel_type ~ '^[a-z][a-z0-9_-]{0,62}$'),
    pattern text collate "C",
    built_in boolean not null default false,
    constraint channel_pkey primary key (channel_type),
    -- The matches are made for their errors: a pattern that does not compile, by itself and as it is used, is refused
    -- here and not at a customer's message.
    constraint channel_has_a_rule check (
        built_in
        or (('' ~ pattern) is not null and ('' ~ ('^(?:' || pattern || ')$')) is not null)
    )
);

comment on table visitor_identity.channel is
'The messaging channels. A DBA adds one by INSERT with a regular expression that the whole id must match; the built-in ones are checked by the extension''s own code.';
comment on column visitor_identity.channel.channel_type is 'Name of the channel: lower-case letters, digits, _ and -.';
comment on column visitor_identity.channel.pattern is 'Regular expression for the whole channel user id; NULL for a built-in channel.';
comment on column visitor_identity.channel.built_in is 'True for the channels that come with the extension.';

insert into visitor_identity.channel (channel_type, built_in)
values
    ('telegram', true), ('viber', true), ('whatsapp', true), ('facebook', true), ('instagram', true),
    ('vk', true), ('ok', true), ('apple', true), ('line', true), ('wechat', true),
    ('email', true), ('sms', true), ('skype', true), ('max', true);

create trigger policy_changed
after insert or update or delete or truncate on visitor_identity.channel
for each statement execute function visitor_identity.policy_changed();

create table visitor_identity.blocked_identifier (
    account text collate "C" not null default 'default',
    identifier text collate "C" not null
        constraint blocked_identifier_not_blank check (visitor_identity.placeholder_key(identifier) <> ''),
    constraint blocked_identifier_pkey primary key (account, identifier)
);

comment on table visitor_identity.blocked_identifier is
'Values that are no id in an account, beside the built-in placeholders: the shared default of a client''s SDK, say. Compared without case and quotes.';
comment on column visitor_identity.blocked_identifier.account is 'The account in which the value is no id.';
comment on column visitor_identity.blocked_identifier.identifier is 'The value that counts as no id.';

create trigger policy_changed
after insert or update or delete or truncate on visitor_identity.blocked_identifier
for each statement execute function visitor_identity.policy_changed();

-- Also when rows arrive by replication or a restore as a replica: the sender's row default must win, and policies must
-- reach every backend.
alter table visitor_identity.account enable always trigger account_row;
alter table visitor_identity.account enable always trigger policy_changed;
alter table visitor_identity.channel enable always trigger policy_changed;
alter table visitor_identity.blocked_identifier enable always trigger policy_changed;
