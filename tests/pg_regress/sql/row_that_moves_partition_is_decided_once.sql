-- The promise: an UPDATE that takes a chat to another partition does to its visitor what the same UPDATE does in a table
-- without partitions, and logs it: what was decided before the row left is not decided again where it arrives
-- (design section 4; notes on concurrency, section 1, "Partitioned tables").
create schema moving;
create table moving.plain (
    chat_id bigint,
    visitor_id uuid not null,
    origin_visitor_id uuid,
    provided_visitor_id text,
    state text not null default 'open',
    primary key (chat_id, state)
);
create index on moving.plain (visitor_id);
create table moving.parted (like moving.plain including defaults, primary key (chat_id, state)) partition by list (state);
create index on moving.parted (visitor_id);
create table moving.parted_open partition of moving.parted for values in ('open');
create table moving.parted_closed partition of moving.parted for values in ('closed');

insert into visitor_identity.account (account, namespace)
values ('plain', '11111111-1111-4111-8111-111111111111'), ('parted', '11111111-1111-4111-8111-111111111111');
do $$
begin
    perform visitor_identity.attach_chat_table('moving.plain', fixed_account => 'plain', closed_when => 'state = ''closed''');
    perform visitor_identity.attach_chat_table('moving.parted', fixed_account => 'parted', closed_when => 'state = ''closed''');
end
$$;

-- Who a visitor is, without the ids that are computed.
create function moving.name(account text, visitor_id uuid) returns text language sql stable as $$
    select coalesce(
        (select string_agg(p.provided_visitor_id, '+') from visitor_identity.provided_identity as p
            where p.account = $1 and p.visitor_id = $2),
        left($2::text, 1))
$$;
create view moving.result as
select 'plain' as account, chat_id, state, moving.name('plain', origin_visitor_id) as origin, moving.name('plain', visitor_id) as visitor
from moving.plain
union all
select 'parted', chat_id, state, moving.name('parted', origin_visitor_id), moving.name('parted', visitor_id)
from moving.parted;
create view moving.log as
select r.account, r.rebind_id, r.kind, moving.name(r.account, r.from_visitor_id) as from_visitor,
    moving.name(r.account, r.to_visitor_id) as to_visitor, r.rebound_chats,
    (select string_agg(k.key ->> 'chat_id', ' ' order by k.key ->> 'chat_id')
        from visitor_identity.rebind_row as w
        cross join jsonb_array_elements(w.keys) as k (key)
        where w.account = r.account and w.rebind_id = r.rebind_id and w.moved_table::text like 'moving.%') as chats
from visitor_identity.rebind as r
where r.account in ('plain', 'parted');

insert into moving.plain (chat_id, visitor_id, provided_visitor_id)
values
    (1, 'aaaaaaaa-0000-4000-8000-000000000001', null),
    (2, 'aaaaaaaa-0000-4000-8000-000000000001', null),
    (3, 'bbbbbbbb-0000-4000-8000-000000000001', null),
    (4, 'cccccccc-0000-4000-8000-000000000001', null),
    (5, 'dddddddd-0000-4000-8000-000000000001', null),
    (6, 'dddddddd-0000-4000-8000-000000000001', null),
    (7, null, 'P-7');
insert into moving.parted select * from moving.plain where chat_id < 7;
insert into moving.parted (chat_id, visitor_id, provided_visitor_id) values (7, null, 'P-7');

-- A login: the visitor's other chat follows.
update moving.plain set provided_visitor_id = 'P-1', state = 'closed' where chat_id = 1;
update moving.parted set provided_visitor_id = 'P-1', state = 'closed' where chat_id = 1;

-- Given to another visitor.
update moving.plain set visitor_id = 'cccccccc-0000-4000-8000-000000000001', state = 'closed' where chat_id = 3;
update moving.parted set visitor_id = 'cccccccc-0000-4000-8000-000000000001', state = 'closed' where chat_id = 3;

-- Given to another visitor, with a provided id that it got while no trigger looked (a load, a replica): that id does not
-- appear in this UPDATE, and nobody is absorbed for it.
alter table moving.plain disable trigger user;
alter table moving.parted disable trigger user;
update moving.plain set provided_visitor_id = 'P-7' where chat_id = 5;
update moving.parted set provided_visitor_id = 'P-7' where chat_id = 5;
alter table moving.plain enable trigger user;
alter table moving.parted enable trigger user;
update moving.plain set visitor_id = 'cccccccc-0000-4000-8000-000000000001', state = 'closed' where chat_id = 5;
update moving.parted set visitor_id = 'cccccccc-0000-4000-8000-000000000001', state = 'closed' where chat_id = 5;

-- Closed, with a visitor who was superseded while no trigger looked. No trigger of ours sees that in a table without
-- partitions; where the row arrives anew it comes to the survivor, and the log says so.
alter table moving.plain disable trigger user;
alter table moving.parted disable trigger user;
insert into moving.plain (chat_id, visitor_id, origin_visitor_id) values (8, 'aaaaaaaa-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001');
insert into moving.parted (chat_id, visitor_id, origin_visitor_id) values (8, 'aaaaaaaa-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001');
alter table moving.plain enable trigger user;
alter table moving.parted enable trigger user;
update moving.plain set state = 'closed' where chat_id = 8;
update moving.parted set state = 'closed' where chat_id = 8;

select * from moving.result order by chat_id, account desc;
select kind, from_visitor, to_visitor, rebound_chats, chats from moving.log where account = 'plain' order by rebind_id;
select kind, from_visitor, to_visitor, rebound_chats, chats from moving.log where account = 'parted' order by rebind_id;

-- The others are the same in both: no row.
(select chat_id, state, origin, visitor from moving.result where account = 'plain' and chat_id <> 8
except
select chat_id, state, origin, visitor from moving.result where account = 'parted');

select visitor_identity.detach_table('moving.plain');
select visitor_identity.detach_table('moving.parted');
set client_min_messages = warning;
drop schema moving cascade;
delete from visitor_identity.rebind_row where account in ('plain', 'parted');
delete from visitor_identity.rebind where account in ('plain', 'parted');
delete from visitor_identity.pending_rebind where account in ('plain', 'parted');
delete from visitor_identity.channel_identity where account in ('plain', 'parted');
delete from visitor_identity.provided_identity where account in ('plain', 'parted');
delete from visitor_identity.visitor where account in ('plain', 'parted');
delete from visitor_identity.account where account in ('plain', 'parted');
