-- A DBA adds a channel by INSERT with a regular expression that the whole id must match; no restart, no new release.
create schema channel_added_by_dba;
set search_path = channel_added_by_dba;
create table letter (
    visitor_id uuid primary key,
    name text not null
);
-- A visitor gets its letter at first sight; who() says it again.
create function named(wanted text, id uuid)
returns text
language plpgsql
as $$
begin
    insert into letter
    values (id, wanted)
    on conflict do nothing;
    return (select l.name from letter as l where l.visitor_id = id);
end
$$;
create function who(id uuid)
returns text
language sql
as $$
    select coalesce((select l.name from letter as l where l.visitor_id = id), 'another', null)
    where id is not null
$$;
-- resolve_visitor_detail, with letters for the visitors and counts for the rebindings.
create function seen(
    wanted text,
    provided_visitor_id text default null,
    channel_type text default null,
    channel_user_id text default null,
    visitor_id uuid default null,
    channel_id text default '',
    account text default 'channel_added_by_dba'
)
returns table (
    visitor text,
    outcome text,
    basis text,
    absorbed text,
    rebindings bigint,
    chats bigint,
    notes text
)
language sql
as $$
    select
        named(wanted, d.visitor_id),
        d.outcome,
        d.basis,
        (select string_agg(who(p), ', ' order by n) from unnest(d.previous_visitor_ids) with ordinality as u (p, n)),
        cardinality(d.rebind_ids),
        d.rebound_chats,
        array_to_string(d.notes, ', ')
    from visitor_identity.resolve_visitor_detail(
        seen.provided_visitor_id, seen.channel_type, seen.channel_user_id,
        seen.visitor_id, seen.channel_id, seen.account
    ) as d
$$;
-- What a statement is refused with.
create function refusal(statement text)
returns table (state text, message text, detail text, hint text)
language plpgsql
as $$
begin
    execute statement;
    state := 'none';
    return next;
exception when others then
    get stacked diagnostics
        state = returned_sqlstate,
        message = message_text,
        detail = pg_exception_detail,
        hint = pg_exception_hint;
    return next;
end
$$;
insert into visitor_identity.account (account) values ('channel_added_by_dba');
create table chat (
    chat_id integer primary key,
    visitor_id uuid,
    origin_visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_id text,
    channel_user_id text,
    opened_at timestamptz,
    closed_at timestamptz
);
create index on chat (visitor_id);
create index on chat (channel_user_id);
select visitor_identity.attach_chat_table('chat', fixed_account => 'channel_added_by_dba');
create view chats as
select
    c.chat_id,
    who(c.visitor_id) as visitor,
    who(c.origin_visitor_id) as origin,
    c.provided_visitor_id as provided
from chat as c
order by c.chat_id;
create table channels_before as
select *
from visitor_identity.channel;
insert into visitor_identity.channel (channel_type, pattern)
values ('vi_orders', 'O-[0-9]+'), ('vi_either', 'a|bc'), ('vi_anything', '.*');
select
    p.channel_type,
    p.id,
    visitor_identity.check_channel_user_id(p.channel_type, p.id) as checked
from (
    values
        ('vi_orders', 'O-1'), ('vi_orders', 'o-1'), ('vi_orders', 'xO-1'), ('vi_orders', 'O-1x'), ('vi_orders', E'O-1\n'), ('vi_orders', ''),
        ('vi_either', 'a'), ('vi_either', 'bc'), ('vi_either', 'abc'), ('vi_either', 'xa'),
        ('vi_anything', 'whatever it is')
) as p (channel_type, id);
-- The immutable form knows the built-in ones only, and says what to use.
\x
select * from refusal($$select visitor_identity.is_channel_user_id('vi_orders', 'O-1')$$);
select * from refusal($$select visitor_identity.resolve_visitor(channel_type => 'vi_orders', channel_user_id => '1', account => 'channel_added_by_dba')$$);
\x
-- It resolves, binds, authorizes and is searched as the others are.
select * from seen('O', channel_type => 'vi_orders', channel_user_id => ' O-1 ');
insert into chat (chat_id, channel_type, channel_user_id, opened_at, closed_at)
values (1, 'vi_orders', 'O-1', '2024-05-01', '2024-05-02'), (2, 'vi_orders', 'not an order', '2024-05-01', '2024-05-02');
select * from seen('C', 'C-1', 'vi_orders', 'O-1');
table chats;
select chat_key, matched_by
from visitor_identity.search_history('O-1', account => 'channel_added_by_dba');
-- The account's profile: any takes whatever is there.
update visitor_identity.account
set channel_format = 'any'
where account = 'channel_added_by_dba';
select * from seen('Any', channel_type => 'vi_orders', channel_user_id => 'not an order');
-- A changed pattern counts from the next call on; a removed channel is unknown.
update visitor_identity.channel
set pattern = 'P-[0-9]+'
where channel_type = 'vi_orders';
select visitor_identity.check_channel_user_id('vi_orders', 'P-1') as new_pattern, visitor_identity.check_channel_user_id('vi_orders', 'O-1') as old_pattern;
delete from visitor_identity.channel
where channel_type = 'vi_orders';
select state, message from refusal($$select visitor_identity.check_channel_user_id('vi_orders', 'P-1')$$);

-- A pattern that could not be run is refused when it is added, not at a customer's message.
select s.pattern, r.state
from (values ('('), ('a{2,1}'), ('(?i)o-[0-9]+'), ('***=x.y'), (null)) as s (pattern)
cross join lateral refusal(
    format('insert into visitor_identity.channel (channel_type, pattern) values (%L, %L)', 'vi_bad', s.pattern)
) as r;
insert into chat (chat_id, channel_type, channel_user_id)
values (3, 'vi_bad', 'O-1');
select s.name, r.state
from (values ('Upper'), ('with blank'), (''), ('0x'), (repeat('x', 64)), ('telegram')) as s (name)
cross join lateral refusal(
    format('insert into visitor_identity.channel (channel_type, pattern) values (%L, %L)', s.name, 'x')
) as r;
delete from visitor_identity.channel
where channel_type like 'vi\_%';
table visitor_identity.channel
except
table channels_before;
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema channel_added_by_dba cascade;
