\set n random(1, :people)
select count(*) from visitor_identity.forget_visitor(visitor_identity.resolve_visitor('D-' || :n), 'anonymize');
