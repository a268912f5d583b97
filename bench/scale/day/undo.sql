\set p random(1, 1000)
select bench.undo(:p / 1000.0::double precision);
