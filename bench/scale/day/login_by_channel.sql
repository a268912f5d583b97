\set n 3 * random(1, :people / 3)
select visitor_identity.resolve_visitor('D-' || :n, 'telegram', (200000000 + :n)::text);
