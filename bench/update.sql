-- UPDATE of a column that identifies nobody, in the attached table, in its unattached twin, and in one whose only trigger is a
-- BEFORE UPDATE row trigger that never fires, which is what no attached table can do without: the same rows, other rows in
-- every round. psql variables: rounds, rows.

\set ON_ERROR_STOP on
\set QUIET on
set client_min_messages = warning;
set jit = off;

create table peer.never_fires (like peer.chat including all);
insert into peer.never_fires
select *
from peer.chat as c
where c.account = 'default'
    and c.chat_id <= (:rounds + 1) * :rows;
create trigger never
before update of visitor_id
on peer.never_fires
for each row
when (false)
execute function suppress_redundant_updates_trigger();
vacuum (analyze) peer.never_fires;
checkpoint;

call bench.compare('UPDATE of another column', :rounds, :rows,
    array['attached', 'unattached', 'a trigger that never fires'],
    array[
        format('update chat.chat set operator = ''nobody'' where account = ''default'' and chat_id between 1 + $1 * %s and ($1 + 1) * %1$s', :rows),
        format('update peer.chat set operator = ''nobody'' where account = ''default'' and chat_id between 1 + $1 * %s and ($1 + 1) * %1$s', :rows),
        format('update peer.never_fires set operator = ''nobody'' where account = ''default'' and chat_id between 1 + $1 * %s and ($1 + 1) * %1$s', :rows)
    ]);
drop table peer.never_fires;
