"""What the clients do: plans, which are a function of the seed, and their execution, which is not."""

import json
from hashlib import md5

from dataclasses import dataclass, field
from random import Random
from time import sleep

from households import ACCOUNTS, HOUSEHOLDS, household

TABLES = {"plain": "torture.chat", "partitioned": "torture.parted"}
LEVELS = ("read committed", "repeatable read", "serializable")
UNITS_A_ROUND = 96
UNITS_AN_EPOCH = 12
# A chat's number says what may be done with it, because a row that is deleted or that changes its key cannot be the
# target of an ON CONFLICT with a known result.
CONFLICT = {1, 2}
CLOSABLE = {0, 3, 4, 5, 6}
DELETABLE = {0}

# Single statements, each of which concerns one visitor or one authorization.
SINGLE = {
    "see_provided": 3,
    "see_channel": 3,
    "see_cookie": 3,
    "find": 2,
    "explain": 1,
    "search": 1,
    "insert_cookie": 10,
    "insert_channel": 4,
    "insert_provided": 6,
    "insert_nobody": 1,
    "insert_rows": 3,
    "insert_select": 2,
    "copy": 3,
    "login_call": 10,
    "login_channel": 4,
    "login_update": 12,
    "channel_appears": 2,
    "provided_leaves": 1,
    "write_back": 6,
    "close": 5,
    "login_close": 2,
    "delete": 2,
    "undo": 3,
    "policy": 1,
    "authorize": 3,
    "merge": 3,
    "forget": 1,
    "device": 4,
    "device_leaves": 1,
    "push_targets": 1,
}
# Kinds that need a function of the extension that it may not have yet.
NEEDS = {
    "authorize": "visitor_identity.authorize_visitor(jsonb, uuid, text, text, text, text)",
    "merge": "visitor_identity.merge_visitors(uuid, uuid, text, text)",
    "forget": "visitor_identity.forget_visitor(uuid, text, jsonb, text)",
    "device": "visitor_identity.register_device(uuid, text, text, text, text, text)",
    "device_leaves": "visitor_identity.unregister_device(text, text, text)",
    "push_targets": "visitor_identity.push_targets(uuid, text, text)",
}
SIGNATURE_KEY = "torture"
# Statements over rows of several visitors, or that mix a login with other rows of the visitor: they may deadlock as any
# statement over several rows may. And an INSERT that meets a chat that is there: its row is decided, and visitors are
# locked for it, before PostgreSQL looks for the chat and waits for whoever is changing it.
SEVERAL = {
    "conflict_nothing": 2,
    "conflict_update": 2,
    "insert_mixed": 3,
    "copy_mixed": 2,
    "insert_households": 3,
    "copy_households": 3,
    "login_all": 3,
    "login_two": 2,
}


@dataclass
class Step:
    kind: str
    household: object
    table: str
    u: tuple
    number: int


@dataclass
class Savepoint:
    steps: list
    rolled_back: bool


@dataclass
class Unit:
    """A single statement (level, one step) or a transaction."""

    level: str
    items: list
    transaction: bool = False
    commits: bool = True
    pauses: tuple = ()


@dataclass
class Options:
    seed: int
    clients: int
    tables: tuple
    excluded: frozenset = field(default_factory=frozenset)


def plan(options, round_number, client, phase):
    """What a client does in a round."""
    rng = Random(f"{options.seed}/{round_number}/{client}/{phase}")
    single = {kind: weight for kind, weight in SINGLE.items() if kind not in options.excluded}
    every = single if phase == "single" else {**single, **SEVERAL}
    kinds, weights = list(every), list(every.values())
    number = (round_number * 1000 + client) * 10000

    def home(epoch):
        account = rng.choice(ACCOUNTS)
        return household(
            options.seed, round_number, epoch, account, rng.randrange(HOUSEHOLDS)
        )

    def step(of):
        nonlocal number
        number += 8
        kind = rng.choices(kinds, weights)[0]
        table = TABLES[rng.choice(options.tables)]
        return Step(kind, of, table, tuple(rng.random() for _ in range(8)), number)

    units = []
    for index in range(UNITS_A_ROUND):
        of = home(index // UNITS_AN_EPOCH)
        if phase == "single":
            units.append(Unit("read committed", [step(of)]))
        elif rng.random() < 0.4:
            units.append(Unit(rng.choice(LEVELS), [step(of)]))
        else:
            items = []
            for _ in range(rng.randint(1, 4)):
                if rng.random() < 0.3:
                    of = home(index // UNITS_AN_EPOCH)
                if rng.random() < 0.25:
                    steps = [step(of) for _ in range(rng.randint(1, 2))]
                    items.append(Savepoint(steps, rng.random() < 0.6))
                else:
                    items.append(step(of))
            units.append(
                Unit(
                    rng.choice(LEVELS),
                    items,
                    transaction=True,
                    commits=rng.random() < 0.85,
                    pauses=tuple(rng.choice((0, 0, 0.001, 0.004)) for _ in items),
                )
            )
    return units


def cookie_node(of, cookie):
    return ("cookie", of.account, cookie)


def channel_node(of, channel):
    return ("channel", of.account, channel)


def readable(text, values):
    """A statement with its values in place, for reports."""
    for value in values:
        literal = "null" if value is None else str(value) if isinstance(value, int) else f"'{value}'"
        text = text.replace("%s", literal, 1)
    return text


class Wrong(Exception):
    """An answer that cannot be right."""


class Session:
    """Runs steps on one connection and collects what they did, for the model, in case they are committed."""

    def __init__(self, model, excluded):
        self.model = model
        self.excluded = excluded
        self.connection = None
        self.effects = []
        # What the statement at work will have done, if the answer to it never comes.
        self.intended = []
        self.local = []
        self.statement = ""
        self.done = 0

    def begin_unit(self):
        self.effects, self.intended, self.local = [], [], []

    def mark(self):
        return len(self.effects), len(self.local)

    def forget_since(self, mark):
        del self.effects[mark[0] :]
        del self.local[mark[1] :]

    def run(self, step):
        """Runs one step and counts it, unless there was nothing to do it to."""
        before = self.done
        getattr(self, "do_" + step.kind)(step)
        return self.done > before

    def sql(self, text, values=(), intended=()):
        self.statement = readable(text, values)
        self.intended = list(intended)
        cursor = self.connection.execute(text, values)
        self.done += 1
        self.intended = []
        return cursor

    def effect(self, *effects):
        self.effects.extend(effects)

    # Choices, made by the numbers of the plan.

    @staticmethod
    def one(values, u):
        return values[int(u * len(values))]

    def cookies(self, of):
        if "computed_cookie" in self.excluded:
            return [cookie for cookie in of.cookies if cookie != of.computed]
        return of.cookies

    def cookie(self, step):
        return self.one(self.cookies(step.household), step.u[0])

    def channel(self, step):
        return self.one(step.household.channels, step.u[1])

    def provided(self, step):
        return self.one(step.household.provided, step.u[2])

    def chat(self, step, classes=None, u=None):
        """A chat of the household, perhaps one of this very transaction."""
        u = step.u[3] if u is None else u
        mine = [
            key
            for key, of, _ in self.local
            if of == step.household
            and key[0] == step.table
            and (classes is None or key[2] % 7 in classes)
        ]
        if mine and u < 0.5:
            return mine[-1]
        return self.model.pick(step.household, step.table, u, classes)

    def nodes_of(self, key):
        for other, _, nodes in self.local:
            if other == key:
                return nodes
        chat = self.model.chats.get(key)
        return set(chat.nodes) if chat else set()

    def login_of(self, key, provided, visitor):
        """The effects of a chat that got a provided id."""
        effects = [("provided", key, provided)]
        nodes = self.nodes_of(key)
        if len(nodes) == 1:
            effects += [("must", node, provided) for node in nodes]
        if visitor is not None and key[1] == "calm":
            # Elsewhere an undo may have put the row back, and it keeps the provided id that it had.
            effects.append(("answer", key[1], provided, visitor))
        return effects

    # Calls.

    def do_see_provided(self, step):
        of, provided = step.household, self.provided(step)
        row = self.sql(
            "select visitor_identity.resolve_visitor(%s, account => %s)", (provided, of.account)
        ).fetchone()
        self.effect(("answer", of.account, provided, row[0]))

    def do_see_channel(self, step):
        kind, user = self.channel(step)
        row = self.sql(
            "select visitor_identity.resolve_visitor(channel_type => %s, channel_user_id => %s, account => %s)",
            (kind, user, step.household.account),
        ).fetchone()
        if row[0] is None:
            raise Wrong("resolve_visitor of a channel user id gave NULL")

    def do_see_cookie(self, step):
        row = self.sql(
            "select visitor_identity.resolve_visitor(visitor_id => %s, account => %s)",
            (self.cookie(step), step.household.account),
        ).fetchone()
        if row[0] is None:
            raise Wrong("resolve_visitor of a cookie gave NULL")

    def do_find(self, step):
        of, provided = step.household, self.provided(step)
        row = self.sql(
            "select visitor_identity.find_visitor(%s, visitor_id => %s, account => %s)",
            (provided, self.cookie(step), of.account),
        ).fetchone()
        self.effect(("answer", of.account, provided, row[0]))

    def do_explain(self, step):
        self.sql(
            "select count(*) from visitor_identity.explain_resolution(%s, visitor_id => %s, account => %s)",
            (self.provided(step), self.cookie(step), step.household.account),
        )

    def do_search(self, step):
        self.sql(
            "select count(*) from visitor_identity.search_history(%s, account => %s)",
            (str(self.cookie(step)), step.household.account),
        )

    def login(self, step, cookie, channel):
        of, provided = step.household, self.provided(step)
        kind, user = channel or (None, None)
        node = cookie and cookie_node(of, cookie)
        links = [("may", node, provided)] if cookie else []
        if channel:
            links.append(("must", channel_node(of, channel), provided))
        visitor, notes = self.sql(
            "select visitor_id, notes from visitor_identity.resolve_visitor_detail(%s, %s, %s, %s, account => %s)",
            (provided, kind, user, cookie, of.account),
            links,
        ).fetchone()
        self.effect(("answer", of.account, provided, visitor), *links)
        if cookie and "unknown_visitor_id" not in notes:
            self.effect(("must", node, provided))

    def do_login_call(self, step):
        self.login(step, self.cookie(step), None)

    def do_login_channel(self, step):
        cookie = self.cookie(step) if step.u[4] < 0.4 else None
        self.login(step, cookie, self.channel(step))

    def do_authorize(self, step):
        of, provided, cookie = step.household, self.provided(step), self.cookie(step)
        fields = {"id": provided, "crc": md5((provided + SIGNATURE_KEY).encode()).hexdigest()}
        links = [("may", cookie_node(of, cookie), provided)]
        row = self.sql(
            "select visitor_identity.authorize_visitor(%s::jsonb, visitor_id => %s, account => %s)",
            (json.dumps(fields), cookie, of.account),
            links,
        ).fetchone()
        self.effect(("answer", of.account, provided, row[0]), *links)

    # Devices.

    APP = "torture"

    def do_device(self, step):
        of, device = step.household, self.one(step.household.devices, step.u[4])
        answer = self.sql(
            "select v.visitor_id, case when v.visitor_id is not null then"
            " visitor_identity.register_device(v.visitor_id, %s, %s, 'fcm', %s, %s) end"
            " from (select visitor_identity.find_visitor(visitor_id => %s, account => %s)) as v (visitor_id)",
            (self.APP, device, f"token of {device}", of.account, self.cookie(step), of.account),
        ).fetchone()
        if answer[0] is not None and answer[1] is None:
            raise Wrong("register_device gave NULL")

    def do_device_leaves(self, step):
        of, device = step.household, self.one(step.household.devices, step.u[4])
        self.sql(
            "select visitor_identity.unregister_device(%s, %s, %s)", (self.APP, device, of.account)
        )

    def do_push_targets(self, step):
        of = step.household
        self.sql(
            "select * from visitor_identity.push_targets(provided_visitor_id => %s, account => %s)",
            (self.provided(step), of.account),
        )

    # Chats that arrive.

    COLUMNS = "account, chat_id, visitor_id, provided_visitor_id, channel_type, channel_user_id"

    def row(self, step, number, cookie=None, channel=None, provided=None):
        """A new chat: its values, and what it does when it is committed."""
        of = step.household
        key = (step.table, of.account, number)
        kind, user = channel or (None, None)
        if channel:
            nodes = {channel_node(of, channel)}
        elif cookie:
            nodes = {cookie_node(of, cookie)}
        else:
            nodes = {("chat", key)}
        effects = [("insert", of, key, nodes, provided)]
        if channel and cookie:
            # An unknown cookie beside a channel user id is another name of that visitor.
            effects.append(("same", channel_node(of, channel), cookie_node(of, cookie)))
        if provided:
            effects += [("must", node, provided) for node in nodes]
            if cookie:
                effects.append(("must", cookie_node(of, cookie), provided))
        return (of.account, number, cookie, provided, kind, user), effects, (key, of, nodes)

    def insert(self, step, rows, form="values"):
        values = [row[0] for row in rows]
        effects = [effect for row in rows for effect in row[1]]
        parameters = [value for row in values for value in row]
        if form == "copy":
            self.statement = f"copy {step.table} {values}"
            self.intended = effects
            with self.connection.cursor() as cursor:
                with cursor.copy(f"copy {step.table} ({self.COLUMNS}) from stdin") as copy:
                    for row in values:
                        copy.write_row(row)
            self.done += 1
            self.intended = []
            answers = []
        else:
            one = "(%s::text, %s::bigint, %s::uuid, %s::text, %s::text, %s::text)"
            source = "values " + ", ".join([one] * len(values))
            if form == "select":
                source = f"select * from ({source}) as r ({self.COLUMNS}) order by chat_id"
            answers = self.sql(
                f"insert into {step.table} ({self.COLUMNS}) {source}"
                " returning chat_id, visitor_id, provided_visitor_id",
                parameters,
                effects,
            ).fetchall()
            if len(answers) != len(values):
                raise Wrong(f"{len(values)} rows inserted, {len(answers)} returned")
        self.effect(*effects)
        for _, visitor, provided in answers:
            if visitor is None:
                raise Wrong("a chat was inserted without a visitor")
            if provided:
                self.effect(("answer", step.household.account, provided, visitor))
        self.local += [row[2] for row in rows]

    def do_insert_cookie(self, step):
        self.insert(step, [self.row(step, step.number, self.cookie(step))])

    def do_insert_channel(self, step):
        cookie = self.cookie(step) if step.u[4] < 0.3 else None
        self.insert(step, [self.row(step, step.number, cookie, self.channel(step))])

    def do_insert_provided(self, step):
        cookie = self.cookie(step) if step.u[4] < 0.7 else None
        channel = self.channel(step) if step.u[5] < 0.3 else None
        self.insert(step, [self.row(step, step.number, cookie, channel, self.provided(step))])

    def do_insert_nobody(self, step):
        self.insert(step, [self.row(step, step.number)])

    def rows_of_one(self, step, mixed=False):
        """Three chats of one cookie: all of them anonymous, all of them a login, or one of them a login."""
        cookie, provided = self.cookie(step), self.provided(step)
        if mixed:
            logins = {int(step.u[4] * 3)}
        else:
            logins = {0, 1, 2} if step.u[4] < 0.4 else set()
        return [
            self.row(step, step.number + i, cookie, None, provided if i in logins else None)
            for i in range(3)
        ]

    def do_insert_rows(self, step):
        self.insert(step, self.rows_of_one(step))

    def do_insert_select(self, step):
        self.insert(step, self.rows_of_one(step), "select")

    def do_copy(self, step):
        self.insert(step, self.rows_of_one(step), "copy")

    def do_insert_mixed(self, step):
        self.insert(step, self.rows_of_one(step, True), self.one(("values", "select"), step.u[5]))

    def do_copy_mixed(self, step):
        self.insert(step, self.rows_of_one(step, True), "copy")

    def rows_of_many(self, step):
        of = step.household
        rows = []
        for i in range(5):
            u = step.u[i] * 17 % 1
            rows.append(
                self.row(
                    step,
                    step.number + i,
                    self.one(self.cookies(of), u) if u * 3 % 1 < 0.8 else None,
                    self.one(of.channels, u) if u * 5 % 1 < 0.2 else None,
                    self.one(of.provided, u * 7 % 1) if u * 11 % 1 < 0.4 else None,
                )
            )
        return rows

    def do_insert_households(self, step):
        self.insert(step, self.rows_of_many(step), self.one(("values", "select"), step.u[5]))

    def do_copy_households(self, step):
        self.insert(step, self.rows_of_many(step), "copy")

    def conflict(self, step, action):
        key = self.chat(step, CONFLICT)
        if key is None:
            return
        of, provided = step.household, self.provided(step)
        cookie = self.cookie(step)
        target = "account, chat_id" + (", state" if step.table == TABLES["partitioned"] else "")
        proposed = [("may", cookie_node(of, cookie), provided)]
        changed = [("touch", key), ("provided", key, provided)] if action != "nothing" else []
        answer = self.sql(
            f"insert into {step.table} as t ({self.COLUMNS})"
            f" values (%s, %s, %s, %s, null, null) on conflict ({target}) do {action}"
            " returning t.hits, t.visitor_id",
            (of.account, key[2], cookie, provided),
            proposed + changed,
        ).fetchone()
        self.effect(*proposed)
        if answer is None and action != "nothing":
            raise Wrong("ON CONFLICT DO UPDATE neither inserted nor updated")
        if answer is not None:
            hits, visitor = answer
            if hits > 0:
                self.effect(("touch", key), *self.login_of(key, provided, visitor))
            else:
                # The row in the way was never committed.
                self.effect(*self.row(step, key[2], cookie, None, provided)[1])

    def do_conflict_nothing(self, step):
        self.conflict(step, "nothing")

    def do_conflict_update(self, step):
        self.conflict(
            step,
            "update set provided_visitor_id = excluded.provided_visitor_id, hits = t.hits + 1",
        )

    # Chats that change.

    def update(self, key, changes, values, effects, returning="visitor_id"):
        """One UPDATE of one chat by its key. None: the chat is not there."""
        effects = [("touch", key), *effects]
        cursor = self.sql(
            f"update {key[0]} set {changes}, hits = hits + 1 where account = %s and chat_id = %s"
            f" returning {returning}",
            (*values, key[1], key[2]),
            effects,
        )
        rows = cursor.fetchall()
        if len(rows) > 1:
            raise Wrong("one chat is there twice")
        if rows:
            self.effect(*effects)
            return rows[0][0]
        return None

    def do_login_update(self, step):
        key = self.chat(step)
        if key is None:
            return
        provided = self.provided(step)
        visitor = self.update(
            key, "provided_visitor_id = %s", (provided,), [("provided", key, provided)]
        )
        if visitor is not None:
            self.effect(*self.login_of(key, provided, visitor))

    def do_login_two(self, step):
        keys = {self.chat(step), self.chat(step, u=step.u[4])} - {None}
        provided = self.provided(step)
        if not keys:
            return
        rows = self.sql(
            f"update {step.table} set provided_visitor_id = %s, hits = hits + 1"
            " where account = %s and chat_id = any (%s) returning chat_id, visitor_id",
            (provided, step.household.account, sorted(key[2] for key in keys)),
            [
                effect
                for key in keys
                for effect in [("touch", key), ("provided", key, provided)]
            ],
        ).fetchall()
        for number, visitor in rows:
            key = (step.table, step.household.account, number)
            self.effect(("touch", key), *self.login_of(key, provided, visitor))

    def do_login_all(self, step):
        key = self.chat(step)
        if key is None:
            return
        provided = self.provided(step)
        # Whichever chats it meets.
        intended = [
            effect
            for other in list(self.model.of_household.get((step.household, step.table), ()))
            for effect in [("touch", other), ("provided", other, provided)]
        ]
        rows = self.sql(
            f"update {step.table} as t set provided_visitor_id = %s, hits = t.hits + 1"
            f" from (select visitor_id from {step.table} where account = %s and chat_id = %s) as v"
            " where t.account = %s and t.visitor_id = v.visitor_id returning t.chat_id, t.visitor_id",
            (provided, key[1], key[2], key[1]),
            intended,
        ).fetchall()
        for number, visitor in rows:
            other = (step.table, key[1], number)
            self.effect(("touch", other), *self.login_of(other, provided, visitor))

    def do_channel_appears(self, step):
        if step.household.exact:
            return
        key = self.chat(step)
        if key is None:
            return
        channel = self.channel(step)
        self.update(
            key,
            "channel_type = %s, channel_user_id = %s",
            channel,
            [("also", key, channel_node(step.household, channel))],
        )

    def do_provided_leaves(self, step):
        key = self.chat(step)
        if key is not None:
            self.update(key, "provided_visitor_id = null", (), [("provided", key, None)])

    def do_write_back(self, step):
        """An ORM that saves all it has read, a moment ago."""
        key = self.chat(step)
        if key is None:
            return
        source, effects = key, []
        if step.household.account != "calm" and step.u[4] < 0.3:
            source = self.chat(step, u=step.u[5]) or key
            if source != key:
                effects = [("same", ("chat", key), ("chat", source))]
        row = self.sql(
            f"select visitor_id from {source[0]} where account = %s and chat_id = %s",
            (source[1], source[2]),
        ).fetchone()
        if row is None:
            return
        if step.u[6] < 0.5:
            sleep(0.003)
        self.update(key, "visitor_id = %s, note = 'saved'", (row[0],), effects)

    def do_close(self, step):
        key = self.chat(step, CLOSABLE)
        if key is not None:
            self.update(key, "state = 'closed'", (), [("close", key)])

    def do_login_close(self, step):
        key = self.chat(step, CLOSABLE)
        if key is None:
            return
        provided = self.provided(step)
        visitor = self.update(
            key,
            "provided_visitor_id = %s, state = 'closed'",
            (provided,),
            [("provided", key, provided), ("close", key)],
        )
        if visitor is not None:
            self.effect(*self.login_of(key, provided, visitor))

    def do_delete(self, step):
        key = self.chat(step, DELETABLE)
        if key is None:
            return
        deleted = self.sql(
            f"delete from {key[0]} where account = %s and chat_id = %s",
            (key[1], key[2]),
            [("delete", key)],
        ).rowcount
        if deleted:
            self.effect(("delete", key))

    # What a DBA does meanwhile, in an account of its own.

    def do_undo(self, step):
        account = "chaos" if step.household.account == "calm" else step.household.account
        row = self.sql(
            "select rebind_id from visitor_identity.rebind"
            " where account = %s and undone_at is null order by rebind_id desc limit 1 offset %s",
            (account, int(step.u[4] * 12)),
        ).fetchone()
        if row is not None:
            self.sql("select * from visitor_identity.undo_rebind(%s, %s)", (row[0], account))

    def do_merge(self, step):
        of = step.household
        if of.account != "desk":
            return
        self.sql(
            "select visitor_identity.merge_visitors("
            "visitor_identity.find_visitor(visitor_id => %s, account => %s),"
            " visitor_identity.find_visitor(%s, account => %s), account => %s)",
            (self.cookie(step), of.account, self.provided(step), of.account, of.account),
        )

    def do_forget(self, step):
        of = step.household
        if of.account != "desk":
            return
        self.sql(
            "select * from visitor_identity.forget_visitor("
            "visitor_identity.find_visitor(visitor_id => %s, account => %s), 'anonymize', account => %s)",
            (self.cookie(step), of.account, of.account),
        )

    def do_policy(self, step):
        self.sql(
            "update visitor_identity.account set on_authorization = %s, max_rebinds = %s, max_rebind_chats = %s"
            " where account = 'chaos'",
            (
                "keep" if step.u[4] < 0.3 else "rebind",
                self.one((0, 1, 2, 1000, 1000), step.u[5]),
                self.one((0, 2, 5, 10000, 10000), step.u[6]),
            ),
        )
