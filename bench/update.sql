-- UPDATE of a column that identifies nobody, in the attached table and in its unattached twin: the same rows, other
-- rows in every round. psql variables: rounds, rows.

\set ON_ERROR_STOP on
\set QUIET on
set jit = off;

call bench.compare('UPDATE of another column', :rounds, :rows,
    array['attached', 'unattached'],
    array[
        format('update chat.chat set operator = ''nobody'' where account = ''default'' and chat_id between 1 + $1 * %s and ($1 + 1) * %1$s', :rows),
        format('update peer.chat set operator = ''nobody'' where account = ''default'' and chat_id between 1 + $1 * %s and ($1 + 1) * %1$s', :rows)
    ]);
