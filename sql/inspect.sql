-- What an operator asks about one visitor: who he is, drawn, and why each chat is where it is.

create function visitor_identity.visitor_graph(
    visitor_id uuid,
    account text default null,
    most_nodes integer default 200
)
returns text
language c stable security definer
as 'MODULE_PATHNAME', 'visitor_graph_wrapper';

comment on function visitor_identity.visitor_graph(uuid, text, integer) is
'A visitor as a Mermaid flowchart: his survivor, the visitors whom he absorbed or claimed, provided ids, channel user ids, rebindings with reason, date and number of chats, undone ones dashed. Past most_nodes the rest is counted. STABLE. Errors: 22023 for a most_nodes below 1, 42704 for an unknown or forgotten visitor, 42501.';

create function visitor_identity.visitor_history(
    visitor_id uuid,
    account text default null
)
returns table (
    chat_table regclass,
    chat_key jsonb,
    visitor_id uuid,
    origin_visitor_id uuid,
    because text,
    rebind_id bigint,
    rebound_at timestamptz,
    rebound_by text,
    reason text
)
language c stable security definer rows 20
as 'MODULE_PATHNAME', 'visitor_history_wrapper';

comment on function visitor_identity.visitor_history(uuid, text) is
'Why each chat of a visitor is where it is, a row a chat, of his survivor and all his former names; and the chats that left him, with the visitor who has them now. because: rebound, merged, moved_by_provided_id, put_back, provided_id, channel_user_id, stored_here, not_in_the_log or left; the other columns say which rebinding it was. STABLE. Errors: 42704 for an unknown or forgotten visitor, 42501.';
