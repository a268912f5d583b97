-- Another session during a backfill: changes one chat after the other, each in a transaction, and remembers how long the
-- longest took. Begins when the history is there, ends with the backfill. psql variables: chats.

\set ON_ERROR_STOP on
\set QUIET on
set client_min_messages = warning;

create procedure pg_temp.touch(chats bigint)
language plpgsql
as $$
declare
    started timestamptz;
    longest interval := '0';
    changed bigint := 0;
begin
    while not exists (
        select
        from visitor_identity.backfill_queue
    ) loop
        perform pg_sleep(0.01);
        commit;
    end loop;
    while not exists (
        select
        from history.done
    ) loop
        started := clock_timestamp();
        update history.chat
        set operator = 'touched'
        where account = 'default'
            and chat_id = 1 + floor(random() * chats)::bigint;
        commit;
        longest := greatest(longest, clock_timestamp() - started);
        changed := changed + 1;
    end loop;
    insert into bench.fact
    values ('another session during a backfill', format(
        '%s chats changed one by one, the longest took %s ms', changed, round((extract(epoch from longest) * 1000)::numeric, 1)));
end
$$;
call pg_temp.touch(:chats);
