"""What has to be true when nobody is at work: compares the database with the model."""

from collections import Counter, defaultdict
from itertools import combinations

from households import DESK
from model import NO, YES
from operations import TABLES


class Checks:
    def __init__(self, connection, model, tables):
        self.connection = connection
        self.model = model
        self.tables = [TABLES[table] for table in tables]
        self.owed = 0
        self.facts = Counter()

    def wrong(self, kind, text):
        self.model.violation(kind, text)

    def rows(self, text, values=()):
        return self.connection.execute(text, values).fetchall()

    def run(self):
        self.nothing_locked()
        self.complete_owed()
        for problem in self.rows("select * from visitor_identity.check_integrity()"):
            self.wrong(f"check_integrity: {problem[0]}", " | ".join(str(value) for value in problem[1:]))
        self.read()
        self.pointers()
        self.identifiers()
        self.chats()
        self.exact_households()
        self.log()
        self.devices()
        self.views()

    def nothing_locked(self):
        for mode, what in self.rows(
            "select l.mode, l.locktype from pg_locks as l"
            " where l.pid <> pg_backend_pid() and l.locktype in ('advisory', 'tuple', 'transactionid')"
            " and l.database = (select oid from pg_database where datname = current_database())"
        ):
            self.wrong("still locked", f"{what} {mode}")

    def complete_owed(self):
        """One call for each rebinding that was owed completes it."""
        for account, visitor, provided in self.rows(
            "select r.account, r.visitor_id, p.provided_visitor_id from visitor_identity.pending_rebind as r"
            " join visitor_identity.visitor as v on v.account = r.account and v.visitor_id = r.to_visitor_id"
            " left join lateral (select min(i.provided_visitor_id) as provided_visitor_id"
            " from visitor_identity.provided_identity as i where i.account = r.account"
            " and i.visitor_id = coalesce(v.superseded_by, v.visitor_id)) as p on true order by r.created_at"
        ):
            self.owed += 1
            self.rows(
                "select visitor_identity.resolve_visitor(%s, visitor_id => %s, account => %s)",
                (provided, visitor, account),
            )
        for row in self.rows("select * from visitor_identity.pending_rebind"):
            self.wrong("still owed after a call for it", str(row))

    def read(self):
        self.visitors = {
            (account, visitor): (superseded_by, identified)
            for account, visitor, superseded_by, identified in self.rows(
                "select account, visitor_id, superseded_by, identified from visitor_identity.visitor"
            )
        }
        self.bound = {
            (account, provided): visitor
            for account, provided, visitor in self.rows(
                "select account, provided_visitor_id, visitor_id from visitor_identity.provided_identity"
            )
        }
        self.channels = self.rows(
            "select account, channel_type, channel_user_id, visitor_id from visitor_identity.channel_identity"
        )
        self.found = {}
        self.twice = []
        for table in self.tables:
            for account, number, *rest in self.rows(
                "select account, chat_id, visitor_id, origin_visitor_id, provided_visitor_id, state, hits"
                f" from {table}"
            ):
                key = (table, account, number)
                if key in self.found:
                    self.twice.append(key)
                self.found[key] = rest
        self.entries = defaultdict(list)
        for rebind_id, account, table, number, left, to, undone in self.rows(
            "select r.rebind_id, r.account, k.moved_table::regclass::text, (e.key ->> 'chat_id')::bigint,"
            " r.from_visitor_id, r.to_visitor_id, r.undone_at is not null"
            " from visitor_identity.rebind as r"
            " join visitor_identity.rebind_row as k using (account, rebind_id)"
            " cross join jsonb_array_elements(k.keys) as e (key)"
            " where k.moved_table = any (%s::regclass[])",
            (self.tables,),
        ):
            self.entries[table, account, number].append((rebind_id, left, to, undone))
        self.facts["chats"] = len(self.found)
        self.facts["rebindings"] = self.rows("select count(*) from visitor_identity.rebind")[0][0]
        self.facts["undone"] = self.rows(
            "select count(*) from visitor_identity.rebind where undone_at is not null"
        )[0][0]

    def pointers(self):
        for (account, visitor), (survivor, _) in self.visitors.items():
            if survivor is not None and self.visitors.get((account, survivor), (1,))[0] is not None:
                self.wrong("pointer deeper than one", f"{account} {visitor} -> {survivor}")

    def identifiers(self):
        held = Counter((account, visitor) for (account, _), visitor in self.bound.items())
        for holder, number in held.items():
            if number > 1 and holder[0] != DESK:
                self.wrong("two people are one visitor", str(holder))
        for (account, provided), visitor in self.bound.items():
            if self.visitors.get((account, visitor)) != (None, True):
                self.wrong("a provided id on no identified survivor", f"{account} {provided}")
            answer = self.model.answers.get((account, provided), visitor)
            if answer != visitor and account != DESK:
                self.wrong("a provided id changed its visitor", f"{account} {provided} {answer}")
        for account, provided in self.model.answers:
            if (account, provided) not in self.bound and account != DESK:
                self.wrong("an answered provided id is not bound", f"{account} {provided}")
        for account, kind, user, visitor in self.channels:
            if self.visitors.get((account, visitor), (1,))[0] is not None:
                self.wrong("a channel user id on no survivor", f"{account} {kind} {user}")

    def chats(self):
        for key in self.twice:
            self.wrong("a chat is there twice", str(key))
        may, _ = self.model.links()
        people = defaultdict(set)
        for (account, provided), visitor in self.bound.items():
            people[account, visitor].add(provided)
        homes = defaultdict(set)
        for key, chat in self.model.chats.items():
            if key not in self.found and chat.there == YES and chat.deleted == NO:
                self.wrong("a committed chat is lost", str(key))
            if key in self.found and chat.deleted == YES:
                self.wrong("a deleted chat is there", str(key))
        for key, (visitor, origin, provided, state, hits) in self.found.items():
            account = key[1]
            chat = self.model.chats.get(key)
            if chat is None or chat.there == NO:
                self.wrong("a chat that nobody committed", str(key))
                continue
            homes[account, visitor].add(chat.household.name)
            if self.visitors.get((account, visitor), (1,))[0] is not None:
                self.wrong("a chat left behind", f"{key} on {visitor}")
            if origin is None:
                self.wrong("a chat without an origin", str(key))
            if not chat.hits_least <= hits <= chat.hits_most:
                self.wrong(
                    "an update was lost or made twice",
                    f"{key}: {hits}, acknowledged {chat.hits_least} to {chat.hits_most}",
                )
            if chat.closed == YES and state != "closed" or chat.closed == NO and state == "closed":
                self.wrong("closed or not", f"{key}: {state}")
            if provided not in chat.current and not (account == DESK and provided is None):
                self.wrong("a provided id that nobody committed", f"{key}: {provided}")
            if provided is not None and self.bound.get((account, provided)) != visitor:
                undone = [entry for entry in self.entries.get(key, ()) if entry[3]]
                came_back = any(left == visitor for _, left, _, _ in undone)
                was_there = any(to == self.bound.get((account, provided)) for _, _, to, _ in undone)
                if not (came_back and was_there):
                    self.wrong(
                        "a chat that is not with its own person",
                        f"{key} {provided} on {visitor} {people.get((account, visitor))}",
                    )
            holders = people.get((account, visitor), set())
            if account != DESK and not holders <= self.model.allowed(chat, may):
                self.wrong(
                    "a chat with a person it never met",
                    f"{key} on {holders}, allowed {self.model.allowed(chat, may)}",
                )
        for (account, visitor), names in homes.items():
            if len(names) > 1:
                self.wrong("one visitor of two households", f"{account} {visitor} {names}")

    def exact_households(self):
        """One person, no undo, no policy change: every identifier that was shown with his id is his."""
        _, must = self.model.links()
        homes = {
            chat.household
            for chat in self.model.chats.values()
            if chat.household and chat.household.exact
        }
        for of in homes:
            person = self.bound.get((of.account, of.provided[0]))
            for cookie in of.cookies:
                if of.provided[0] in must.get(("cookie", of.account, cookie), ()):
                    (found,) = self.rows(
                        "select visitor_identity.find_visitor(visitor_id => %s, account => %s)",
                        (cookie, of.account),
                    )[0]
                    if found != person:
                        self.wrong("a cookie that did not follow its person", f"{of.name} {cookie}")
            for channel in of.channels:
                if of.provided[0] in must.get(("channel", of.account, channel), ()):
                    (found,) = self.rows(
                        "select visitor_identity.find_visitor("
                        "channel_type => %s, channel_user_id => %s, account => %s)",
                        (*channel, of.account),
                    )[0]
                    if found != person:
                        self.wrong("a channel that did not follow its person", f"{of.name} {channel}")
        for key, (visitor, *_) in self.found.items():
            chat = self.model.chats.get(key)
            if chat and chat.household and chat.household.exact and len(chat.nodes) == 1:
                of = chat.household
                owner = self.bound.get((of.account, of.provided[0]))
                if must.get(next(iter(chat.nodes))) and visitor != owner:
                    self.wrong("a chat that did not follow its person", f"{key} on {visitor}")

    def log(self):
        """The log entries of a chat lead from its origin to where it is, each of them once."""
        for rebind_id, account, count, logged in self.rows(
            "select r.rebind_id, r.account, r.rebound_chats, coalesce(sum(jsonb_array_length(k.keys)), 0)"
            " from visitor_identity.rebind as r left join visitor_identity.rebind_row as k"
            " on k.account = r.account and k.rebind_id = r.rebind_id"
            " and k.moved_table = any (%s::regclass[]) group by 1, 2, 3",
            (self.tables,),
        ):
            # A person who is forgotten takes the keys of his chats out of the log.
            if count != logged and account != DESK:
                self.wrong("a rebinding is miscounted", f"{account} {rebind_id}: {count}, {logged}")
        for key, entries in self.entries.items():
            if key not in self.model.chats:
                self.wrong("a rebinding of a chat that nobody committed", str(key))
        for key, (visitor, origin, *_) in self.found.items():
            if key[1] == DESK:
                # The log of a person who was forgotten went with him.
                continue
            entries = self.entries.get(key, [])
            standing = [entry for entry in entries if not entry[3]]
            # An undone move counts if the chat had gone on before the undo came.
            undone = [entry for entry in entries if entry[3]][:6]
            for size in range(len(undone) + 1):
                if any(
                    leads(origin, visitor, standing + list(some))
                    for some in combinations(undone, size)
                ):
                    break
            else:
                told = [(str(left), str(to), bool(was)) for _, left, to, was in entries]
                self.wrong("a move that the log does not account for", f"{key} {origin} -> {visitor}: {told}")

    def devices(self):
        """A device is there once (its key says so), and with no one but a visitor who stands."""
        if self.rows("select to_regclass('visitor_identity.device')")[0][0] is None:
            return
        for account, visitor in self.rows("select account, visitor_id from visitor_identity.device"):
            if self.visitors.get((account, visitor), (1,))[0] is not None:
                self.wrong("a device left behind", f"{account} {visitor}")

    def views(self):
        for table in self.tables:
            (counts,) = self.rows(
                f"select (select count(*) from {table}_history), (select count(*) from {table}_workspace),"
                f" (select count(*) from {table} where state = 'closed'), (select count(*) from {table})"
            )
            history, workspace, closed, every = counts
            if (history, workspace) != (closed, every - closed):
                self.wrong("the views do not show one row a chat", f"{table} {counts}")


def leads(origin, visitor, entries):
    """Whether these moves, each made once, are a way from the origin to the visitor."""
    balance = Counter()
    balance[origin] += 1
    balance[visitor] -= 1
    for _, left, to, _ in entries:
        balance[left] -= 1
        balance[to] += 1
    return not any(balance.values())
