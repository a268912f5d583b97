"""The torture test's driver: rounds of clients, checks between them, a report at the end."""

import argparse
import re
import sys
from collections import Counter
from random import Random
from threading import Barrier, Thread
from time import monotonic, sleep

import psycopg

from checks import Checks
from households import NAMESPACES
from model import MAYBE, Model
from operations import NEEDS, SEVERAL, SIGNATURE_KEY, SINGLE, TABLES, Options, Savepoint, Session, Wrong, plan
from server import Server

RETRY = {"40001", "40P01"}
# What no longer fits: a rebinding that was undone in between, a visitor who is not there, was absorbed or forgotten.
NOT_THERE = {"55000", "42704", "22004"}
EXPECTED = {kind: NOT_THERE for kind in ("undo", "merge", "forget", "device")}
MOST_RETRIES = 200
# Nobody tries again so many seconds after the end.
MOST_OVERTIME = 5
# PostgreSQL's own word for a row that went to another partition while somebody waited for it: 40001 at every level.
MOVED_PARTITION = "another partition"
MOST_CHATS = 40000

SCHEMA = """
create extension visitor_identity;
create schema torture;
create table torture.chat (
    account text collate "C" not null,
    chat_id bigint not null,
    visitor_id uuid not null,
    origin_visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_user_id text,
    state text not null default 'open',
    opened_at timestamptz not null default now(),
    hits integer not null default 0,
    note text,
    primary key (account, chat_id)
);
create index on torture.chat (visitor_id);
create table torture.parted (
    account text collate "C" not null,
    chat_id bigint not null,
    visitor_id uuid not null,
    origin_visitor_id uuid,
    provided_visitor_id text,
    channel_type text,
    channel_user_id text,
    state text not null default 'open',
    opened_at timestamptz not null default now(),
    hits integer not null default 0,
    note text,
    primary key (account, chat_id, state)
) partition by list (state);
create index on torture.parted (visitor_id);
create table torture.parted_open partition of torture.parted for values in ('open');
create table torture.parted_closed partition of torture.parted for values in ('closed');
"""
EMPTY = """
truncate visitor_identity.visitor, visitor_identity.provided_identity, visitor_identity.channel_identity,
    visitor_identity.former_channel_identity, visitor_identity.rebind, visitor_identity.rebind_row,
    visitor_identity.pending_rebind, visitor_identity.refused_link, torture.chat, torture.parted{}
"""


class Run:
    def __init__(self, arguments):
        self.arguments = arguments
        tables = tuple(TABLES) if arguments.tables == "both" else (arguments.tables,)
        self.options = Options(
            arguments.seed, arguments.clients, tables, frozenset(arguments.without)
        )
        self.model = Model()
        self.counts = Counter()
        self.retries = Counter()
        self.deadlocks = Counter()
        self.refused = Counter()
        self.ended = Counter()
        self.dialogue = (
            f"dbname={arguments.database} application_name=torture options='-c deadlock_timeout={arguments.deadlock_timeout}"
            " -c statement_timeout=60s -c log_lock_waits=on'"
        )
        self.clients = [Client(self, number) for number in range(arguments.clients)]
        self.deadline = None
        self.server = Server() if arguments.crash else None
        self.crashes = 0
        self.owed = 0

    def connect(self):
        return psycopg.connect(self.dialogue, autocommit=True)

    def reconnect(self):
        """A connection, as soon as the server takes one again."""
        for _ in range(600):
            try:
                return self.connect()
            except psycopg.OperationalError:
                sleep(0.1)
        raise SystemExit("torture: the server does not come back")

    def set_up(self):
        with psycopg.connect("dbname=postgres", autocommit=True) as connection:
            connection.execute(f"drop database if exists {self.arguments.database} with (force)")
            connection.execute(f"create database {self.arguments.database}")
        with self.connect() as connection:
            connection.execute(SCHEMA)
            if self.arguments.partitions:
                connection.execute(
                    "select visitor_identity.partition_identity_tables(%s)",
                    (self.arguments.partitions,),
                )
            for account, namespace in NAMESPACES.items():
                connection.execute(
                    "insert into visitor_identity.account (account, namespace) values (%s, %s)",
                    (account, namespace),
                )
            for table in self.options.tables:
                connection.execute(
                    "select visitor_identity.attach_chat_table(%s::regclass, closed_when => $$state = 'closed'$$)",
                    (TABLES[table],),
                )
            for account in NAMESPACES:
                connection.execute(
                    "select visitor_identity.add_signature_key(%s, 'md5', account => %s)",
                    (SIGNATURE_KEY, account),
                )
            missing = [
                kind
                for kind, function in NEEDS.items()
                if connection.execute("select to_regprocedure(%s)", (function,)).fetchone()[0] is None
            ]
        if missing:
            print(f"not in this version: {' '.join(missing)}", flush=True)
            self.options.excluded |= frozenset(missing)

    @staticmethod
    def others(connection):
        """Tables of the extension that hold what belongs to a visitor, if it has them."""
        rows = connection.execute(
            "select format(', %s', to_regclass(t)) from unnest(array['visitor_identity.device',"
            " 'visitor_identity.visitor_fields']) as t"
            " where to_regclass(t) is not null"
        )
        return "".join(row[0] for row in rows.fetchall())

    def tear_down(self):
        if not self.arguments.keep:
            with psycopg.connect("dbname=postgres", autocommit=True) as connection:
                connection.execute(f"drop database if exists {self.arguments.database} with (force)")

    def rounds(self):
        arguments = self.arguments
        started = monotonic()
        self.deadline = started + arguments.seconds if not arguments.rounds else None
        number = 0
        while True:
            number += 1
            if arguments.rounds and number > arguments.rounds:
                break
            if self.deadline and monotonic() >= self.deadline:
                break
            phase = ("single", "mixed")[number % 2] if arguments.phase == "both" else arguments.phase
            before = self.model.violations.total()
            self.round(number, phase)
            self.check(number, phase, monotonic() - started)
            if arguments.stop and self.model.violations.total() > before:
                arguments.keep = True
                break
            if len(self.model.chats) > MOST_CHATS:
                with self.connect() as connection:
                    connection.execute(EMPTY.format(self.others(connection)))
                self.model.clear()
        return monotonic() - started

    def round(self, number, phase):
        threads = []
        barrier = Barrier(len(self.clients))
        for client in self.clients:
            units = plan(self.options, number, client.number, phase)
            threads.append(Thread(target=client.work, args=(units, barrier, phase), daemon=True))
        for thread in threads:
            thread.start()
        if self.server:
            # The moments of the kills are the seed's; what they hit is not.
            rng = Random(f"{self.options.seed}/{number}/crash")
            while any(thread.is_alive() for thread in threads):
                sleep(rng.uniform(0.2, 1.5))
                if any(thread.is_alive() for thread in threads):
                    self.server.crash()
                    self.crashes += 1
                    with self.reconnect():
                        pass
        for thread in threads:
            thread.join()

    def check(self, number, phase, elapsed):
        before = self.model.violations.total()
        with self.reconnect() as connection:
            checks = Checks(connection, self.model, self.options.tables)
            checks.run()
            self.owed += checks.owed
        found = self.model.violations.total() - before
        facts = ", ".join(f"{count} {name}" for name, count in checks.facts.items())
        total = sum(self.counts.values())
        print(
            f"[{elapsed:5.0f} s] round {number} ({phase}): {total} operations so far; {facts};"
            f" {checks.owed} completed; {self.model.violations.total()} violations",
            flush=True,
        )
        return found

    def report(self, elapsed):
        arguments = self.arguments
        print("operations by kind (attempts that were carried out):")
        for kind, count in sorted(self.counts.items()):
            print(f"    {kind:20} {count:8}")
        print(f"transactions: {dict(sorted(self.ended.items()))}")
        print(f"refused as they should be: {dict(sorted(self.refused.items()))}")
        print(f"retries by level and SQLSTATE: {dict(sorted(self.retries.items()))}")
        print(f"deadlocks by phase and kind: {dict(sorted(self.deadlocks.items()))}")
        print(f"rebindings owed at the end of a round, and completed: {self.owed}")
        if self.server:
            print(f"crashes: {self.crashes}")
        for kind, count in self.model.violations.most_common():
            print(f"violations: {count:6} {kind}")
        print(
            f"seed {arguments.seed}, {arguments.clients} clients, tables {arguments.tables}, {elapsed:.0f} s: "
            f"{sum(self.counts.values())} operations, {sum(self.retries.values())} retries, "
            f"{sum(self.deadlocks.values())} deadlocks, "
            + (f"{self.crashes} crashes, " if self.server else "")
            + f"{self.model.violations.total()} violations"
        )


class Client:
    def __init__(self, run, number):
        self.run = run
        self.number = number
        self.session = Session(run.model, run.options.excluded)
        self.level = None
        self.at = ""
        self.ending = False
        self.pid = None

    def work(self, units, barrier, phase):
        if self.session.connection is None:
            self.open()
        barrier.wait()
        for unit in units:
            if self.run.deadline and monotonic() >= self.run.deadline:
                return
            try:
                self.one(unit, phase)
            except Exception as error:  # noqa: BLE001: an error of the driver is a failure of the test
                self.run.model.violation(
                    f"driver: {type(error).__name__}", f"{error} at {self.session.statement}"
                )
                self.open()

    def open(self):
        if self.session.connection is not None:
            self.session.connection.close()
        self.session.connection = self.run.reconnect()
        self.pid = self.session.connection.info.backend_pid
        self.level = None

    def one(self, unit, phase):
        """Runs a unit, again and again while it is told to, as an application does."""
        session, run = self.session, self.run
        for attempt in range(MOST_RETRIES):
            session.begin_unit()
            self.at = ""
            self.ending = False
            counted = Counter()
            try:
                committed = self.attempt(unit, counted)
            except Wrong as wrong:
                run.model.violation(str(wrong), session.statement)
                self.open()
                return
            except psycopg.Error as error:
                state = error.sqlstate
                if session.connection.broken or state is None or state.startswith(("08", "57P")):
                    self.lost(unit, error)
                    return
                if unit.transaction and not self.rolled_back():
                    return
                if state in RETRY:
                    self.retry(unit, phase, error)
                    if run.deadline and monotonic() >= run.deadline + MOST_OVERTIME:
                        break
                    # Longer and longer, or a crowd that deadlocks meets again at once.
                    sleep(Random().uniform(0, min(0.001 * 2 ** min(attempt, 10), 0.5)))
                    continue
                if state in EXPECTED.get(self.at, ()):
                    run.refused[f"{self.at} {state}"] += 1
                    return
                run.model.violation(
                    f"unexpected {state} in {self.at}",
                    f"{unit.level}: {error.diag.message_primary}: {session.statement}",
                )
                return
            if committed:
                run.model.apply(session.effects)
            run.counts.update(counted)
            run.ended["single" if not unit.transaction else "committed" if committed else "rolled back"] += 1
            return
        run.ended["given up"] += 1

    def rolled_back(self):
        """Ends a transaction that failed. False: the server is gone, and with it the transaction."""
        try:
            self.session.connection.execute("rollback")
        except psycopg.OperationalError as error:
            if self.run.server is None:
                self.run.model.violation("the connection was lost", str(error))
            self.run.ended["lost"] += 1
            self.open()
            return False
        return True

    def attempt(self, unit, counted):
        session = self.session
        connection = session.connection
        if not unit.transaction:
            if self.level != unit.level:
                connection.execute(f"set default_transaction_isolation = '{unit.level}'")
                self.level = unit.level
            self.step(unit.items[0], counted)
            return True
        connection.execute(f"begin isolation level {unit.level}")
        for item, pause in zip(unit.items, unit.pauses):
            if isinstance(item, Savepoint):
                connection.execute("savepoint s")
                mark = session.mark()
                for step in item.steps:
                    self.step(step, counted)
                if item.rolled_back:
                    connection.execute("rollback to s")
                    session.forget_since(mark)
                connection.execute("release s")
            else:
                self.step(item, counted)
            if pause:
                sleep(pause)
        if unit.commits:
            self.ending = True
            connection.execute("commit")
            return True
        connection.execute("rollback")
        return False

    def step(self, step, counted):
        self.at = step.kind
        if self.session.run(step):
            counted[step.kind] += 1
        else:
            counted["(nothing to do it to)"] += 1

    def retry(self, unit, phase, error):
        run, state = self.run, error.sqlstate
        run.retries[f"{unit.level} {state}"] += 1
        primary, detail = error.diag.message_primary or "", error.diag.message_detail or ""
        if state == "40P01":
            run.deadlocks[f"{phase} {self.at if unit.transaction else self.at + ' alone'}"] += 1
            if phase == "single":
                pids = {int(pid) for pid in re.findall(r"Process (\d+)", detail)}
                among = [
                    f"client {client.number}: {client.session.statement}"
                    for client in run.clients
                    if client.pid in pids
                ]
                run.model.violation(
                    "a deadlock between single statements at read committed",
                    "\n    "
                    + "\n    ".join(among)
                    + "\n    "
                    + "\n    ".join(f"{detail}\n{error.diag.context}".split("\n"))
                )
        elif unit.level == "read committed" and MOVED_PARTITION not in primary:
            run.model.violation("40001 at read committed", f"{primary}: {self.session.statement}")

    def lost(self, unit, error):
        """The connection is gone. What was on its way may have been committed."""
        run, session = self.run, self.session
        if run.server is None:
            run.model.violation("the connection was lost", f"{error}: {session.statement}")
        if not unit.transaction:
            run.model.apply(session.effects)
            run.model.apply(session.intended, MAYBE)
        elif self.ending:
            run.model.apply(session.effects, MAYBE)
        run.ended["lost"] += 1
        self.open()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=32, help="connections at a time (32)")
    parser.add_argument("--seconds", type=float, default=60, help="how long (60)")
    parser.add_argument("--rounds", type=int, default=0, help="so many whole rounds, however long")
    parser.add_argument("--seed", type=int, default=None, help="replays the schedule of a run")
    parser.add_argument("--tables", choices=("both", *TABLES), default="both")
    parser.add_argument(
        "--phase",
        choices=("both", "single", "mixed"),
        default="both",
        help="single: statements on their own at READ COMMITTED, of which none may deadlock;"
        " mixed: also transactions, at all levels; both: by turns",
    )
    parser.add_argument(
        "--without",
        nargs="*",
        default=[],
        choices=(*SINGLE, *SEVERAL, "computed_cookie"),
        help="kinds to leave out; computed_cookie: the browser that holds the id computed from a provided id",
    )
    parser.add_argument(
        "--partitions", type=int, default=0, help="divide the identity tables into so many partitions"
    )
    parser.add_argument("--crash", action="store_true", help="kill the server again and again")
    parser.add_argument(
        "--deadlock-timeout",
        default="200ms",
        help="1ms: the server's log tells what the others of a deadlock were waiting in (200ms)",
    )
    parser.add_argument(
        "--stop", action="store_true", help="stop after the first bad round, and keep the database"
    )
    parser.add_argument("--database", default="torture", help="made anew (torture)")
    parser.add_argument("--keep", action="store_true", help="leave the database there")
    given = parser.parse_args()
    if given.seed is None:
        given.seed = Random().randrange(10**6)
    return given


def main():
    run = Run(arguments())
    print(f"torture: seed {run.arguments.seed}", flush=True)
    run.set_up()
    run.report(run.rounds())
    for client in run.clients:
        if client.session.connection is not None:
            client.session.connection.close()
    run.tear_down()
    sys.exit(1 if run.model.violations or not run.counts else 0)


if __name__ == "__main__":
    main()
