-- What is held about a person: told as one document, and erased.

create function visitor_identity.export_visitor(
    visitor_id uuid,
    account text default null
)
returns jsonb
language c stable security definer
as 'MODULE_PATHNAME', 'export_visitor_wrapper';

comment on function visitor_identity.export_visitor(uuid, text) is
'Everything held about a person as one JSON object: the visitor and all that it superseded, provided ids, channel user ids, verified fields, rebindings, and the rows of every attached table. A superseded visitor_id gives its survivor''s. Of other people there is nothing but visitor_ids. STABLE. Errors: 42704 for an unknown or forgotten visitor, 42501.';

create function visitor_identity.forget_visitor(
    visitor_id uuid,
    attached_rows text default 'anonymize',
    per_table jsonb default '{}',
    account text default null
)
returns table (
    erased_table regclass,
    action text,
    rows bigint
)
language c volatile security definer rows 8
as 'MODULE_PATHNAME', 'forget_visitor_wrapper';

comment on function visitor_identity.forget_visitor(uuid, text, jsonb, text) is
'Erases a person: his identifiers, fields and the keys and words in the log of his rebindings. What stays is a tombstone: his visitor_ids, which resolve as unknown for ever; the same identifiers seen again are a new visitor. attached_rows says what happens to his rows in the attached tables, delete, anonymize or keep, and per_table says it table by table: {"chat.chat": "delete"}. One row a table with what was done. Visitors that he claimed are left, and counted. VOLATILE. Errors: 42704 for an unknown or forgotten visitor; 22023 for another action or a table that is not attached; 55000 when an identifier of a row cannot be set to NULL; 25006, 40001, 42501.';
