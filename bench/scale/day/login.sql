\set n random(1, :people)
\set b random(0, 1)
select visitor_identity.resolve_visitor('D-' || :n, visitor_id => bench.browser(:n, :b));
