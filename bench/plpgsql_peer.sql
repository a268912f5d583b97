-- The peer that the extension is measured against: the same rules in PL/pgSQL, as a careful author would write them,
-- on tables of the same shape and with the same indexes. bench/verify.sql holds its answers against the extension's.
--
-- What makes it quick, so that the comparison is fair: one look decides whether an id is an ordinary one; the policies
-- and the blocked values take one statement; the facts take one statement that is fitted to the identifiers given;
-- small rules are SQL functions that the planner inlines (none is STRICT unless its body is, or it would not be); nothing is locked or written for a known visitor.
-- What it lacks: notes, the row per visitor that resolve_visitor_detail returns, triggers, waiting without deadlocks.

create schema peer;
create extension "uuid-ossp" with schema peer;

create table peer.account (like visitor_identity.account including all);
create table peer.channel (like visitor_identity.channel including all);
create table peer.blocked_identifier (like visitor_identity.blocked_identifier including all);
create table peer.visitor (like visitor_identity.visitor including all);
create table peer.provided_identity (like visitor_identity.provided_identity including all);
create table peer.channel_identity (like visitor_identity.channel_identity including all);
create table peer.former_channel_identity (like visitor_identity.former_channel_identity including all);
create table peer.rebind (like visitor_identity.rebind including all);
create table peer.rebind_row (like visitor_identity.rebind_row including all);
create table peer.pending_rebind (like visitor_identity.pending_rebind including all);

insert into peer.account
select *
from visitor_identity.account;
insert into peer.channel
select *
from visitor_identity.channel;

-- The text of an identifier ------------------------------------------------------------------------------------

-- All Unicode white space and the invisible formatting characters.
create function peer.trimmed(value text)
returns text
language sql immutable strict parallel safe
return btrim(
    value,
    U&'\0009\000A\000B\000C\000D\0020\0085\00A0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200A\200B\200C\200D\200E\200F\2028\2029\202A\202B\202C'
        '\202D\202E\202F\205F\2060\2061\2062\2063\2064\2066\2067\2068\2069\206A\206B\206C\206D\206E\206F\3000\00AD\180E\FEFF'
);

-- Nearly every id: visible ASCII that begins with a letter or a digit other than 0 and F. There is nothing to trim in
-- it, no control character, no quote around it, and it is no zero; it can still be a word such as null.
create function peer.is_ordinary(value text)
returns boolean
language sql immutable parallel safe
return octet_length(value) <= 512 and value ~ '^[1-9A-EG-Za-eg-z][!-~]*$';

create function peer.is_well_known(folded text)
returns boolean
language sql immutable parallel safe
return folded collate "C" = any (array[
    '#n/a', '-', '--', '-1', '-infinity', '?', 'anon', 'anonymous', 'anonymous_id', 'anonymousid', 'channel_user_id',
    'client_id', 'customer_id', 'distinct_id', 'distinctid', 'empty', 'false', 'guest', 'id', 'infinity', 'n/a', 'nan',
    'nil', 'no_id', 'nobody', 'noid', 'none', 'none none', 'not set', 'not_set', 'null', 'null null', 'object null',
    'object object', 'object undefined', 'provided_visitor_id', 'true', 'undefined', 'undefined undefined', 'unknown',
    'unset', 'user_id', 'userid', 'visitor_id', 'visitorid'
]);

-- Without quotes around it, in lower case.
create function peer.folded(value text)
returns text
language plpgsql immutable strict parallel safe
as $$
declare
    rest text := peer.trimmed(value);
    inner_text text;
begin
    loop
        inner_text := case
            when length(rest) >= 2 and left(rest, 1) = any (array['"', '''', '`']) and right(rest, 1) = left(rest, 1)
                then substr(rest, 2, length(rest) - 2)
            when length(rest) >= 4 and left(rest, 2) = any (array['\"', '\''']) and right(rest, 2) = left(rest, 2)
                then substr(rest, 3, length(rest) - 4)
            when length(rest) >= 2 and left(rest, 1) || right(rest, 1) = any (array['“”', '‘’', '«»'])
                then substr(rest, 2, length(rest) - 2)
        end;
        exit when inner_text is null;
        rest := peer.trimmed(inner_text);
    end loop;
    return lower(rest);
end
$$;

-- The full check, for what is not ordinary.
create function peer.is_placeholder(trimmed text)
returns boolean
language plpgsql immutable strict parallel safe
as $$
declare
    folded text := peer.folded(trimmed);
    bare text := folded;
begin
    if folded ~ '^(\(.*\)|<.*>|\[.*\]|\{.*\})$' then
        bare := peer.trimmed(substr(folded, 2, length(folded) - 2));
    end if;
    return bare = ''
        or (bare ~ '^[-.+0]+$' and bare ~ '0')
        or bare ~ '^-*(f-*){32}$'
        or peer.is_well_known(bare)
        or folded ~ '^(\{\{.*\}\}|\$\{.*\}|<%.*%>|%[a-z_]+%)$';
end
$$;

-- The trimmed id, or NULL for none.
create function peer.parsed(value text, argument text)
returns text
language plpgsql immutable parallel safe
as $$
declare
    trimmed text := peer.trimmed(value);
begin
    if trimmed = '' then
        return null;
    elsif octet_length(trimmed) > 512 then
        raise exception '% is too long', argument using errcode = '22001';
    elsif trimmed ~ '[\u0001-\u001f\u007f-\u009f]' then
        raise exception '% contains a control character', argument using errcode = '22023';
    elsif peer.is_placeholder(trimmed) then
        return null;
    end if;
    return trimmed;
end
$$;

-- Channels -----------------------------------------------------------------------------------------------------

-- A phone number as people write it becomes its digits; an e-mail domain is lower-cased.
create function peer.normalized(channel_type text, trimmed text)
returns text
language plpgsql immutable strict parallel safe
as $$
declare
    number text;
begin
    if channel_type in ('whatsapp', 'sms') and trimmed !~ '^[1-9][0-9]*$' then
        number := regexp_replace(trimmed, '^(whatsapp|tel):', '', 'i');
        number := regexp_replace(
            number,
            '[-‐‑‒–./()\u0020\u00a0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u2064\u2066-\u206f\u3000\u00ad\u180e\ufeff]',
            '',
            'g'
        );
        if number ~ '^\+?[0-9]+$' then
            number := ltrim(number, '+');
            if number ~ '^00[1-9][0-9]{6}' then
                number := substr(number, 3);
            end if;
            return number;
        end if;
    elsif channel_type = 'email' and trimmed ~ '@[^@]*[A-Z][^@]*$' then
        return regexp_replace(trimmed, '[^@]*$', '') || lower(substring(trimmed from '[^@]*$') collate "C");
    end if;
    return trimmed;
end
$$;

-- NULL for a channel that is not built in.
create function peer.is_channel_user_id(channel_type text, id text, profile text)
returns boolean
language sql immutable parallel safe
return case channel_type
    when 'telegram' then
        case profile
            when 'documented' then id ~ '^[1-9][0-9]{7}$'
            else id ~ '^[1-9][0-9]{0,15}$' and id::bigint < 4503599627370496
        end
    when 'viber' then id ~ '^[!-~]+$'
    when 'whatsapp' then
        id ~ '^[0-9]{7,15}$' or profile = 'platform' and id ~ '^[A-Z]{2}(\.ENT)?\.[A-Za-z0-9]{1,128}$'
    when 'facebook' then
        case profile
            when 'documented' then id ~ '^[0-9]{15}$'
            else id ~ '^[0-9]{1,20}$'
        end
    when 'instagram' then id ~ '^[0-9]{1,20}$'
    when 'vk' then id ~ '^-?[1-9][0-9]{0,18}$' and id::numeric between -9223372036854775808 and 9223372036854775807
    when 'ok' then id ~ '^[!-~]{1,128}$'
    when 'apple' then id ~ '^urn:mbid:[!-~]+$'
    when 'line' then id ~ '^U[0-9a-f]{32}$'
    when 'wechat' then id ~ '^[A-Za-z0-9_-]{1,128}$'
    when 'email' then
        octet_length(id) <= 254
        and id ~ '^[A-Za-z0-9!#$%&''*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&''*+/=?^_`{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$'
        and id ~ '^.{1,64}@'
        and id !~ '@.*[^.]{64}'
    when 'sms' then id ~ '^[0-9]{7,15}$'
    when 'skype' then id ~ '^[A-Za-z0-9][A-Za-z0-9._,:@-]{0,127}$'
    when 'max' then id ~ '^[1-9][0-9]{0,18}$' and id::numeric <= 9223372036854775807
end;

-- Computed and random ids ----------------------------------------------------------------------------------------

create function peer.netstring(part text)
returns text
language sql immutable strict parallel safe
return octet_length(part)::text || ':' || part || ',';

create function peer.computed_from_provided(namespace uuid, derivation text, provided text, generation integer)
returns uuid
language sql immutable parallel safe
return case
    when derivation = 'md5' and generation = 0 then md5(provided)::uuid
    else peer.uuid_generate_v5(
        namespace,
        '19:provided_visitor_id,' || peer.netstring(provided)
            || case when generation > 0 then peer.netstring(generation::text) else '' end
    )
end;

create function peer.computed_from_channel(namespace uuid, channel_type text, channel_id text, id text, generation integer)
returns uuid
language sql immutable parallel safe
return peer.uuid_generate_v5(
    namespace,
    '15:channel_user_id,' || peer.netstring(channel_type) || peer.netstring(channel_id) || peer.netstring(id)
        || case when generation > 0 then peer.netstring(generation::text) else '' end
);

create function peer.random_visitor_id()
returns uuid
language sql volatile
return encode(
    overlay(
        overlay(uuid_send(gen_random_uuid()) placing substr(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint), 3) from 1 for 6)
        placing '\x70'::bytea from 7 for 1
    ),
    'hex'
)::uuid;

-- Authorization: everything that is not the answer to a known visitor ----------------------------------------------

-- Supersedes one visitor by another and moves what it has.
create function peer.absorb(acct text, from_id uuid, to_id uuid, why text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    new_rebind_id bigint;
    chats jsonb;
    pointers jsonb;
    channels jsonb;
begin
    update peer.visitor as v
    set superseded_by = to_id, claimed_by = null
    where v.account = acct
        and v.visitor_id = from_id
        and v.superseded_by is null
        and not v.identified
        and not v.forgotten
        and (v.claimed_by is null or v.claimed_by = to_id);
    if not found then
        return;
    end if;
    with moved as (
        update peer.visitor as v
        set superseded_by = to_id
        where v.account = acct
            and v.superseded_by = from_id
        returning v.visitor_id
    )
    select jsonb_agg(m.visitor_id)
    into pointers
    from moved as m;
    with moved as (
        update peer.channel_identity as c
        set visitor_id = to_id
        where c.account = acct
            and c.visitor_id = from_id
        returning c.channel_type, c.channel_id, c.channel_user_id
    )
    select jsonb_agg(to_jsonb(m))
    into channels
    from moved as m;
    insert into peer.former_channel_identity (account, channel_type, channel_id, channel_user_id, visitor_id, until)
    select f.account, f.channel_type, f.channel_id, f.channel_user_id, to_id, f.until
    from peer.former_channel_identity as f
    where f.account = acct
        and f.visitor_id = from_id
    on conflict do nothing;
    delete from peer.pending_rebind as r
    where r.account = acct
        and r.visitor_id = from_id;
    with moved as (
        update peer.chat as t
        set visitor_id = to_id, origin_visitor_id = coalesce(t.origin_visitor_id, t.visitor_id)
        where t.account = acct
            and t.visitor_id = from_id
        returning t.account, t.chat_id
    )
    select jsonb_agg(to_jsonb(m))
    into chats
    from moved as m;
    insert into peer.rebind (account, kind, from_visitor_id, to_visitor_id, rebound_chats, reason)
    values (acct, 'visitor', from_id, to_id, coalesce(jsonb_array_length(chats), 0), why)
    returning rebind_id
    into new_rebind_id;
    insert into peer.rebind_row (account, rebind_id, moved_table, part, keys)
    select acct, new_rebind_id, m.moved_table::regclass, 0, m.keys
    from (values ('peer.visitor', pointers), ('peer.channel_identity', channels), ('peer.chat', chats)) as m (moved_table, keys)
    where m.keys is not null;
end
$$;

create function peer.complete_owed(acct text, visitors uuid[])
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    owed record;
begin
    for owed in
        select distinct r.visitor_id, coalesce(v.superseded_by, r.to_visitor_id) as to_visitor_id
        from peer.pending_rebind as r
        join peer.visitor as v on v.account = r.account and v.visitor_id = r.to_visitor_id
        where r.account = acct
            and (r.visitor_id = any (visitors) or r.to_visitor_id = any (visitors))
    loop
        perform
        from peer.visitor as v
        where v.account = acct
            and v.visitor_id = owed.visitor_id
        for update;
        perform peer.absorb(acct, owed.visitor_id, owed.to_visitor_id, 'pending');
        delete from peer.pending_rebind as r
        where r.account = acct
            and r.visitor_id = owed.visitor_id;
    end loop;
end
$$;

-- The resolver ---------------------------------------------------------------------------------------------------

create function peer.resolve_visitor(
    provided_visitor_id text default null,
    channel_type text default null,
    channel_user_id text default null,
    visitor_id uuid default null,
    channel_id text default '',
    account text default null
)
returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    given_provided constant text := resolve_visitor.provided_visitor_id;
    given_channel_user constant text := resolve_visitor.channel_user_id;
    acct text := resolve_visitor.account;
    locked text := current_setting('visitor_identity.locked_account', true);
    -- policies
    namespace uuid;
    derivation text;
    on_authorization text;
    channel_format text;
    require_signature boolean;
    accepts_identified boolean;
    max_rebinds integer;
    max_rebind_chats integer;
    has_blocked boolean;
    -- the request
    provided text;
    channel text;
    channel_user text;
    channel_scope text;
    cookie uuid := nullif(nullif(
        resolve_visitor.visitor_id, '00000000-0000-0000-0000-000000000000'), 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    accepted boolean;
    -- the facts
    p_visitor uuid;
    c_visitor uuid;
    c_identified boolean;
    c_claimed uuid;
    c_forgotten boolean;
    k_visitor uuid;
    k_identified boolean;
    k_claimed uuid;
    k_forgotten boolean;
    is_owed boolean;
    -- the decision
    target uuid;
    candidate record;
    met uuid[];
    absorbed uuid[] := '{}';
    claimed uuid[] := '{}';
    to_lock uuid[];
    locked_rows uuid[] := '{}';
    room integer;
    bound boolean;
    holder record;
begin
    -- 1. The account and its policies.
    if locked <> '' then
        acct := coalesce(acct, nullif(nullif(current_setting('visitor_identity.account', true), ''), 'default'), locked);
        if acct <> locked then
            raise exception 'the session is locked to another account' using errcode = '42501';
        end if;
    else
        acct := coalesce(acct, nullif(current_setting('visitor_identity.account', true), ''), 'default');
    end if;
    select a.namespace, a.derivation, a.on_authorization, a.channel_format, a.require_signature,
        a.identified_cookie = 'accept'
            or a.identified_cookie = 'auto' and a.derivation <> 'md5' and not a.require_signature,
        a.max_rebinds, a.max_rebind_chats,
        exists (
            select
            from peer.blocked_identifier as b
            where b.account = a.account
        )
    into namespace, derivation, on_authorization, channel_format, require_signature, accepts_identified, max_rebinds,
        max_rebind_chats, has_blocked
    from peer.account as a
    where a.account = acct;
    if not found then
        raise exception 'unknown account' using errcode = '42704';
    end if;

    -- 2. The identifiers: trimmed, checked, placeholders and blocked values taken out.
    if given_provided is not null then
        if peer.is_ordinary(given_provided) then
            if not peer.is_well_known(lower(given_provided collate "C")) then
                provided := given_provided;
            end if;
        else
            provided := peer.parsed(given_provided, 'provided_visitor_id');
        end if;
        if has_blocked and provided is not null then
            if exists (
                select
                from peer.blocked_identifier as b
                where b.account = acct
                    and b.identifier = peer.folded(provided)
            ) then
                provided := null;
            end if;
        end if;
        if require_signature and provided is not null then
            raise exception 'a signature is required' using errcode = '28000';
        end if;
    end if;
    if resolve_visitor.channel_type is not null or given_channel_user is not null then
        channel := nullif(peer.trimmed(resolve_visitor.channel_type), '');
        if given_channel_user is not null then
            if peer.is_ordinary(given_channel_user) then
                if not peer.is_well_known(lower(given_channel_user collate "C")) then
                    channel_user := given_channel_user;
                end if;
            else
                channel_user := peer.parsed(given_channel_user, 'channel_user_id');
            end if;
            if has_blocked and channel_user is not null then
                if exists (
                    select
                    from peer.blocked_identifier as b
                    where b.account = acct
                        and b.identifier = peer.folded(channel_user)
                ) then
                    channel_user := null;
                end if;
            end if;
        end if;
        if channel is null then
            if channel_user is not null then
                raise exception 'channel_user_id without channel_type' using errcode = '22004';
            end if;
        elsif given_channel_user is null then
            raise exception 'channel_type without channel_user_id' using errcode = '22004';
        elsif channel_user is null then
            if not exists (
                select
                from peer.channel as c
                where c.channel_type = channel
            ) then
                raise exception 'unknown channel_type' using errcode = '22023';
            end if;
        else
            if channel in ('whatsapp', 'sms', 'email') then
                channel_user := peer.normalized(channel, channel_user);
                if peer.is_placeholder(channel_user) then
                    channel_user := null;
                elsif has_blocked then
                    if exists (
                        select
                        from peer.blocked_identifier as b
                        where b.account = acct
                            and b.identifier = peer.folded(channel_user)
                    ) then
                        channel_user := null;
                    end if;
                end if;
            end if;
            if channel_user is not null then
                accepted := peer.is_channel_user_id(channel, channel_user, channel_format);
                if accepted is null then
                    select channel_user ~ ('^(?:' || c.pattern || ')$')
                    into accepted
                    from peer.channel as c
                    where c.channel_type = channel
                        and not c.built_in;
                    if not found then
                        raise exception 'unknown channel_type' using errcode = '22023';
                    end if;
                end if;
                if not accepted and channel_format <> 'any' then
                    raise exception 'not a user id of the channel' using errcode = '22023';
                end if;
                channel_scope := coalesce(resolve_visitor.channel_id, '');
                if channel_scope <> '' then
                    channel_scope := peer.trimmed(channel_scope);
                    perform peer.parsed(channel_scope, 'channel_id');
                end if;
            end if;
        end if;
        if channel_user is null then
            channel := null;
        end if;
    end if;

    loop
        -- 3. The facts, in one statement, and the answer for a known visitor.
        if provided is null and channel is not null then
            select c.visitor_id,
                exists (
                    select
                    from peer.pending_rebind as r
                    where r.account = acct
                        and (r.visitor_id = c.visitor_id or r.to_visitor_id = c.visitor_id or r.visitor_id = cookie)
                )
            into c_visitor, is_owed
            from peer.channel_identity as c
            where c.account = acct
                and c.channel_user_id = channel_user
                and c.channel_type = channel
                and c.channel_id = channel_scope;
            if found and not is_owed then
                return c_visitor;
            elsif not found and cookie is not null then
                is_owed := exists (
                    select
                    from peer.pending_rebind as r
                    where r.account = acct
                        and r.visitor_id = cookie
                );
            end if;
        elsif provided is null then
            if cookie is null then
                target := peer.random_visitor_id();
                insert into peer.visitor (account, visitor_id)
                values (acct, target);
                return target;
            end if;
            select coalesce(k.superseded_by, k.visitor_id),
                case when s.visitor_id is null then k.identified else s.identified end,
                case when s.visitor_id is null then k.forgotten else s.forgotten end,
                exists (
                    select
                    from peer.pending_rebind as r
                    where r.account = acct
                        and r.visitor_id = k.visitor_id
                )
            into k_visitor, k_identified, k_forgotten, is_owed
            from peer.visitor as k
            left join peer.visitor as s on s.account = acct and s.visitor_id = k.superseded_by
            where k.account = acct
                and k.visitor_id = cookie;
            if not found or not is_owed and (k_forgotten or k_identified and not accepts_identified) then
                target := peer.random_visitor_id();
                insert into peer.visitor (account, visitor_id)
                values (acct, target);
                return target;
            elsif not is_owed then
                return k_visitor;
            end if;
        elsif channel is null then
            -- A person whose cookie is his own, as nearly always, takes one probe: whoever has a provided id is
            -- canonical, and owes nothing to another.
            select p.visitor_id,
                exists (
                    select
                    from peer.pending_rebind as r
                    where r.account = acct
                        and r.to_visitor_id = p.visitor_id
                )
            into p_visitor, is_owed
            from peer.provided_identity as p
            where p.account = acct
                and p.provided_visitor_id = provided;
            if p_visitor is not null and not is_owed and (cookie is null or cookie = p_visitor) then
                return p_visitor;
            end if;
            select p.visitor_id, coalesce(k.superseded_by, k.visitor_id),
                case when s.visitor_id is null then k.identified else s.identified end,
                case when s.visitor_id is null then k.claimed_by else s.claimed_by end,
                case when s.visitor_id is null then k.forgotten else s.forgotten end,
                exists (
                    select
                    from peer.pending_rebind as r
                    where r.account = acct
                        and (r.to_visitor_id = p.visitor_id or r.visitor_id = k.visitor_id)
                )
            into p_visitor, k_visitor, k_identified, k_claimed, k_forgotten, is_owed
            from (select) as request
            left join peer.provided_identity as p on p.account = acct and p.provided_visitor_id = provided
            left join peer.visitor as k on k.account = acct and k.visitor_id = cookie
            left join peer.visitor as s on s.account = acct and s.visitor_id = k.superseded_by;
            if p_visitor is not null and not is_owed and (k_visitor is null or k_visitor = p_visitor) then
                return p_visitor;
            end if;
        else
            select p.visitor_id, c.visitor_id, v.identified, v.claimed_by, v.forgotten,
                coalesce(k.superseded_by, k.visitor_id),
                case when s.visitor_id is null then k.identified else s.identified end,
                case when s.visitor_id is null then k.claimed_by else s.claimed_by end,
                case when s.visitor_id is null then k.forgotten else s.forgotten end,
                exists (
                    select
                    from peer.pending_rebind as r
                    where r.account = acct
                        and (r.to_visitor_id = p.visitor_id or r.visitor_id = k.visitor_id
                            or r.visitor_id = c.visitor_id or r.to_visitor_id = c.visitor_id)
                )
            into p_visitor, c_visitor, c_identified, c_claimed, c_forgotten, k_visitor, k_identified, k_claimed,
                k_forgotten, is_owed
            from (select) as request
            left join peer.provided_identity as p on p.account = acct and p.provided_visitor_id = provided
            left join peer.channel_identity as c
                on c.account = acct
                and c.channel_user_id = channel_user
                and c.channel_type = channel
                and c.channel_id = channel_scope
            left join peer.visitor as v on v.account = acct and v.visitor_id = c.visitor_id
            left join peer.visitor as k on k.account = acct and k.visitor_id = cookie
            left join peer.visitor as s on s.account = acct and s.visitor_id = k.superseded_by;
            if p_visitor = c_visitor and not is_owed and (k_visitor is null or k_visitor = p_visitor) then
                return p_visitor;
            end if;
        end if;
        if is_owed then
            perform peer.complete_owed(
                acct, array_remove(array[cookie, p_visitor, c_visitor, k_visitor], null));
            continue;
        end if;

        -- 4. Whom the authorization meets, and what it does with them.
        met := '{}';
        if provided is not null then
            if k_visitor is distinct from p_visitor and not coalesce(k_forgotten, true) then
                met := met || k_visitor;
            end if;
            if c_visitor is distinct from p_visitor and not coalesce(c_forgotten, true) and c_visitor <> all (met) then
                met := met || c_visitor;
            end if;
        end if;
        if cardinality(met) > 0 then
            room := null;
            absorbed := '{}';
            claimed := '{}';
            for candidate in
                select v.visitor_id, v.claimed_by
                from unnest(met) with ordinality as m (visitor_id, place)
                join peer.visitor as v on v.account = acct and v.visitor_id = m.visitor_id
                where not v.identified
                    and (v.claimed_by is null or v.claimed_by = p_visitor)
                order by m.place
            loop
                if on_authorization <> 'keep' then
                    room := coalesce(room, max_rebinds - (
                        select count(*)
                        from peer.rebind as r
                        where r.account = acct
                            and r.to_visitor_id = p_visitor
                            and r.kind = 'visitor'
                            and r.undone_at is null
                    ));
                end if;
                if on_authorization <> 'keep'
                    and not exists (
                        select
                        from peer.rebind as r
                        where r.account = acct
                            and r.from_visitor_id = candidate.visitor_id
                            and r.to_visitor_id = p_visitor
                            and r.kind = 'visitor'
                            and r.undone_at is not null
                    )
                    and room > 0
                    and max_rebind_chats >= (
                        select count(*)
                        from (
                            select
                            from peer.chat as t
                            where t.account = acct
                                and t.visitor_id = candidate.visitor_id
                            limit max_rebind_chats + 1::bigint
                        ) as counted
                    )
                then
                    room := room - 1;
                    absorbed := absorbed || candidate.visitor_id;
                elsif candidate.claimed_by is null then
                    claimed := claimed || candidate.visitor_id;
                end if;
            end loop;

            -- 5. Locks in one order: elections, then rows; whatever had to be locked is read again.
            to_lock := array(
                select l.visitor_id
                from unnest(absorbed || claimed) as l (visitor_id)
                where l.visitor_id <> all (locked_rows)
                order by l.visitor_id
            );
            if cardinality(to_lock) > 0 then
                perform pg_advisory_xact_lock(hashtextextended(acct || l.visitor_id, 0))
                from unnest(to_lock) as l (visitor_id);
                perform
                from peer.visitor as v
                where v.account = acct
                    and v.visitor_id = any (to_lock)
                order by v.visitor_id
                for update;
                locked_rows := locked_rows || to_lock;
                continue;
            end if;
        end if;

        -- 6. The visitor: known, or computed and bound.
        target := p_visitor;
        if target is null then
            if cardinality(absorbed) > 0 then
                perform
                from peer.chat as t
                where t.account = acct
                    and t.visitor_id = any (absorbed)
                order by t.chat_id
                for no key update;
            end if;
            bound := false;
            for generation in 0..999 loop
                if provided is not null then
                    target := peer.computed_from_provided(namespace, derivation, provided, generation);
                    insert into peer.visitor (account, visitor_id, identified)
                    values (acct, target, true)
                    on conflict do nothing;
                    if found then
                        insert into peer.provided_identity (account, provided_visitor_id, visitor_id)
                        values (acct, provided, target)
                        on conflict do nothing;
                        bound := found;
                        if not bound then
                            delete from peer.visitor as v
                            where v.account = acct
                                and v.visitor_id = target;
                        end if;
                        exit;
                    end if;
                else
                    target := peer.computed_from_channel(namespace, channel, channel_scope, channel_user, generation);
                    insert into peer.visitor (account, visitor_id)
                    values (acct, target)
                    on conflict do nothing;
                    if found then
                        insert into peer.channel_identity (account, channel_type, channel_id, channel_user_id, visitor_id)
                        values (acct, channel, channel_scope, channel_user, target)
                        on conflict do nothing;
                        bound := found;
                        if not bound then
                            delete from peer.visitor as v
                            where v.account = acct
                                and v.visitor_id = target;
                        end if;
                        exit;
                    end if;
                end if;
                -- The id exists: the identifier was bound meanwhile, or its holder is free, or it is another's.
                exit when provided is not null and exists (
                        select
                        from peer.provided_identity as p
                        where p.account = acct
                            and p.provided_visitor_id = provided
                    )
                    or provided is null and exists (
                        select
                        from peer.channel_identity as c
                        where c.account = acct
                            and c.channel_user_id = channel_user
                            and c.channel_type = channel
                            and c.channel_id = channel_scope
                    );
                select v.superseded_by is null and not v.forgotten and not v.identified and v.claimed_by is null as is_free
                into holder
                from peer.visitor as v
                where v.account = acct
                    and v.visitor_id = target
                for update;
                continue when not holder.is_free
                    or exists (
                        select
                        from peer.provided_identity as p
                        where p.account = acct
                            and p.visitor_id = target
                    )
                    or exists (
                        select
                        from peer.channel_identity as c
                        where c.account = acct
                            and c.visitor_id = target
                    );
                if provided is not null then
                    insert into peer.provided_identity (account, provided_visitor_id, visitor_id)
                    values (acct, provided, target)
                    on conflict do nothing;
                    bound := found;
                    if bound then
                        update peer.visitor as v
                        set identified = true
                        where v.account = acct
                            and v.visitor_id = target;
                    end if;
                else
                    insert into peer.channel_identity (account, channel_type, channel_id, channel_user_id, visitor_id)
                    values (acct, channel, channel_scope, channel_user, target)
                    on conflict do nothing;
                    bound := found;
                end if;
                exit;
            end loop;
            continue when not bound;
        end if;
        if provided is null then
            return target;
        end if;

        -- 7. The channel id of the request, then the visitors that were met.
        if channel is not null then
            if c_visitor is null then
                perform
                from peer.visitor as v
                where v.account = acct
                    and v.visitor_id = target
                for key share;
                insert into peer.channel_identity (account, channel_type, channel_id, channel_user_id, visitor_id)
                values (acct, channel, channel_scope, channel_user, target)
                on conflict do nothing;
                continue when not found;
            elsif c_visitor <> target and c_visitor <> all (absorbed || claimed) then
                update peer.channel_identity as c
                set visitor_id = target
                where c.account = acct
                    and c.channel_user_id = channel_user
                    and c.channel_type = channel
                    and c.channel_id = channel_scope
                    and c.visitor_id = c_visitor;
                continue when not found;
                insert into peer.former_channel_identity (account, channel_type, channel_id, channel_user_id, visitor_id)
                values (acct, channel, channel_scope, channel_user, c_visitor)
                on conflict do nothing;
            end if;
        end if;
        if cardinality(met) = 0 then
            return target;
        end if;
        for candidate in
            select a.visitor_id
            from unnest(absorbed) as a (visitor_id)
            where a.visitor_id <> target
        loop
            perform peer.absorb(acct, candidate.visitor_id, target, 'resolve_visitor');
        end loop;
        for candidate in
            select c.visitor_id
            from unnest(claimed) as c (visitor_id)
            where c.visitor_id <> target
        loop
            update peer.visitor as v
            set claimed_by = target
            where v.account = acct
                and v.visitor_id = candidate.visitor_id
                and v.superseded_by is null
                and not v.identified
                and not v.forgotten
                and v.claimed_by is null;
            if found then
                with moved as (
                    update peer.channel_identity as c
                    set visitor_id = target
                    where c.account = acct
                        and c.visitor_id = candidate.visitor_id
                    returning c.account, c.channel_type, c.channel_id, c.channel_user_id
                )
                insert into peer.former_channel_identity
                    (account, channel_type, channel_id, channel_user_id, visitor_id)
                select m.account, m.channel_type, m.channel_id, m.channel_user_id, candidate.visitor_id
                from moved as m
                on conflict do nothing;
            end if;
        end loop;
        return target;
    end loop;
end
$$;

-- The chats that the peer moves; bench/load.sql fills them. The table is also the unattached twin of chat.chat.
create table peer.chat (like chat.chat including all);
