-- Where the figures go and how they are taken: bench.compare runs the variants of one thing in turn, A B C, B C A, …, so that
-- whatever else the machine does meanwhile touches all of them alike; the report divides within a round.

create schema bench;

create table bench.sample (
    what text not null,
    variant text not null,
    round integer not null,
    -- Microseconds a call, a row or a transaction, whatever the thing is counted in: less is better.
    micros double precision not null,
    constraint sample_pkey primary key (what, variant, round)
);

create table bench.fact (
    what text primary key,
    figure text not null
);

-- Runs statements in turn, once to warm up and then in rounds. A statement may use $1, the number of the round. Each
-- does `calls` calls. A transaction each, so that what one variant leaves behind is not the other's to look through.
create procedure bench.compare(what text, rounds integer, calls bigint, variants text[], statements text[])
language plpgsql
as $$
declare
    v integer;
    started timestamptz;
    ended timestamptz;
begin
    for round in 0..rounds loop
        for turn in 1..cardinality(variants) loop
            v := 1 + (round + turn) % cardinality(variants);
            started := clock_timestamp();
            execute statements[v]
            using round;
            ended := clock_timestamp();
            if round > 0 then
                insert into bench.sample
                values (what, variants[v], round, extract(epoch from ended - started) * 1e6 / calls);
            end if;
            commit;
        end loop;
    end loop;
end
$$;
