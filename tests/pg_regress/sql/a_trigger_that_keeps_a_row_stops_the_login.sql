-- A trigger of the application that keeps a chat from being rebound stops the login with 55000: nothing is superseded, nothing is
-- logged, no chat is left behind. Without an end it does not run either. Keeps finding 7 of the review.
create schema kept_row;
set search_path = kept_row;
set statement_timeout = '30s';
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
insert into visitor_identity.account (account) values ('kept_row');
create table chat (
    chat_id integer primary key,
    visitor_id uuid,
    provided_visitor_id text,
    protected boolean default false
);
create index on chat (visitor_id);
select visitor_identity.attach_chat_table('chat', fixed_account => 'kept_row');
create table other_chat (chat_id integer primary key, visitor_id uuid);
create index on other_chat (visitor_id);
select visitor_identity.attach_chat_table('other_chat', fixed_account => 'kept_row');
insert into chat (chat_id, visitor_id, protected)
values (1, '40000000-0000-4000-8000-000000000001', false), (2, '40000000-0000-4000-8000-000000000001', true), (3, '40000000-0000-4000-8000-000000000001', false), (4, '40000000-0000-4000-8000-000000000001', false);
insert into other_chat (chat_id, visitor_id)
values (1, '40000000-0000-4000-8000-000000000001');
-- All that a login may change.
create view state as
select
    (select string_agg(c.chat_id || case when c.visitor_id = c.origin_visitor_id then '' else ' rebound' end, ', ' order by c.chat_id) from chat as c) as chats,
    (select count(*) from other_chat as o where o.visitor_id <> o.origin_visitor_id) as others_rebound,
    (select count(*) from visitor_identity.visitor as v where v.account = 'kept_row') as visitors,
    (select count(*) from visitor_identity.visitor as v where v.account = 'kept_row' and v.superseded_by is not null) as superseded,
    (select count(*) from visitor_identity.provided_identity as p where p.account = 'kept_row') as provided,
    (select count(*) from visitor_identity.rebind as r where r.account = 'kept_row') as logged,
    (select count(*) from visitor_identity.pending_rebind as r where r.account = 'kept_row') as owed;
create function keep()
returns trigger
language plpgsql
as $$
begin
    if old.protected then
        if tg_argv[0] = 'value' then
            new.visitor_id := old.visitor_id;
        elsif tg_argv[0] = 'row' then
            return null;
        else
            new.visitor_id := tg_argv[0];
        end if;
    end if;
    return new;
end
$$;
table state;
\x
-- It writes the old value back, after the extension's trigger and before it.
create trigger z_keep before update on chat for each row execute function keep('value');
select * from refusal($$select visitor_identity.resolve_visitor('C-1', visitor_id => '40000000-0000-4000-8000-000000000001', account => 'kept_row')$$);
select state, message from refusal($$update chat set provided_visitor_id = 'C-1' where chat_id = 1$$);
select state, message from refusal($$insert into chat (chat_id, visitor_id, provided_visitor_id) values (5, '40000000-0000-4000-8000-000000000001', 'C-1')$$);
alter trigger z_keep on chat rename to a_keep;
select state, message from refusal($$select visitor_identity.resolve_visitor('C-1', visitor_id => '40000000-0000-4000-8000-000000000001', account => 'kept_row')$$);
select state, message from refusal($$update chat set provided_visitor_id = 'C-1' where chat_id = 1$$);
drop trigger a_keep on chat;
-- It drops the row from the statement.
create trigger z_keep before update on chat for each row execute function keep('row');
select state, message from refusal($$select visitor_identity.resolve_visitor('C-1', visitor_id => '40000000-0000-4000-8000-000000000001', account => 'kept_row')$$);
select state, message from refusal($$update chat set provided_visitor_id = 'C-1' where chat_id = 1$$);
select state, message from refusal($$insert into chat (chat_id, visitor_id, provided_visitor_id) values (5, '40000000-0000-4000-8000-000000000001', 'C-1')$$);
alter trigger z_keep on chat rename to a_keep;
select state, message from refusal($$select visitor_identity.resolve_visitor('C-1', visitor_id => '40000000-0000-4000-8000-000000000001', account => 'kept_row')$$);
drop trigger a_keep on chat;
-- It sends the row to a third visitor.
create trigger z_keep before update on chat for each row execute function keep('40000000-0000-4000-8000-000000000009');
select state, message from refusal($$select visitor_identity.resolve_visitor('C-1', visitor_id => '40000000-0000-4000-8000-000000000001', account => 'kept_row')$$);
drop trigger z_keep on chat;
-- A rule instead of a trigger.
create rule keep as on update to chat where old.protected do instead nothing;
select state, message from refusal($$select visitor_identity.resolve_visitor('C-1', visitor_id => '40000000-0000-4000-8000-000000000001', account => 'kept_row')$$);
drop rule keep on chat;
\x
table state;
-- The row that is authorized itself and whose UPDATE is dropped: nothing happens to the others, as if it had not been written.
create trigger z_keep before update on chat for each row execute function keep('row');
update chat
set provided_visitor_id = 'C-2'
where chat_id = 2;
drop trigger z_keep on chat;
select chats, superseded, logged, owed from state;
-- Without the trigger the same login goes through, and it is whole.
select outcome, rebound_chats
from visitor_identity.resolve_visitor_detail('C-1', visitor_id => '40000000-0000-4000-8000-000000000001', account => 'kept_row');
select chats, others_rebound, superseded, logged, owed from state;
-- An undo whose rows are kept says so too, or leaves them alone and counts them so; none is put back in the books only.
create trigger z_keep before update on chat for each row execute function keep('value');
do $$
declare
    done bigint;
begin
    select sum(u.put_back)
    into done
    from visitor_identity.rebind as r
    cross join lateral visitor_identity.undo_rebind(r.rebind_id, r.account) as u
    where r.account = 'kept_row'
        and r.kind = 'visitor'
        and r.undone_at is null;
    if done <> (select count(*) from kept_row.chat as c where c.visitor_id = c.origin_visitor_id) + (select count(*) from kept_row.other_chat as c where c.visitor_id = c.origin_visitor_id) then
        raise warning 'the undo counted a row that it did not put back';
    end if;
exception when object_not_in_prerequisite_state then
    null;
end
$$;
drop trigger z_keep on chat;
select problem, chat_table, chat_key
from visitor_identity.check_integrity()
where account = 'kept_row';
drop view state;
select visitor_identity.detach_table('chat');
select visitor_identity.detach_table('other_chat');
set client_min_messages = warning;
drop schema kept_row cascade;
