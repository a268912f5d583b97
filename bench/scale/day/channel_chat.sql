\set n 3 * random(1, :people / 3)
call bench.chat(:n, 0, false, true);
