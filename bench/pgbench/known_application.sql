-- pgbench: a known visitor as an application resolves him, with statements of its own in one transaction.
\set n random(1, :people)
begin;
select a.on_authorization, a.identified_cookie
from visitor_identity.account as a
where a.account = 'default';
select p.visitor_id
from visitor_identity.provided_identity as p
where p.account = 'default'
    and p.provided_visitor_id = 'C-' || :n;
select coalesce(v.superseded_by, v.visitor_id), v.identified, v.claimed_by
from visitor_identity.visitor as v
where v.account = 'default'
    and v.visitor_id = visitor_identity.derive_visitor_id('C-' || :n);
commit;
