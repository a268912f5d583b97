# make help lists what there is. The work is done by the scripts, which can be run by themselves.
# PG_CONFIG=… chooses another PostgreSQL than Debian's 15.

.DEFAULT_GOAL := help
.PHONY: help setup build install demo demo-stop test torture fuzz bench bench-instructions bench-scale clean

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 24

setup: ## install what is missing: PostgreSQL 15 and its headers, clang, cargo-pgrx
	@scripts/setup

build: setup ## compile the extension, install nothing
	@scripts/build --compile-only

install: setup ## compile the extension and install it into PostgreSQL
	@scripts/build

demo: ## a day of a support desk, replayed in a private cluster, from nothing
	@scripts/demo

demo-stop: ## remove the demo's cluster and all its data
	@scripts/cluster destroy demo

test: ## every test (LAYER=lint|unit|regress|isolation|extra|clients, TESTS="name …", KEEP=1)
	@scripts/test

# Handed on as arguments, because SECONDS in a shell's environment is something else.
torture: install ## everything at once, held against a model (CLIENTS= SECONDS= SEED= PHASE= TABLES= PARTITIONS= CRASH=1)
	@env -u PGHOST tests/torture/torture $(if $(CLIENTS),--clients $(CLIENTS)) $(if $(SECONDS),--seconds $(SECONDS)) \
		$(if $(SEED),--seed $(SEED)) $(if $(PARTITIONS),--partitions $(PARTITIONS)) $(if $(PHASE),--phase $(PHASE)) $(if $(TABLES),--tables $(TABLES)) \
		$(if $(filter 1,$(CRASH)),--crash)

fuzz: ## arbitrary input for every parser (CASES= SEED= TARGETS="name …" GUIDED=1 FOR=seconds SANITIZE=1)
	@scripts/fuzz

bench: setup ## measure the speed, side by side with PL/pgSQL and bare tables
	@bench/run

bench-instructions: setup ## count the instructions of a call: the same on every machine and under any load (wants valgrind)
	@bench/instructions

bench-scale: setup ## is it flat up to 20 million chats, and what does a day leave behind (QUICK=1 PART=flat|day)
	@bench/scale/run

clean: ## remove everything built here, the tools too, and the private clusters
	@scripts/cluster destroy demo
	@scripts/cluster destroy test
	@scripts/cluster destroy bench
	@scripts/cluster destroy profile
	@scripts/cluster destroy scale
	@scripts/cluster destroy torture
	@scripts/cluster destroy torturecrash
	rm -rf target
