-- pgbench: a known visitor, provided id and cookie, one call a round trip.
\set n random(1, :people)
select visitor_identity.resolve_visitor('C-' || :n, visitor_id => visitor_identity.derive_visitor_id('C-' || :n));
