"""What the driver knows: which chats were committed, and with whom each of them may be.

Independent of the extension: it hears only what a commit acknowledged. A chat hangs on the anonymous identifiers that it
came with (its nodes: cookies, channel user ids, or itself). A provided id that was shown together with a node may have
absorbed the node's visitor; in a household of one person it must have.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from threading import Lock

from households import DESK

NO, MAYBE, YES = 0, 1, 2
# Of one kind of violation so many are told, the others counted.
MOST_TOLD = 6


@dataclass
class Chat:
    household: object = None
    nodes: set = field(default_factory=set)
    there: int = NO
    deleted: int = NO
    closed: int = NO
    hits_least: int = 0
    hits_most: int = 0
    # Every provided id that the row ever had; those it may have now.
    own: set = field(default_factory=set)
    current: set = field(default_factory=set)


class Model:
    def __init__(self):
        self.lock = Lock()
        self.violations = Counter()
        self.clear()

    def clear(self):
        """Forgets all chats, as the database does."""
        self.chats = {}
        self.of_household = defaultdict(list)
        self.answers = {}
        # node -> provided ids that may have, that must have absorbed its visitor
        self.may = defaultdict(set)
        self.must = defaultdict(set)
        # nodes that became names of each other
        self.same = defaultdict(set)

    def violation(self, kind, text=""):
        """Counts a violation; of one kind only the first ones are told."""
        self.violations[kind] += 1
        if self.violations[kind] <= MOST_TOLD:
            print(f"VIOLATION {kind}: {text}", flush=True)

    def pick(self, household, table, u, classes=None):
        """One of the household's chats, mostly a recent one. None: there is none yet."""
        keys = self.of_household.get((household, table))
        if not keys:
            return None
        keys = keys[-5:] if u < 0.7 else keys[:]
        if classes is not None:
            keys = [key for key in keys if key[2] % 7 in classes]
        return keys[int(u * 7919) % len(keys)] if keys else None

    # Acknowledged effects. `sure` is YES, or MAYBE when the answer to the COMMIT never came.

    def apply(self, effects, sure=YES):
        with self.lock:
            for name, *arguments in effects:
                getattr(self, "_" + name)(sure, *arguments)

    def _chat(self, key):
        # A change may be heard of before the insert: of two commits either acknowledgement may come first.
        return self.chats.setdefault(key, Chat())

    def _insert(self, sure, household, key, nodes, provided):
        chat = self._chat(key)
        if chat.household is None:
            chat.household = household
            self.of_household[household, key[0]].append(key)
        chat.there = max(chat.there, sure)
        chat.nodes |= nodes
        self._provided(sure, key, provided)

    def _touch(self, sure, key):
        chat = self._chat(key)
        chat.hits_most += 1
        chat.hits_least += sure == YES

    def _provided(self, sure, key, provided):
        chat = self._chat(key)
        chat.current.add(provided)
        if provided:
            chat.own.add(provided)

    def _also(self, sure, key, node):
        self._chat(key).nodes.add(node)

    def _close(self, sure, key):
        chat = self._chat(key)
        chat.closed = max(chat.closed, sure)

    def _delete(self, sure, key):
        chat = self._chat(key)
        chat.deleted = max(chat.deleted, sure)

    def _may(self, sure, node, provided):
        self.may[node].add(provided)

    def _must(self, sure, node, provided):
        self.may[node].add(provided)
        if sure == YES:
            self.must[node].add(provided)

    def _same(self, sure, one, other):
        self.same[one].add(other)
        self.same[other].add(one)

    def _answer(self, sure, account, provided, visitor):
        if sure != YES or visitor is None or account == DESK:
            return
        known = self.answers.setdefault((account, provided), visitor)
        if known != visitor:
            self.violation(
                "two answers for one provided id", f"{account} {provided}: {known} and {visitor}"
            )

    # What follows from all that.

    def links(self):
        """(may, must): of every node, the provided ids that may have and that must have absorbed its visitor."""
        may = {node: set(provided) for node, provided in self.may.items()}
        same = {node: set(others) for node, others in self.same.items()}
        for key, chat in self.chats.items():
            itself = ("chat", key)
            of = chat.household
            if of and of.computed:
                # That cookie's visitor is identified in place by the provided id it is computed from.
                may.setdefault(("cookie", of.account, of.computed), set()).add(of.provided[0])
            for node in chat.nodes:
                may.setdefault(node, set()).update(chat.own)
                if itself in same:
                    # The row was written over with another one's visitor_id, or the other way round.
                    same[itself].add(node)
                    same.setdefault(node, set()).add(itself)
        closed = {}
        for node in set(may) | set(same):
            if node in closed:
                continue
            group, todo = {node}, [node]
            while todo:
                for other in same.get(todo.pop(), ()):
                    if other not in group:
                        group.add(other)
                        todo.append(other)
            provided = set().union(*(may.get(member, set()) for member in group))
            for member in group:
                closed[member] = provided
        return closed, self.must

    def allowed(self, chat, may):
        """The provided ids whose visitor this chat may be with."""
        return chat.own.union(*(may.get(node, set()) for node in chat.nodes))
