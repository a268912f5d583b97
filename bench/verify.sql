-- Holds the answers of the PL/pgSQL peer against the extension's, so that both are measured doing the same work: a few
-- thousand random requests over small pools of good, odd and bad identifiers, in accounts of every policy, with chats
-- that move. Every answer, every SQLSTATE and the tables in the end must be equal; random ids are equal when both
-- sides made a new one at the same request. Runs in a database of its own; bench/plpgsql_peer.sql is loaded.

\set ON_ERROR_STOP on
\set QUIET on
set client_min_messages = warning;

create schema verify;

-- One row a visitor: what it is called on either side.
create table verify.visitor (
    account text not null,
    extension_id uuid not null,
    peer_id uuid not null,
    primary key (account, extension_id),
    unique (account, peer_id)
);
create table verify.mismatch (request text, extension_answer text, peer_answer text);
create table verify.answer (answer text);

insert into visitor_identity.account
    (account, namespace, derivation, on_authorization, channel_format, require_signature, identified_cookie, max_rebinds, max_rebind_chats)
select 'a' || row_number() over (), md5(row_number() over ()::text)::uuid, d, o, f, false, i, r, c
from unnest(array['uuid_v5', 'md5']) as d
cross join unnest(array['rebind', 'keep']) as o
cross join unnest(array['platform', 'documented', 'any']) as f
cross join unnest(array['auto', 'accept', 'ignore']) as i
cross join (values (1000, 10000), (2, 10000), (1000, 3)) as l (r, c);
insert into visitor_identity.account (account, require_signature)
values ('signed', true);
insert into visitor_identity.channel (channel_type, pattern)
values ('orders', 'O-[0-9]+|X');
insert into visitor_identity.blocked_identifier (account, identifier)
select a.account, b.identifier
from visitor_identity.account as a
cross join unnest(array['blocked-1', '10435685470', 'гость']) as b (identifier)
where hashtext(a.account) % 2 = 0;

insert into peer.account
select *
from visitor_identity.account
on conflict do nothing;
insert into peer.channel
select *
from visitor_identity.channel
on conflict do nothing;
insert into peer.blocked_identifier
select *
from visitor_identity.blocked_identifier;

create function verify.any_of(pool text[])
returns text
language sql volatile
return pool[1 + floor(random() * cardinality(pool))::integer];

create function verify.answer_of(
    resolver text, provided text, channel_type text, channel_user text, cookie uuid, channel_id text, account text
)
returns text
language plpgsql
as $$
declare
    answer text;
begin
    execute format('select %s.resolve_visitor($1, $2, $3, $4, $5, $6)', resolver)
    into answer
    using provided, channel_type, channel_user, cookie, channel_id, account;
    return answer;
exception
    when others then
        return sqlstate;
end
$$;

create procedure verify.run(requests integer)
language plpgsql
as $$
<<this>>
declare
    provided text;
    channel_type text;
    channel_user text;
    channel_id text;
    account text;
    cookie verify.visitor;
    from_extension text;
    from_peer text;
    known verify.visitor;
    unlucky verify.visitor;
    chat_count integer;
    is_id constant text := '^[0-9a-f]{8}-';
begin
    perform setseed(0.5);
    -- The chats of this check are put in place by hand.
    set local session_replication_role = replica;
    for request in 1..requests loop
        if request % 12 = 1 then
            select a.account
            into account
            from visitor_identity.account as a
            order by random()
            limit 1;
        end if;
        provided := case
            when random() < 0.4 then 'C-' || floor(random() * 12)
            when random() < 0.35 then verify.any_of(array[
                ' C-1 ', U&'\00a0C-2\200b', U&'\feffC-3', '"C-4"', 'null', 'NULL', '"null"', '''Undefined''', '0', '0-0', '0.0',
                '000', '-1', '--', '[object Object]', '(none)', '( null )', '<>', '{{user.id}}', '${x}', '<%= id %>', '%USER_ID%',
                '50%off', '%20x%', '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff',
                'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF', 'ffff', 'f', '0x1', '007', '«гость»', 'Гость', 'blocked-1', ' "Blocked-1"',
                'клиент-7', repeat('x', 512), repeat('x', 513), E'a\u0001b', U&'a\0085b', E'tab\tinside', 'guest', 'Guest user',
                '', ' ', '“None”', '\"id\"', '''"undefined"''', '"', 'na', 'test', '1e5', 'NaN', '-Infinity', '0123', '+', '.'
            ])
        end;
        channel_type := null;
        channel_user := null;
        channel_id := '';
        if random() < 0.45 then
            channel_type := verify.any_of(array['telegram', 'telegram', 'whatsapp', 'whatsapp', 'facebook', 'viber', 'orders']);
            channel_user := case channel_type
                when 'telegram' then (67854250 + floor(random() * 8))::text
                when 'whatsapp' then verify.any_of(array['+1 (043) 568-547', '1043568547', 'tel:+1-043-568-547', '001 043 568 547'])
                    || floor(random() * 4)
                when 'facebook' then (103458712527650 + floor(random() * 6))::text
                when 'viber' then '5dfjdg5lfg8dGjg0DF95+h==' || floor(random() * 4)
                else 'O-' || floor(random() * 4)
            end;
            channel_id := verify.any_of(array['', '', '', 'page-1', ' page-1 ', '0', null]);
        elsif random() < 0.25 then
            channel_type := verify.any_of(array[
                'telegram', 'viber', 'whatsapp', 'facebook', 'instagram', 'vk', 'ok', 'apple', 'line', 'wechat', 'email', 'sms',
                'skype', 'max', 'orders', 'fax', ' telegram ', '', null
            ]);
            channel_user := verify.any_of(array[
                '678542571', '4503599627370495', '4503599627370496', '0', '012345678', '-5', 'x y', 'abc', '12345678901234567890',
                '123456789012345678901', 'US.1349', 'US.ENT.abc1', 'us.1', '+7 (999) 123-45-67', '00 7 999 123 45 67', '+0 0 0', '++1',
                'whatsapp:+491701234567', '123456', '1234567890123456', 'John.Smith@Example.COM', 'a@b', 'a..b@c.d', 'x@xn--80ak6aa92e.com',
                'live:.cid.1', 'urn:mbid:AQ/+==', 'urn:mbid:', 'U0123456789abcdef0123456789abcdef', 'oABC_-1', 'chat:C3ecb9d02a600',
                '9223372036854775807', '9223372036854775808', '-9223372036854775808', 'O-7', 'X', 'XX', 'null', '', 'blocked-1',
                repeat('7', 513), null
            ]);
        end if;
        select v.*
        into cookie
        from verify.visitor as v
        where v.account = this.account
        order by random()
        limit 1;
        if random() < 0.35 then
            cookie := null;
        elsif random() < 0.1 then
            cookie.extension_id := verify.any_of(array[
                '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'deadbeef-0000-4000-8000-000000000000'
            ])::uuid;
            cookie.peer_id := cookie.extension_id;
        end if;

        from_extension := verify.answer_of(
            'visitor_identity', provided, channel_type, channel_user, cookie.extension_id, channel_id, account);
        from_peer := verify.answer_of('peer', provided, channel_type, channel_user, cookie.peer_id, channel_id, account);

        if from_extension ~ is_id and from_peer ~ is_id then
            select v.*
            into known
            from verify.visitor as v
            where v.account = this.account
                and (v.extension_id = from_extension::uuid or v.peer_id = from_peer::uuid);
            if not found then
                insert into verify.visitor
                values (account, from_extension::uuid, from_peer::uuid)
                returning *
                into known;
            end if;
        end if;
        insert into verify.answer
        values (case when from_extension ~ is_id then 'a visitor_id' else 'SQLSTATE ' || from_extension end);
        if (from_extension ~ is_id) is distinct from (from_peer ~ is_id)
            or from_extension !~ is_id and from_extension <> from_peer
            or from_extension ~ is_id and (known.extension_id::text, known.peer_id::text) is distinct from (from_extension, from_peer)
        then
            insert into verify.mismatch
            values (
                format(
                    'account %s: provided %L, channel %L %L %L, cookie %s',
                    account, provided, channel_type, channel_user, channel_id, cookie.extension_id
                ),
                from_extension,
                from_peer
            );
        elsif from_extension ~ is_id then
            -- The visitor writes.
            chat_count := floor(random() * 3);
            insert into chat.chat (account, visitor_id, origin_visitor_id)
            select account, known.extension_id, known.extension_id
            from generate_series(1, chat_count);
            insert into peer.chat (account, visitor_id, origin_visitor_id)
            select account, known.peer_id, known.peer_id
            from generate_series(1, chat_count);
            -- A rebinding that was undone, and one that is still owed.
            if random() < 0.1 then
                select v.*
                into unlucky
                from verify.visitor as v
                join visitor_identity.visitor as u on u.account = v.account and u.visitor_id = v.extension_id
                where v.account = this.account
                    and not u.identified
                    and u.superseded_by is null
                    and exists (
                        select
                        from visitor_identity.visitor as i
                        where i.account = v.account
                            and i.visitor_id = known.extension_id
                            and i.identified
                    )
                order by random()
                limit 1;
                if found and random() < 0.5 then
                    insert into visitor_identity.rebind (account, kind, from_visitor_id, to_visitor_id, rebound_chats, reason, undone_at)
                    values (account, 'visitor', unlucky.extension_id, known.extension_id, 0, 'resolve_visitor', now());
                    insert into peer.rebind (account, kind, from_visitor_id, to_visitor_id, rebound_chats, reason, undone_at)
                    values (account, 'visitor', unlucky.peer_id, known.peer_id, 0, 'resolve_visitor', now());
                elsif found then
                    insert into visitor_identity.pending_rebind (account, visitor_id, to_visitor_id)
                    values (account, unlucky.extension_id, known.extension_id);
                    insert into peer.pending_rebind (account, visitor_id, to_visitor_id)
                    values (account, unlucky.peer_id, known.peer_id);
                end if;
            end if;
        end if;
    end loop;
end
$$;

call verify.run(:requests);

-- The tables, with the peer's visitors under the extension's names.
create function verify.named(account text, peer_id uuid)
returns uuid
language sql stable
return (
    select v.extension_id
    from verify.visitor as v
    where v.account = named.account
        and v.peer_id = named.peer_id
);

create view verify.state as
select 'extension' as side, 'visitor ' || concat_ws(' ', account, visitor_id, superseded_by, claimed_by, identified) as line
from visitor_identity.visitor
union all
select 'peer', 'visitor ' || concat_ws(
    ' ', account, verify.named(account, visitor_id), verify.named(account, superseded_by), verify.named(account, claimed_by), identified)
from peer.visitor
union all
select 'extension', concat_ws(' ', 'provided', account, provided_visitor_id, visitor_id)
from visitor_identity.provided_identity
union all
select 'peer', concat_ws(' ', 'provided', account, provided_visitor_id, verify.named(account, visitor_id))
from peer.provided_identity
union all
select 'extension', concat_ws(' ', 'channel', account, channel_type, channel_id, channel_user_id, visitor_id)
from visitor_identity.channel_identity
union all
select 'peer', concat_ws(' ', 'channel', account, channel_type, channel_id, channel_user_id, verify.named(account, visitor_id))
from peer.channel_identity
union all
select 'extension', concat_ws(' ', 'former', account, channel_type, channel_id, channel_user_id, visitor_id)
from visitor_identity.former_channel_identity
union all
select 'peer', concat_ws(' ', 'former', account, channel_type, channel_id, channel_user_id, verify.named(account, visitor_id))
from peer.former_channel_identity
union all
select 'extension', concat_ws(' ', 'rebind', account, from_visitor_id, to_visitor_id, rebound_chats, undone_at is not null)
from visitor_identity.rebind
union all
select 'peer', concat_ws(
    ' ', 'rebind', account, verify.named(account, from_visitor_id), verify.named(account, to_visitor_id), rebound_chats, undone_at is not null)
from peer.rebind
union all
select 'extension', concat_ws(' ', 'chat', account, chat_id, visitor_id, origin_visitor_id)
from chat.chat
union all
select 'peer', concat_ws(' ', 'chat', account, chat_id, verify.named(account, visitor_id), verify.named(account, origin_visitor_id))
from peer.chat;

insert into verify.mismatch
select line, max(side) filter (where side = 'extension'), max(side) filter (where side = 'peer')
from verify.state
group by line
having count(*) filter (where side = 'extension') <> count(*) filter (where side = 'peer');

select count(*) > 0 as differ
from verify.mismatch
\gset
\if :differ
select *
from verify.mismatch
limit 20;
do $$
begin
    raise exception 'the peer does not do what the extension does';
end
$$;
\endif

select format(
    'the peer answers as the extension does: %s requests (%s), %s rebindings, %s lines of state equal',
    (
        select count(*)
        from verify.answer
    ),
    (
        select string_agg(format('%s %s', n, answer), ', ' order by n desc)
        from (
            select answer, count(*) as n
            from verify.answer
            group by answer
        ) as counted
    ),
    (
        select count(*)
        from visitor_identity.rebind
    ),
    (
        select count(*)
        from verify.state
        where side = 'extension'
    )
) as verified
\gset
\echo :verified
