-- The first call in this new connection, timed in the client: loading the library, preparing, answering.
-- psql variables: variant, call, round.

\set ON_ERROR_STOP on
\set QUIET on
select clock_timestamp() as started
\gset
:call
\g /dev/null
select clock_timestamp() as ended
\gset
insert into bench.sample
values ('first call in a new connection', :'variant', :round, extract(epoch from :'ended'::timestamptz - :'started'::timestamptz) * 1e6);
