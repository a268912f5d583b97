-- external_user_id: for Telegram and WhatsApp the channel user id; in other cases the provided id, the channel user id, or nothing.
create schema external_user_id;
set search_path = external_user_id;
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
insert into visitor_identity.account (account)
values ('external_user_id'), ('external_user_id_2');
set visitor_identity.account = 'external_user_id';
insert into visitor_identity.channel (channel_type, pattern) values ('external-user-id', '[a-z]+');
create table person (
    name text primary key,
    visitor_id uuid
);
insert into person
values
    ('everything', visitor_identity.resolve_visitor('C-1')),
    ('only provided', visitor_identity.resolve_visitor('C-2')),
    ('only telegram', visitor_identity.resolve_visitor(channel_type => 'telegram', channel_user_id => '67854258')),
    ('only viber', visitor_identity.resolve_visitor(channel_type => 'viber', channel_user_id => 'viber+only==')),
    ('nothing', visitor_identity.resolve_visitor());
select visitor_identity.resolve_visitor('C-1', c.channel_type, c.channel_user_id) = p.visitor_id as his
from person as p
cross join (
    values ('telegram', '67854257'), ('whatsapp', '10435685475'), ('viber', 'viber+all=='), ('external-user-id', 'abc')
) as c (channel_type, channel_user_id)
where p.name = 'everything';
select p.name, coalesce(t.channel_type, 'the site') as chat_in, visitor_identity.external_user_id(p.visitor_id, t.channel_type)
from person as p
cross join unnest('{telegram,whatsapp,viber,facebook,external-user-id,NULL}'::text[]) with ordinality as t (channel_type, position)
order by p.name, t.position;
-- Several ids in one channel: the one that was seen last. On the site: the last one of any channel.
select visitor_identity.resolve_visitor('C-1', 'telegram', '67854259') is not null as his;
select visitor_identity.external_user_id(p.visitor_id, 'telegram') from person as p where p.name = 'everything';
update visitor_identity.channel_identity set created_at = '2000-01-01' where account = 'external_user_id' and channel_user_id = '67854259';
select visitor_identity.external_user_id(p.visitor_id, 'telegram') from person as p where p.name = 'everything';
-- Blanks around the channel, and none at all; a superseded id.
select visitor_identity.external_user_id(p.visitor_id, ' telegram ') as trimmed, visitor_identity.external_user_id(p.visitor_id, ' ') as the_site
from person as p
where p.name = 'everything';
select visitor_identity.resolve_visitor('C-2', visitor_id => p.visitor_id) is not null as absorbed from person as p where p.name = 'nothing';
select visitor_identity.external_user_id(p.visitor_id) as of_survivor from person as p where p.name = 'nothing';

-- What is refused.
\x
select * from refusal('select visitor_identity.external_user_id(p.visitor_id, ''icq'') from person as p');
select state, message from refusal('select visitor_identity.external_user_id(p.visitor_id, ''Telegram'') from person as p');
select state, message from refusal($$select visitor_identity.external_user_id('40000000-0000-4000-8000-000000000009')$$);
select state, message from refusal('select visitor_identity.external_user_id(null)');
select state, message from refusal('select visitor_identity.external_user_id(p.visitor_id, account => ''external_user_id_2'') from person as p');
select state, message from refusal('select visitor_identity.external_user_id(p.visitor_id, account => ''nowhere'') from person as p');
set visitor_identity.locked_account = 'external_user_id_2';
select state, message from refusal('select visitor_identity.external_user_id(p.visitor_id, account => ''external_user_id'') from person as p');
reset visitor_identity.locked_account;
\x

reset visitor_identity.account;
delete from visitor_identity.channel where channel_type = 'external-user-id';
set client_min_messages = warning;
drop schema external_user_id cascade;
