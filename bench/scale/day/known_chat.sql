\set n random(1, :people)
\set b random(0, 1)
call bench.chat(:n, :b, true, false);
