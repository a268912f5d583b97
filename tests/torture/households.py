"""The few identifiers that everybody fights over, as a function of the seed.

A household is a set of identifiers that may meet each other: cookies, channel user ids, provided ids. Nothing ever links
two households, so a visitor who has chats of two of them is a violation by itself.

    person   one provided id: where every chat has to end is known exactly
    shared   several provided ids behind the same browsers and channels: which of them each chat may be with is known
"""

from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID, uuid5

SEED_SPACE = UUID("6f1c5b52-7a0e-4a53-8c39-0d4f8a1d7c11")
NAMESPACES = {
    # Nothing is undone here and no policy changes.
    "calm": UUID("11111111-1111-4111-8111-111111111111"),
    "chaos": UUID("22222222-2222-4222-8222-222222222222"),
    # Where visitors are merged and forgotten: of whom a chat may be then, no model says.
    "desk": UUID("33333333-3333-4333-8333-333333333333"),
}
ACCOUNTS = tuple(NAMESPACES)
DESK = "desk"
HOUSEHOLDS = 2


@dataclass(frozen=True)
class Household:
    account: str
    name: str
    kind: str
    provided: tuple
    cookies: tuple
    channels: tuple
    devices: tuple
    computed: UUID | None

    @property
    def exact(self):
        return self.account == "calm" and self.kind == "person"


def derived(account, provided):
    """The visitor_id that the extension computes from a provided id, generation 0."""
    text = f"19:provided_visitor_id,{len(provided)}:{provided},"
    return uuid5(NAMESPACES[account], text)


@lru_cache(maxsize=20000)
def household(seed, round_number, epoch, account, number):
    name = f"{round_number}.{epoch}.{account}.{number}"
    shared = account != "calm" or number > 0
    provided = tuple(f"P{i}-{name}" for i in range(3 if shared else 1))
    cookies = [uuid5(SEED_SPACE, f"{seed}/{name}/{i}") for i in range(3)]
    # A browser that holds the very id that is computed from a provided id.
    computed = derived(account, provided[0]) if shared else None
    if computed:
        cookies.append(computed)
    digits = uuid5(SEED_SPACE, f"{seed}/{name}/channel").int
    channels = (
        ("telegram", str(10**14 + digits % 10**15)),
        ("whatsapp", str(10**13 + digits // 10**15 % 10**13)),
    )
    devices = tuple(str(uuid5(SEED_SPACE, f"{seed}/{name}/device/{i}")) for i in range(2))
    return Household(
        account,
        name,
        "shared" if shared else "person",
        provided,
        tuple(cookies),
        channels,
        devices,
        computed,
    )
