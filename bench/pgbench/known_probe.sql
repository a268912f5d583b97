-- pgbench: the probe that nobody can do without, with the same work on the parameters.
\set n random(1, :people)
select p.visitor_id, p.visitor_id = visitor_identity.derive_visitor_id('C-' || :n)
from visitor_identity.provided_identity as p
where p.account = 'default'
    and p.provided_visitor_id = 'C-' || :n;
