-- What was signed for an id while its visitor was merged into another goes back with the id: nobody is shown, told or left with the
-- fields of somebody else.
create schema undo_gives_signed_fields_back;
set search_path = undo_gives_signed_fields_back;
insert into visitor_identity.account (account)
values ('undo_gives_fields');
set visitor_identity.account = 'undo_gives_fields';
select visitor_identity.add_signature_key('the key', 'sha256') is not null as added;
-- What a client with a sha256 key does.
create function signed(fields jsonb)
returns jsonb
language sql
as $$
    select jsonb_build_object(
        'fields', fields,
        'hash', encode(sha256(convert_to(concat(string_agg(f.value, '' order by f.key collate "C"), 'the key'), 'UTF8')), 'hex')
    )
    from jsonb_each_text(fields) as f
$$;
create function shown(visitor_id uuid)
returns jsonb
language sql
as $$
    select visitor_identity.visitor_payload(visitor_id) -> 'visitor' -> 'fields'
$$;

select visitor_identity.authorize_visitor(signed('{"id": "anna", "display_name": "Anna"}')) as anna \gset
select visitor_identity.authorize_visitor(signed('{"id": " bert ", "display_name": "Bert"}')) as bert \gset
-- The one who stays logged in last: his fields stay.
select visitor_identity.merge_visitors(:'bert', :'anna') as merged \gset
select visitor_identity.authorize_visitor(signed('{"id": "anna", "display_name": "Anna again"}')) = :'anna' as same;
select count(*) > 0 as undone from visitor_identity.undo_rebind(:merged);
select shown(:'anna') as anna, shown(:'bert') as bert;
-- The one who was merged did, with an id that is written with blanks.
select visitor_identity.merge_visitors(:'bert', :'anna') as merged \gset
select visitor_identity.authorize_visitor(signed('{"id": " bert ", "display_name": "Bert again"}')) = :'anna' as same;
select shown(:'anna') as both;
select count(*) > 0 as undone from visitor_identity.undo_rebind(:merged);
select shown(:'anna') as anna, shown(:'bert') as bert;
select count(*) as of_anna from visitor_identity.visitor_fields where account = 'undo_gives_fields' and visitor_id = :'anna';
-- Nor is anything of his left with her when he is forgotten.
select count(*) > 0 as forgotten from visitor_identity.forget_visitor(:'bert');
select count(*) as left_of_bert from visitor_identity.visitor_fields where account = 'undo_gives_fields' and fields::text ~ 'Bert';
select problem from visitor_identity.check_integrity() where account = 'undo_gives_fields';

reset visitor_identity.account;
set client_min_messages = warning;
drop schema undo_gives_signed_fields_back cascade;
