-- ROLLBACK TO, and a block of PL/pgSQL that catches an error, take back all that a function did, and the memory of the backend too: the
-- transaction goes on as if it had never been called.
create schema savepoints;
set search_path = savepoints;
insert into visitor_identity.account (account) values ('savepoints');
set visitor_identity.account = 'savepoints';
create table chat (
    chat_id integer primary key,
    account text,
    visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_user_id text
);
create index on chat (visitor_id);
create index on chat (channel_user_id);
select visitor_identity.attach_chat_table('chat');
insert into chat (chat_id, visitor_id)
select n, format('40000000-0000-4000-8000-00000000000%s', (n + 1) / 2)::uuid
from generate_series(1, 12) as n;
create view who as
select c.chat_id, coalesce(p.provided_visitor_id, 'V' || right(c.visitor_id::text, 1)) as visitor
from chat as c
left join visitor_identity.provided_identity as p using (account, visitor_id)
order by c.chat_id;
create view summary as
select string_agg(w.chat_id || ':' || w.visitor, ' ' order by w.chat_id) as chats from who as w;
-- Runs a statement, and takes it back.
create function taken_back(statement text)
returns text
language plpgsql
as $$
begin
    execute statement;
    raise exception using errcode = 'VI000';
exception when sqlstate 'VI000' then
    return 'done and taken back';
end
$$;
-- A login by a call, by a row, by a new row, on a channel; then another person logs in with the same cookie.
begin;
savepoint a;
select rebound_chats from visitor_identity.resolve_visitor_detail('A', visitor_id => '40000000-0000-4000-8000-000000000001');
rollback to a;
select rebound_chats from visitor_identity.resolve_visitor_detail('B', visitor_id => '40000000-0000-4000-8000-000000000001');
savepoint b;
update chat set provided_visitor_id = 'A' where chat_id = 3;
insert into chat (chat_id, visitor_id, provided_visitor_id) values (13, '40000000-0000-4000-8000-000000000003', 'A');
table summary;
rollback to b;
table summary;
update chat set provided_visitor_id = 'B' where chat_id = 3;
insert into chat (chat_id, visitor_id, provided_visitor_id) values (13, '40000000-0000-4000-8000-000000000003', 'D');
table summary;
commit;
table summary;
-- A row that was decided and not written, inside a savepoint; then a row of its key.
begin;
savepoint a;
insert into chat (chat_id, visitor_id, provided_visitor_id) values (7, '40000000-0000-4000-8000-000000000004', 'E') on conflict do nothing;
rollback to a;
update chat set channel_type = null where chat_id = 7;
commit;
table summary;
-- Every operation: taken back, it has done nothing; then it is done.
create table operation (n integer, statement text);
insert into operation
values
    (1, $$select visitor_identity.resolve_visitor('F', 'telegram', '67854257', '40000000-0000-4000-8000-000000000004')$$),
    (2, $$select count(*) from visitor_identity.resolve_visitors(array['G', 'G', 'H'], visitor_ids => array['40000000-0000-4000-8000-000000000005', null, '40000000-0000-4000-8000-000000000006']::uuid[])$$),
    (3, $$select visitor_identity.register_device(visitor_identity.find_visitor('F'), 'shop', 'c0000000-0000-4000-8000-000000000001', 'fcm', 'token')$$),
    (4, $$select visitor_identity.rename_channel_user('telegram', '67854257', '67854258')$$),
    (5, $$select visitor_identity.merge_visitors(visitor_identity.find_visitor('G'), visitor_identity.find_visitor('F'))$$),
    (6, $$select sum(u.put_back) from visitor_identity.rebind as r cross join lateral visitor_identity.undo_rebind(r.rebind_id) as u where r.account = 'savepoints' and r.kind = 'merge'$$),
    (7, $$select visitor_identity.unregister_device('shop', 'c0000000-0000-4000-8000-000000000001')$$),
    (8, $$select visitor_identity.add_signature_key('key', 'md5')$$),
    (9, $$select visitor_identity.authorize_visitor(jsonb_build_object('id', 'S', 'crc', md5('Skey')))$$),
    (10, $$select visitor_identity.detach_table('chat', keep_origin => true)$$),
    (11, $$select visitor_identity.attach_chat_table('chat')$$),
    (12, $$select visitor_identity.retire_signature_key(k.key_id) from visitor_identity.signature_key as k where k.account = 'savepoints'$$),
    (13, $$select visitor_identity.register_device(visitor_identity.find_visitor('F'), 'shop', 'c0000000-0000-4000-8000-000000000002', 'fcm', 'token 2')$$),
    (14, $$update visitor_identity.device set registered_at = registered_at - interval '2 years' where account = 'savepoints'$$),
    (15, $$select visitor_identity.prune_devices('1 year')$$),
    (16, $$select visitor_identity.attach_visitor_table('note')$$),
    (17, $$insert into note (note_id, account, visitor_id) values (1, 'savepoints', '40000000-0000-4000-8000-000000000001')$$),
    (18, $$select visitor_identity.attach_chat_table('old')$$),
    (19, $$select visitor_identity.backfill_begin('old')$$),
    (20, $$select * from visitor_identity.backfill_batch('old', 10)$$),
    (21, $$select count(*) from visitor_identity.forget_visitor(visitor_identity.find_visitor('F'), 'delete')$$),
    (22, $$select visitor_identity.create_chat_store('savepoints_store')$$);
create table note (
    note_id integer primary key,
    account text,
    visitor_id uuid
);
create index on note (visitor_id);
create table old (
    chat_id integer primary key,
    account text,
    visitor_id uuid,
    provided_visitor_id text
);
create index on old (visitor_id);
insert into old (chat_id, account, visitor_id, provided_visitor_id)
values (1, 'savepoints', '50000000-0000-4000-8000-000000000001', null), (2, 'savepoints', '50000000-0000-4000-8000-000000000001', 'K');
create function state()
returns text
language sql
as $$
    select md5(concat_ws(
        ' ',
        (select s.chats from savepoints.summary as s),
        (select string_agg(v::text, ' ' order by v.visitor_id) from visitor_identity.visitor as v where v.account = 'savepoints'),
        (select string_agg(p::text, ' ' order by p.provided_visitor_id) from visitor_identity.provided_identity as p where p.account = 'savepoints'),
        (select string_agg(c::text, ' ' order by c.channel_user_id) from visitor_identity.channel_identity as c where c.account = 'savepoints'),
        (select string_agg(d::text, ' ' order by d.device_id) from visitor_identity.device as d where d.account = 'savepoints'),
        (select string_agg(r::text, ' ' order by r.rebind_id) from visitor_identity.rebind as r where r.account = 'savepoints'),
        (select string_agg(f::text, ' ' order by f.visitor_id) from visitor_identity.visitor_fields as f where f.account = 'savepoints'),
        (select string_agg(k::text, ' ' order by k.key_id) from visitor_identity.signature_key as k where k.account = 'savepoints'),
        (select count(*) from visitor_identity.pending_rebind as b where b.account = 'savepoints'),
        (select string_agg(q::text, ' ' order by q.position) from visitor_identity.backfill_queue as q where q.attached = 'savepoints.old'::regclass),
        (select string_agg(n::text, ' ' order by n.note_id) from savepoints.note as n),
        (select string_agg(to_jsonb(o)::text, ' ' order by o.chat_id) from savepoints.old as o),
        (select string_agg(t::text, ' ' order by t.attached) from visitor_identity.attached_table as t)
    ))
$$;
do $$
declare
    o record;
    before text;
begin
    for o in select * from savepoints.operation order by n loop
        before := savepoints.state();
        perform savepoints.taken_back(o.statement);
        raise notice '%: % %', o.n,
            case when savepoints.state() = before then 'nothing is left of it' else 'SOMETHING IS LEFT' end,
            (select count(*) from visitor_identity.check_integrity() as i where i.account = 'savepoints');
        perform savepoints.taken_back(o.statement);
        execute o.statement;
        raise notice '%: % %', o.n,
            case when savepoints.state() = before then 'DID NOTHING' else 'done' end,
            (select count(*) from visitor_identity.check_integrity() as i where i.account = 'savepoints');
    end loop;
end
$$;
table summary;
select * from visitor_identity.check_integrity() where account = 'savepoints';
select count(*) as locks from pg_locks where locktype = 'advisory' and pid = pg_backend_pid();
select visitor_identity.detach_table('chat');
select visitor_identity.detach_table('old');
select visitor_identity.detach_table('note');
select visitor_identity.detach_table('savepoints_store.chat');
reset visitor_identity.account;
set client_min_messages = warning;
delete from visitor_identity.signature_key where account = 'savepoints';
drop schema savepoints_store cascade;
drop schema savepoints cascade;
