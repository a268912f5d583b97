-- visitor_graph draws a visitor, his identifiers and rebindings as Mermaid; what does not fit is counted.
create schema visitor_graph_draws_the_person;
set search_path = visitor_graph_draws_the_person;
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
insert into visitor_identity.account (account, namespace)
values ('visitor_graph', '6ba7b810-9dad-11d1-80b4-00c04fd430c8'), ('visitor_graph_2', '6ba7b810-9dad-11d1-80b4-00c04fd430c8');
set visitor_identity.account = 'visitor_graph';
create table chat (
    account text,
    chat_id integer,
    visitor_id uuid,
    provided_visitor_id text,
    primary key (account, chat_id)
);
create index on chat (visitor_id);
select visitor_identity.attach_chat_table('chat');
-- Rebindings numbered from one, and every day the first of March 2024.
create function graph(id uuid, most_nodes integer default 200)
returns text
language sql
as $$
    with numbered as (
        select r.rebind_id, row_number() over (order by r.rebind_id) as number
        from visitor_identity.rebind as r
        where r.account = 'visitor_graph'
    )
    select string_agg(
        replace(
            coalesce(regexp_replace(l.line, 'rebinding \d+<', 'rebinding ' || n.number || '<'), l.line),
            to_char(timezone('UTC', now()), 'YYYY-MM-DD'), '2024-03-01'
        ),
        E'\n' order by l.position
    )
    from string_to_table(visitor_identity.visitor_graph(id, most_nodes => graph.most_nodes), E'\n') with ordinality as l (line, position)
    left join numbered as n on n.rebind_id = substring(l.line from 'rebinding (\d+)<')::bigint
$$;

-- A person with a history: two browsers, a messenger, an undone rebinding, a claimed visitor, another person's row.
insert into chat (chat_id, visitor_id)
values
    (1, '40000000-0000-4000-8000-000000000001'),
    (2, '40000000-0000-4000-8000-000000000001');
insert into chat (chat_id, visitor_id) values (3, '40000000-0000-4000-8000-000000000002');
update chat set provided_visitor_id = 'C-1' where chat_id = 1;
select visitor_identity.resolve_visitor('C-1', visitor_id => '40000000-0000-4000-8000-000000000002') as id \gset
select visitor_identity.resolve_visitor('C-1', 'viber', '5dfjdg5lfg8dGjg0DF95+h==', channel_id => 'a "shop"') = :'id' as his;
select r.rebind_id from visitor_identity.rebind as r where r.account = 'visitor_graph' order by r.rebind_id desc limit 1 \gset
select count(*) > 0 as undone from visitor_identity.undo_rebind(:rebind_id);
select visitor_identity.resolve_visitor('C-1', visitor_id => '40000000-0000-4000-8000-000000000002') = :'id' as his;
select visitor_identity.resolve_visitor('C-2') as other \gset
insert into chat (chat_id, provided_visitor_id) values (4, 'C-1');
update chat set provided_visitor_id = 'C-2' where chat_id = 4;
insert into visitor_identity.provided_identity (account, provided_visitor_id, visitor_id, verified_at, created_at)
values ('visitor_graph', E'"] --> v9 %%{init} <script> \u202e #x; `a`', :'id', '2024-03-02', now() + interval '1 day');
select graph(:'id');
-- By a superseded id the same; from the other end of a rebinding; of somebody alone.
select graph(:'id') = graph('40000000-0000-4000-8000-000000000001') as same;
select graph(:'other');
insert into chat (chat_id, visitor_id) values (5, '40000000-0000-4000-8000-000000000005');
select graph('40000000-0000-4000-8000-000000000005');

-- Many ids: as many nodes as wanted, and the rest counted.
insert into visitor_identity.provided_identity (account, provided_visitor_id, visitor_id, created_at)
select 'visitor_graph', 'C-many-' || n, :'id', now() + interval '1 day'
from generate_series(1, 1000) as n;
select graph(:'id', 6);
select graph(:'id', 1);
select (
    select count(*) from string_to_table(visitor_identity.visitor_graph(:'id'), E'\n') as l (line) where l.line ~ '^    [vpc]\d+[\[({]'
) as nodes;
select right(visitor_identity.visitor_graph(:'id'), 1) = 'l' as ends_without_a_line_end;

-- What is refused.
\x
select * from refusal(format('select visitor_identity.visitor_graph(%L, most_nodes => 0)', :'id'));
select state, message from refusal(format('select visitor_identity.visitor_graph(%L, most_nodes => -1)', :'id'));
select state, message from refusal($$select visitor_identity.visitor_graph('40000000-0000-4000-8000-000000000009')$$);
select state, message from refusal('select visitor_identity.visitor_graph(null)');
select state, message from refusal(format('select visitor_identity.visitor_graph(%L, ''visitor_graph_2'')', :'id'));
select state, message from refusal(format('select visitor_identity.visitor_graph(%L, ''nowhere'')', :'id'));
set visitor_identity.locked_account = 'visitor_graph_2';
select state, message from refusal(format('select visitor_identity.visitor_graph(%L, ''visitor_graph'')', :'id'));
reset visitor_identity.locked_account;
\x

reset visitor_identity.account;
delete from visitor_identity.provided_identity where account = 'visitor_graph' and created_at > now();
select visitor_identity.detach_table('chat');
set client_min_messages = warning;
drop schema visitor_graph_draws_the_person cascade;
