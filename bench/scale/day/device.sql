\set n random(1, :people)
\set t random(1, 3)
select visitor_identity.register_device(visitor_identity.resolve_visitor('D-' || :n), 'app', md5('phone ' || :n)::uuid::text, 'fcm', 'token ' || :n || ' ' || :t);
