-- What bots, custom APIs, the client's page and the router get of a visitor.

create function visitor_identity.visitor_payload(
    visitor_id uuid,
    shape text default 'bot',
    account text default null
)
returns jsonb
language c stable parallel safe security definer
as 'MODULE_PATHNAME', 'visitor_payload_wrapper';

comment on function visitor_identity.visitor_payload(uuid, text, text) is
'The visitor as the outside world gets him, followed to his survivor. shape: bot, an object with the member visitor, in snake_case with times in ISO 8601; client, the visitor of the client protocol, in camelCase with times in seconds. The visitor_id is 32 hex digits, fields are the verified ones. STABLE, PARALLEL SAFE. Errors: 22023 for an unknown shape, 42704 for an unknown or forgotten visitor, 42501.';

-- Reads the row, and so maybe runs code of the application, with the caller's rights; the identity tables with the
-- extension's.
create function visitor_identity.bot_payload(
    chat anyelement,
    messages jsonb default '[]'
)
returns jsonb
language c stable parallel safe
as 'MODULE_PATHNAME', 'bot_payload_wrapper';

comment on function visitor_identity.bot_payload(anyelement, jsonb) is
'The event new_chat of the external bot API. chat: a row of an attached table, of a partition of one, or of one of its views; NULL gives NULL. messages: an array of objects with id, kind and text, and maybe data, passed on as they are. STABLE, PARALLEL SAFE. Errors: 55000 for a row of anything else, 22P02 for what is no messages, 42704 when the row''s account or visitor is unknown, 42501.';

create function visitor_identity.external_user_id(
    visitor_id uuid,
    channel_type text default null,
    account text default null
)
returns text
language c stable parallel safe security definer
as 'MODULE_PATHNAME', 'external_user_id_wrapper';

comment on function visitor_identity.external_user_id(uuid, text, text) is
'The id by which the external router knows a visitor. channel_type: the chat''s channel, NULL for the site. For Telegram and WhatsApp the visitor''s id in the channel; otherwise his provided id, else his id in the channel (for the site: in any), else NULL. Of several ids in a channel the one that was seen last. STABLE, PARALLEL SAFE. Errors: 22023 for an unknown channel_type, 42704 for an unknown or forgotten visitor, 42501.';
