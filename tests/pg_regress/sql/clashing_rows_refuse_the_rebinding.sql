-- on_clash => 'refuse': where rows of both visitors have the same unique key, the rebinding is refused, not the login: the visitor
-- stays with everything he has, claimed by this provided id.
create schema clashing_rows_refuse;
set search_path = clashing_rows_refuse;
insert into visitor_identity.account (account) values ('clash_refuse');
set visitor_identity.account = 'clash_refuse';
create function who(id uuid)
returns text
language sql
as $$
    select case
        when id = visitor_identity.find_visitor('C-1') then 'C'
        when id = visitor_identity.find_visitor('C-2') then 'D'
        when id::text like '7ab1e5%' then upper(right(id::text, 1))
        else 'another'
    end
    where id is not null
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
create table chat (chat_id integer primary key, visitor_id uuid, provided_visitor_id text);
create index on chat (visitor_id);
create table mention (mention_id integer primary key, ticket integer, visitor_id uuid, unique (visitor_id, ticket));
create table note (note_id integer primary key, visitor_id uuid);
create index on note (visitor_id);
select visitor_identity.attach_chat_table('chat'), visitor_identity.attach_visitor_table('mention'), visitor_identity.attach_visitor_table('note');
select visitor_identity.resolve_visitor('C-1') as c \gset
insert into chat values (1, '7ab1e500-0000-4000-8000-00000000000a'), (2, '7ab1e500-0000-4000-8000-00000000000b');
insert into note values (1, '7ab1e500-0000-4000-8000-00000000000a');
insert into mention values (1, 1, :'c'), (2, 1, '7ab1e500-0000-4000-8000-00000000000a'), (3, 2, '7ab1e500-0000-4000-8000-00000000000a'), (4, 2, '7ab1e500-0000-4000-8000-00000000000b');
create view rows as
select 'chat' as kind, chat_id as id, who(visitor_id) as visitor from chat
union all
select 'mention', mention_id, who(visitor_id) from mention
union all
select 'note', note_id, who(visitor_id) from note
order by 1, 2;
select topic, finding
from visitor_identity.explain_resolution('C-1', visitor_id => '7ab1e500-0000-4000-8000-00000000000a')
where topic in ('met', 'table', 'outcome', 'notes');
-- Logged in, with a channel too; nothing moves.
select outcome, previous_visitor_ids, rebind_ids, rebound_chats, notes
from visitor_identity.resolve_visitor_detail('C-1', 'telegram', '67854257', '7ab1e500-0000-4000-8000-00000000000a');
table rows;
select who(visitor_id) as visitor, who(superseded_by) as superseded_by, who(claimed_by) as claimed_by
from visitor_identity.visitor where account = 'clash_refuse' order by 1;
select who(visitor_identity.find_visitor(channel_type => 'telegram', channel_user_id => '67854257')) as by_channel;
-- Again: the same answer, and nothing is written.
begin read only;
select outcome, notes from visitor_identity.resolve_visitor_detail('C-1', visitor_id => '7ab1e500-0000-4000-8000-00000000000a');
commit;
-- By a chat: that row alone moves.
update chat set provided_visitor_id = 'C-1' where chat_id = 1;
table rows;
select kind, who(from_visitor_id) as former, who(to_visitor_id) as visitor, rebound_chats from visitor_identity.rebind where account = 'clash_refuse';
-- A visitor whose rows do not clash is absorbed, in the same call.
select outcome, rebound_chats, notes from visitor_identity.resolve_visitor_detail('C-1', visitor_id => '7ab1e500-0000-4000-8000-00000000000b');
table rows;
-- An order is refused, and says why. Nothing changed.
\x
select * from refusal($$select visitor_identity.merge_visitors('7ab1e500-0000-4000-8000-00000000000a', visitor_identity.find_visitor('C-1'))$$);
\x
table rows;
select problem from visitor_identity.check_integrity() where account = 'clash_refuse';
-- The DBA removes what clashes: the next login absorbs the visitor.
delete from mention where mention_id in (1, 4);
select outcome, rebound_chats, notes from visitor_identity.resolve_visitor_detail('C-1', visitor_id => '7ab1e500-0000-4000-8000-00000000000a');
table rows;
-- A target that is new, and whose computed id has rows already.
update visitor_identity.account set derivation = 'md5' where account = 'clash_refuse';
insert into mention values (11, 11, visitor_identity.derive_visitor_id('C-2')), (12, 11, '7ab1e500-0000-4000-8000-00000000000d');
select outcome, notes from visitor_identity.resolve_visitor_detail('C-2', visitor_id => '7ab1e500-0000-4000-8000-00000000000d');
select mention_id, visitor_id = '7ab1e500-0000-4000-8000-00000000000d' as stayed from mention where ticket = 11 order by 1;
select problem from visitor_identity.check_integrity() where account = 'clash_refuse';
set client_min_messages = warning;
select visitor_identity.detach_table(t.attached)::text as detached
from visitor_identity.attached_table as t
where t.fixed_account = 'clash_refuse';
drop schema clashing_rows_refuse cascade;
