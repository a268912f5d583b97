\set n random_exponential(1, :people, 2)
\set b random(0, 1)
call bench.chat(:n, :b, false, false);
