-- Names of schemas, tables, columns, roles and accounts, patterns and conditions are never more than that, whatever is in them: quotes,
-- backslashes, percent signs, parameters, the end of a statement, letters beyond ASCII, 63 bytes.
create schema names_are_only;
set search_path = names_are_only;
create table victim (a integer);
create role names_are_only_user;
select visitor_identity.grant_access('names_are_only_user', 'admin');
do $$ begin execute format('grant create on database %I to names_are_only_user', current_database()); end $$;
-- Every name is used in each place: schema, table, visitor column, provided column, account, and the key; the view's names are cut.
create function used(name text)
returns text
language plpgsql
as $$
declare
    of_account text := 'account ' || name;
    chats regclass;
    found bigint;
    moved bigint;
    problems bigint;
    lost bigint;
begin
    insert into visitor_identity.account (account) values (of_account);
    set local role names_are_only_user;
    execute format('create schema %I', name);
    execute format(
        'create table %1$I.%1$I (%1$I integer, %2$I uuid, %3$I text, %4$I text, %5$I text, %6$I text, opened_at timestamptz default now(), %7$I boolean default true, primary key (%1$I, %6$I))',
        name, left('v' || name, 60), left('p' || name, 60), left('t' || name, 60), left('u' || name, 60), left('a' || name, 60), left('c' || name, 60)
    );
    execute format('create index on %1$I.%1$I (%2$I)', name, left('v' || name, 60));
    execute format('create index on %1$I.%1$I (%2$I)', name, left('u' || name, 60));
    execute format('insert into %1$I.%1$I select n, %2$L, null, null, null, %3$L from generate_series(1, 3) as n', name, '40000000-0000-4000-8000-000000000001', of_account);
    chats := format('%1$I.%1$I', name)::regclass;
    select count(*) into found from visitor_identity.unattached_tables();
    perform visitor_identity.attach_chat_table(
        chats, left('v' || name, 60)::name, left('p' || name, 60)::name, left('t' || name, 60)::name, channel_user_id => left('u' || name, 60)::name,
        account => left('a' || name, 60)::name, closed_at => null, origin_visitor_id => left('o' || name, 60)::name,
        closed_when => format('%I', left('c' || name, 60))
    );
    perform visitor_identity.backfill_begin(chats);
    perform visitor_identity.backfill_batch(chats, 10);
    select d.rebound_chats into moved
    from visitor_identity.resolve_visitor_detail('C-1', 'viber', 'abc', '40000000-0000-4000-8000-000000000001', name, of_account) as d;
    execute format('update %1$I.%1$I set %2$I = %3$L where %1$I = 1', name, left('p' || name, 60), 'C-2');
    perform visitor_identity.register_device(visitor_identity.find_visitor('C-1', account => of_account), 'app ' || name, 'c0000000-0000-4000-8000-000000000001', 'fcm', 'token ' || name, of_account);
    select count(*) into found from visitor_identity.search_history('C-1', account => of_account);
    select count(*) into problems from visitor_identity.check_integrity() as i where i.chat_table = chats;
    select count(*) into lost from visitor_identity.find_anomalies() as i where i.chat_table = chats;
    perform visitor_identity.visitor_graph(visitor_identity.find_visitor('C-1', account => of_account), of_account);
    perform visitor_identity.visitor_history(visitor_identity.find_visitor('C-1', account => of_account), of_account);
    perform visitor_identity.undo_rebind(r.rebind_id, of_account) from visitor_identity.rebind as r where r.account = of_account and r.kind = 'visitor';
    perform visitor_identity.detach_table(chats);
    execute format('drop schema %I cascade', name);
    reset role;
    execute format('create role %I', name);
    perform visitor_identity.grant_access(name, 'admin');
    execute format('drop owned by %I', name);
    execute format('drop role %I', name);
    perform visitor_identity.create_chat_store(name);
    perform visitor_identity.detach_table(format('%I.chat', name)::regclass);
    execute format('drop schema %I cascade', name);
    return format('%s moved, %s found, %s problems, %s anomalies', moved, found, problems, lost);
exception when others then
    reset role;
    return sqlstate || ' ' || sqlerrm;
end
$$;
set client_min_messages = warning;
select n.name, used(n.name)
from (
    values
        (1, 'plain'), (2, 'Capital'), (3, 'select'), (4, 'a b'), (5, 'a"b'), (6, 'a''b'), (7, 'a\b'), (8, 'a%sb'), (9, 'a%1$Ib'), (10, 'a$1b'),
        (11, 'a;drop table names_are_only.victim;--'), (12, '"; drop table names_are_only.victim; --'), (13, '''; drop table names_are_only.victim; --'),
        (14, ') or (true'), (15, 'a{}b'), (16, 'größe'), (17, 'имя'), (18, '$$a$$'), (19, 'a.b'), (20, 'a/*b'), (21, '{a,b}'),
        (22, repeat('x', 63)), (23, repeat('"', 50)), (24, 'E''\x27')
) as n (number, name)
order by n.number;
select count(*) from victim;
-- A condition for closed chats is one expression or nothing.
create table chat (chat_id integer primary key, visitor_id uuid, state text);
create index on chat (visitor_id);
create function refused(condition text)
returns text
language plpgsql
as $$
begin
    perform visitor_identity.attach_chat_table('names_are_only.chat', closed_when => condition, fixed_account => 'default');
    perform visitor_identity.detach_table('names_are_only.chat');
    return 'taken';
exception when others then
    return sqlstate;
end
$$;
select c.condition, refused(c.condition)
from (
    values
        ('state = ''closed'''), ('true) or (true'), ('true); drop table names_are_only.victim; --'), ('true)) -- '), ('true /*'),
        ('true; drop table names_are_only.victim'), ('(select true) union all select true'), ('true from names_are_only.victim'),
        ('exists (select from visitor_identity.signature_key)'), ('')
) as c (condition);
select count(*) from victim;
-- A pattern is a pattern.
insert into visitor_identity.channel (channel_type, pattern) values ('names', 'a|b') returning pattern;
select p.id, visitor_identity.check_channel_user_id('names', p.id, 'platform')
from unnest('{a, b, ab, xb, "a|b"}'::text[]) as p (id);
delete from visitor_identity.channel where channel_type = 'names';
drop schema names_are_only cascade;
drop owned by names_are_only_user;
drop role names_are_only_user;
