-- The identifier rules as SQL sees them: the pure functions, the three domains, the channel checks.
-- Everything here is a function of its arguments alone (except check_channel_user_id, which reads the table channel).

-- The rules are about characters; in another encoding a text would be read as what it is not.
do $$
begin
    if pg_catalog.getdatabaseencoding() operator(pg_catalog.<>) 'UTF8' then
        raise exception 'visitor_identity needs a database with encoding UTF8'
            using errcode = '0A000',
                detail = 'Identifiers are trimmed and compared as Unicode text.',
                hint = 'Create the database with: create database ... encoding ''UTF8'' template template0.';
    end if;
end
$$;

-- A schema that was there before is taken only if nobody but superusers could have put anything into it: its owner could
-- later put functions beside those that SECURITY DEFINER code calls.
do $$
begin
    if exists (
        select
        from pg_catalog.pg_namespace as n
        join pg_catalog.pg_roles as r on r.oid operator(pg_catalog.=) n.nspowner
        where n.nspname operator(pg_catalog.=) 'visitor_identity'
            and (
                not r.rolsuper
                or exists (
                    select
                    from pg_catalog.aclexplode(n.nspacl) as g
                    where g.privilege_type operator(pg_catalog.=) 'CREATE'
                        and g.grantee operator(pg_catalog.<>) n.nspowner
                )
                or exists (
                    select
                    from pg_catalog.pg_proc as p
                    where p.pronamespace operator(pg_catalog.=) n.oid
                )
                or exists (
                    select
                    from pg_catalog.pg_class as c
                    where c.relnamespace operator(pg_catalog.=) n.oid
                )
                or exists (
                    select
                    from pg_catalog.pg_type as t
                    where t.typnamespace operator(pg_catalog.=) n.oid
                )
            )
    ) then
        raise exception 'schema visitor_identity belongs to somebody else'
            using errcode = '42501',
                detail = 'The schema existed before the extension, and its owner is no superuser, or others may create in it, or something is in it.',
                hint = 'Rename or drop that schema, then create the extension.';
    end if;
end
$$;

create function visitor_identity.is_identifier_text(value text)
returns boolean
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'is_identifier_text_wrapper';

comment on function visitor_identity.is_identifier_text(text) is
'True when the text can be stored as an identifier: trimmed, not blank, at most 512 bytes of UTF-8, no control characters. IMMUTABLE. Placeholders such as 0 or null pass: they are a rule of resolution, not of storage.';

create domain visitor_identity.visitor_id as uuid
    constraint visitor_id_not_nil check (value <> '00000000-0000-0000-0000-000000000000'::uuid);

comment on domain visitor_identity.visitor_id is
'Internal identifier of a visitor: a uuid that is not nil. Drivers see uuid.';

create domain visitor_identity.provided_visitor_id as text collate "C"
    constraint provided_visitor_id_is_identifier check (visitor_identity.is_identifier_text(value));

comment on domain visitor_identity.provided_visitor_id is
'The visitor''s id in the client''s own system: text, trimmed, not blank, at most 512 bytes, no control characters. Drivers see text.';

create domain visitor_identity.channel_user_id as text collate "C"
    constraint channel_user_id_is_identifier check (visitor_identity.is_identifier_text(value));

comment on domain visitor_identity.channel_user_id is
'The visitor''s id in a messaging channel: text, trimmed, not blank, at most 512 bytes, no control characters. Drivers see text.';

create function visitor_identity.is_telegram_user_id(channel_user_id text, profile text default 'documented')
returns boolean
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'is_telegram_user_id_wrapper';

create function visitor_identity.is_viber_user_id(channel_user_id text, profile text default 'documented')
returns boolean
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'is_viber_user_id_wrapper';

create function visitor_identity.is_whatsapp_user_id(channel_user_id text, profile text default 'documented')
returns boolean
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'is_whatsapp_user_id_wrapper';

create function visitor_identity.is_facebook_user_id(channel_user_id text, profile text default 'documented')
returns boolean
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'is_facebook_user_id_wrapper';

comment on function visitor_identity.is_telegram_user_id(text, text) is
'True when the text is a Telegram user id: documented, a number of eight digits; platform, any number below 2^52. IMMUTABLE. 22023 for an unknown profile.';
comment on function visitor_identity.is_viber_user_id(text, text) is
'True when the text is a Viber user id: Latin letters, digits and symbols without blanks, in both profiles. IMMUTABLE. 22023 for an unknown profile.';
comment on function visitor_identity.is_whatsapp_user_id(text, text) is
'True when the text is a WhatsApp user id: documented, the full phone number of 7 to 15 digits; platform, also a business-scoped id such as US.1349. IMMUTABLE. 22023 for an unknown profile.';
comment on function visitor_identity.is_facebook_user_id(text, text) is
'True when the text is a Facebook user id: documented, a number of 15 digits; platform, a page-scoped id of up to 20 digits. IMMUTABLE. 22023 for an unknown profile.';

create function visitor_identity.is_channel_user_id(channel_type text, channel_user_id text, profile text default 'documented')
returns boolean
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'is_channel_user_id_wrapper';

comment on function visitor_identity.is_channel_user_id(text, text, text) is
'True when the text is a user id of the built-in channel, by the profile documented or platform. IMMUTABLE: usable in CHECK constraints and indexes. 22023 for a channel_type that is not built in, or an unknown profile.';

create function visitor_identity.channel_user_id_format(channel_type text, channel_user_id text)
returns text
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'channel_user_id_format_wrapper';

comment on function visitor_identity.channel_user_id_format(text, text) is
'Which profile the text fits: documented, platform (and not documented) or malformed. IMMUTABLE. 22023 for a channel_type that is not built in.';

create function visitor_identity.normalize_channel_user_id(channel_type text, channel_user_id text)
returns text
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'normalize_channel_user_id_wrapper';

comment on function visitor_identity.normalize_channel_user_id(text, text) is
'The form by which a channel user id is keyed: a phone number as people write it becomes its digits, an e-mail domain is lower-cased, all else is trimmed. IMMUTABLE. A channel_type that is not built in is only trimmed.';

create function visitor_identity.normalize_provided_visitor_id(provided_visitor_id text)
returns text
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'normalize_provided_visitor_id_wrapper';

comment on function visitor_identity.normalize_provided_visitor_id(text) is
'The form by which a provided id is keyed: trimmed; NULL when it is blank, a placeholder such as 0 or undefined, over 512 bytes, or has control characters. IMMUTABLE.';

create function visitor_identity.placeholder_key(value text)
returns text
language c immutable strict parallel safe
as 'MODULE_PATHNAME', 'placeholder_key_wrapper';

comment on function visitor_identity.placeholder_key(text) is
'The form by which placeholders are compared: trimmed, without quotes, lower-cased. IMMUTABLE.';

create function visitor_identity.check_channel_user_id(channel_type text, channel_user_id text, profile text default 'documented')
returns boolean
language c stable strict parallel safe security definer
as 'MODULE_PATHNAME', 'check_channel_user_id_wrapper';

comment on function visitor_identity.check_channel_user_id(text, text, text) is
'As is_channel_user_id, and knows the channels a DBA added to visitor_identity.channel too. STABLE. 22023 for an unknown channel_type or profile.';
