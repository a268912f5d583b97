#!/usr/bin/env python3
"""Writes demo/requests.csv: a day of a support desk, as the chat database receives it.

    demo/generate.py > demo/requests.csv

One row is one event, in the order of arrival: a chat is opened, a visitor logs in halfway through it,
a chat is closed. The column `person` is who it truly was; the extension is never told. The clients
behave as real ones do: several browsers a person, shared computers, channels, ids that are missing,
misspelt or `undefined`, two client companies (accounts) with the same customer numbers, phones that
deliver late. Four things hold, and make it decidable which chats belong together:

  - an anonymous cookie is one person's: it is dropped at logout, the next cookie is a new one;
  - a channel user id is one person's, within its account and page, bot or number (`channel_id`);
  - a provided id is one person's, within its account;
  - a person has at most one provided id in an account.

The same program with the same seed writes the same bytes, on any version of Python 3: only
random() itself is used, whose sequence is guaranteed.
"""

import collections
import csv
import math
import random
import sys
from datetime import datetime, timedelta

SEED = 20260302
DAY = datetime(2026, 3, 2)
PEOPLE = {"north": 3600, "south": 2400}
CHATS = 20000  # about
COLUMNS = [
    "arrival", "event", "request", "account", "event_at", "visitor_id", "provided_visitor_id",
    "channel_type", "channel_id", "channel_user_id", "department", "person",
]

# What clients send where they have no id. All of it means: nobody.
NO_ID = ["0", "undefined", "null", "   ", "", "None", "000", "NaN", "guest", "anonymous",
         "[object Object]", '"null"', "UNDEFINED", " 0 ", "{{user.id}}"]
NO_COOKIE = ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]
# Blanks that come along with ids: typed, pasted from a table, from a web page, from a file.
BLANKS = [" ", "  ", "\t", "\u00a0", "\u200b", "\ufeff", "\u3000"]
DEPARTMENTS = ["sales", "support", "billing"]
PAGES = {"north": ["101775", "102331"], "south": ["204467"]}  # Facebook
BOTS = {"north": ["sales-bot", "care-bot"], "south": ["bot"]}  # Viber

rng = random.Random(SEED)


def chance(probability):
    return rng.random() < probability


def number(low, high):
    """A whole number from low to high, both included."""
    return low + int(rng.random() * (high - low + 1))


def one_of(values):
    return values[int(rng.random() * len(values))]


def text(alphabet, length):
    return "".join(one_of(alphabet) for _ in range(length))


def new_cookie():
    """The visitor_id a browser holds: a random uuid (version 4)."""
    bits = int(rng.random() * 2**48) << 80 | int(rng.random() * 2**48) << 32 | int(rng.random() * 2**32)
    bits = bits & ~(0xF << 76) & ~(0x3 << 62) | 4 << 76 | 2 << 62
    digits = f"{bits:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def time_of_day():
    """Seconds since midnight: two humps, late morning and early evening."""
    while True:
        centre, width = (11 * 3600, 7500) if chance(0.6) else (17.5 * 3600, 8500)
        # Box and Muller's normal distribution.
        seconds = centre + width * math.sqrt(-2 * math.log(1 - rng.random())) * math.cos(
            2 * math.pi * rng.random())
        if 3600 < seconds < 86000:
            return int(seconds)


class Person:
    def __init__(self, key, account):
        self.key = key
        self.account = account
        self.provided = None
        self.phone = None


class Desk:
    """Collects the events of the day and what kinds of things happened."""

    def __init__(self):
        self.chats = 0
        self.events = []  # (arrival second, tie breaker, row)
        self.kinds = collections.Counter()

    def add(self, arrives, row):
        self.events.append((arrives, len(self.events), row))

    def chat(self, person, opened, cookie="", provided=None, channel=None, login=None, minutes=None,
             late=None, closed=None):
        """One chat; the result is when it ends. `provided` is what it is opened with, None for nothing, or
        what clients send for nothing; `login` appears halfway; `channel` is (type, channel id, user id)."""
        self.chats += 1
        request = self.chats
        channel_type, channel_id, channel_user_id = channel or ("", "", "")
        if provided is None:
            provided = one_of(NO_ID) if chance(0.07) else ""
            if provided:
                self.kinds["chats with a placeholder or blanks as provided id"] += 1
        elif provided not in NO_ID:
            self.kinds["chats opened with a provided id"] += 1
        if late is None:
            late = number(60, 9000) if chance(0.06) else number(0, 3)
        if late >= 60:
            self.kinds["chats that arrive late"] += 1
        self.kinds[f"chats over {channel_type or 'web'}"] += 1
        if not (cookie or provided.strip() or channel):
            self.kinds["chats without any identifier"] += 1
        arrives = opened + late
        minutes = minutes or number(3, 35)
        common = {"request": request, "account": person.account}
        self.add(arrives, {
            **common, "event": "open", "event_at": opened, "visitor_id": cookie,
            "provided_visitor_id": provided, "channel_type": channel_type, "channel_id": channel_id,
            "channel_user_id": channel_user_id, "department": one_of(DEPARTMENTS), "person": person.key})
        if login is not None:
            self.kinds["logins halfway through a chat"] += 1
            at = opened + number(30, minutes * 45)
            if chance(0.05):  # the page first reports what it does not know yet
                self.login(common, at - 1, late, one_of(["undefined", "null", "0"]))
            self.login(common, at, late, self.spell(login))
            if chance(0.03):  # and forgets it again when it is reloaded: the visitor stays who he is
                self.login(common, at + number(5, 60), late, one_of(["", "0", "undefined"]))
        ends = opened + minutes * 60
        if closed is None:
            closed = ends < 84000 and not chance(0.02)
        if closed:
            self.add(max(ends, opened + 60) + late + 90, {**common, "event": "close", "event_at": ends})
        return ends

    def login(self, common, at, late, provided):
        self.add(at + late, {**common, "event": "login", "event_at": at, "provided_visitor_id": provided})

    def spell(self, provided):
        if not chance(0.04):
            return provided
        self.kinds["provided ids with blanks around"] += 1
        return (one_of(BLANKS) if chance(0.5) else "") + provided + one_of(BLANKS)

    def write(self, out):
        self.events.sort(key=lambda event: event[:2])
        # Requests are numbered by the server, as they arrive.
        order = {}
        for _, _, row in self.events:
            if row["event"] == "open":
                order[row["request"]] = len(order) + 1
        writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for arrival, (_, _, row) in enumerate(self.events, start=1):
            at = (DAY + timedelta(seconds=row["event_at"])).strftime("%Y-%m-%d %H:%M:%S")
            writer.writerow({**row, "arrival": arrival, "request": order[row["request"]], "event_at": at})


desk = Desk()


def browser(person, times, can_login, logged_in=False):
    """Chats from one browser of one person, in the order of time. Before a login its cookie is anonymous."""
    cookie = new_cookie()
    desk.kinds["browsers"] += 1
    for at in times:
        if logged_in and chance(0.12):
            # Logout: the cookie is dropped, the next chat begins with a new one.
            cookie, logged_in = new_cookie(), False
            desk.kinds["logouts in an own browser"] += 1
        # Some browsers send no cookie at all, or a constant in its place.
        shown = cookie
        if chance(0.015):
            shown = "" if chance(0.6) else one_of(NO_COOKIE)
            desk.kinds["browser chats without a usable cookie"] += 1
        if not can_login:
            desk.chat(person, at, shown)
        elif logged_in:
            # One page in eight shows the chat window without passing the visitor's fields.
            desk.chat(person, at, shown, provided=None if chance(0.12) else desk.spell(person.provided))
        elif chance(0.35):
            desk.chat(person, at, shown, login=person.provided)
            logged_in = True
        elif chance(0.35):
            desk.chat(person, at, shown, provided=desk.spell(person.provided))
            logged_in = True
        else:
            desk.chat(person, at, shown)
        if logged_in and shown == cookie and chance(0.1):
            # The page begins a new cookie after a login; it is the same person's.
            cookie = new_cookie()
            desk.kinds["cookies changed after a login"] += 1


def channel_chats(person, channel_type, channel_id, times, user_id, spellings, can_login):
    """Chats in one channel: the same user id each time, as the channel or an operator spells it."""
    desk.kinds["channel identities"] += 1
    for at in times:
        channel = (channel_type, channel_id, spellings(user_id))
        if can_login and chance(0.22):
            desk.kinds["chats authorized inside a channel"] += 1
            if chance(0.5):
                desk.chat(person, at, channel=channel, provided=desk.spell(person.provided))
            else:
                desk.chat(person, at, channel=channel, login=person.provided)
        elif chance(0.01):
            # An integration that lost the id: no channel identity.
            channel = (channel_type, channel_id, one_of(["0", "undefined", "null", ""]))
            desk.kinds["channel chats without a usable id"] += 1
            desk.chat(person, at, channel=channel)
        else:
            desk.chat(person, at, channel=channel)


def as_it_is(user_id):
    return user_id


def phone_spelling(digits):
    """A whole phone number as people and integrations write it: +1 (202) 555-0143 and so on."""
    country, area, rest = digits[:-10], digits[-10:-7], digits[-7:]
    if not chance(0.5):
        return digits
    desk.kinds["phone numbers in another spelling"] += 1
    return one_of([
        f"+{digits}", f"+{country} {area} {rest}", f"+{country} ({area}) {rest[:3]}-{rest[3:]}",
        f"{country} {area} {rest[:3]} {rest[3:]}", f"+{country} {area} {rest[:3]} {rest[3:5]} {rest[5:]}",
        f" +{digits} ", f"+{country}({area}){rest}"])


phones = set()


def new_phone():
    while True:
        digits = one_of(["1", "44", "49", "7", "381"]) + str(number(200, 989)) + text("0123456789", 7)
        if digits not in phones:
            phones.add(digits)
            return digits


def channel_of(person, count, can_login):
    channel_type = one_of(["telegram", "viber", "whatsapp", "whatsapp", "facebook"])
    times = sorted(time_of_day() for _ in range(count))
    if channel_type == "telegram":
        user_id = str(number(10**7, 10**8 - 1) if chance(0.4) else number(10**9, 8 * 10**9))
        channel_chats(person, channel_type, "", times, unique(channel_type, user_id), as_it_is, can_login)
    elif channel_type == "viber":
        # Another id for each bot.
        bots = BOTS[person.account]
        for bot in bots if chance(0.2) else [one_of(bots)]:
            user_id = text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 22) + "=="
            channel_chats(person, channel_type, bot, times, user_id, as_it_is, can_login)
            times = [min(at + number(600, 7200), 86000) for at in times]
    elif channel_type == "whatsapp":
        person.phone = person.phone or new_phone()
        channel_chats(person, channel_type, "", times, person.phone, phone_spelling, can_login)
    else:
        page = one_of(PAGES[person.account])
        user_id = unique(channel_type, str(number(10**14, 10**15 - 1) if chance(0.5) else number(10**16, 8 * 10**16)))
        channel_chats(person, channel_type, page, times, user_id, as_it_is, can_login)


taken = set()


def unique(kind, user_id):
    while (kind, user_id) in taken:
        user_id = str(int(user_id) + 1)
    taken.add((kind, user_id))
    return user_id


def how_many():
    """Chats of one person that day: one, two, often more."""
    count = 1
    while count < 14 and chance(0.632):
        count += 1
    return count


def story():
    """Anna, whom the demo shows: told in full, so that its output can be read against it."""
    anna, boris = Person("anna", "north"), Person("boris", "south")
    anna.provided = boris.provided = "4711"  # the same customer number in two client companies
    phone, laptop = new_cookie(), new_cookie()
    whatsapp = ("whatsapp", "", "+1 (202) 555-0143")
    digits = ("whatsapp", "", "12025550143")
    phones.add("12025550143")
    at = lambda hour, minute: hour * 3600 + minute * 60
    desk.chat(anna, at(8, 12), phone, "", minutes=6, late=0, closed=True)
    desk.chat(anna, at(9, 3), "", "", whatsapp, minutes=9, late=0, closed=True)
    desk.chat(anna, at(9, 40), laptop, "undefined", minutes=4, late=0, closed=True)
    desk.chat(anna, at(10, 5), laptop, "0", login="4711", minutes=12, late=0, closed=True)
    desk.chat(anna, at(12, 30), phone, "4711 ", minutes=7, late=0, closed=True)
    desk.chat(anna, at(13, 15), "", "4711", digits, minutes=5, late=0, closed=True)
    desk.chat(anna, at(8, 20), phone, "", minutes=3, late=6 * 3600, closed=True)  # delivered late
    desk.chat(anna, at(21, 50), "", "", ("whatsapp", "", "+1 202 555 01 43"), late=0, closed=False)
    desk.chat(boris, at(9, 15), new_cookie(), "4711", minutes=8, late=0, closed=True)
    desk.chat(boris, at(14, 2), new_cookie(), "4711", minutes=8, late=0, closed=True)


def customer_numbers():
    """Provided ids: numbers, the same in both accounts for different people, and other opaque texts."""
    def numbers(account):
        n = 4711
        while True:
            n += number(1, 3)
            if chance(0.05):
                yield f"user{n}@{account}.example"
            elif chance(0.02):
                yield f"клиент-{n}"
            elif chance(0.03):
                yield f"Ab{n}c"
                yield f"AB{n}C"  # another person: opaque means that case counts
            elif chance(0.02):
                yield f"{n}"
                yield f"0{n}"  # another person too: not a number, a text
            else:
                yield f"{n}"
    return {account: numbers(account) for account in PEOPLE}


def people():
    provided = customer_numbers()
    for account, count in PEOPLE.items():
        everybody = [Person(f"{account[0]}{n}", account) for n in range(1, count + 1)]
        computer_users = []
        for person in everybody:
            kind = rng.random()
            can_login = 0.28 <= kind < 0.82
            if can_login:
                person.provided = next(provided[account])
                desk.kinds["people with a provided id"] += 1
            desk.kinds["people"] += 1
            chats = how_many()
            if kind < 0.25 or 0.28 <= kind < 0.60:  # web alone
                web, in_channels = chats, 0
            elif kind < 0.28:  # cookies blocked, never logs in
                for _ in range(chats):
                    desk.chat(person, time_of_day())
                desk.kinds["people without any identifier"] += 1
                continue
            elif kind < 0.76:  # both
                web, in_channels = (chats + 1) // 2, chats // 2 + 1
            elif kind < 0.82:  # the client's own application: a CRM login, no cookie
                for _ in range(chats):
                    desk.chat(person, time_of_day(), provided=desk.spell(person.provided))
                desk.kinds["people of the CRM, without cookies"] += 1
                if chance(0.4):
                    channel_of(person, number(1, 3), True)
                continue
            else:  # channels alone
                web, in_channels = 0, chats
            # Spread over one to three browsers, one or two channels.
            browsers = 1 + (chance(0.35) and web > 1) + (chance(0.12) and web > 2)
            if browsers > 1:
                desk.kinds["people with several browsers"] += 1
            shares = [[] for _ in range(browsers)]
            for at in sorted(time_of_day() for _ in range(web)):
                one_of(shares).append(at)
            for times in shares:
                if times:
                    browser(person, times, can_login)
            if in_channels:
                if in_channels > 2 and chance(0.25):
                    channel_of(person, in_channels // 2, can_login)
                    in_channels -= in_channels // 2
                channel_of(person, in_channels, can_login)
            if can_login and chance(0.12):
                computer_users.append(person)
        shared_computers(computer_users)
    same_ids_elsewhere()


def shared_computers(users):
    """A family's tablet, a library, a shop: one login after the other, the cookie dropped at each logout."""
    while len(users) >= 2:
        size = number(3, 7)
        group, users = users[:size], users[size:]
        desk.kinds["shared computers"] += 1
        at = number(8 * 3600, 11 * 3600)
        for _ in range(len(group) * 2):
            if at > 82000:
                break
            person, cookie = one_of(group), new_cookie()
            desk.kinds["sessions on shared computers"] += 1
            if chance(0.5):  # asks first, logs in then
                at = desk.chat(person, at, cookie, minutes=number(2, 6)) + number(5, 120)
            if chance(0.6):
                at = desk.chat(person, at, cookie, login=person.provided, minutes=number(3, 9))
            else:
                at = desk.chat(person, at, cookie, provided=desk.spell(person.provided), minutes=number(3, 9))
            at += number(30, 3600)


def same_ids_elsewhere():
    """Equal channel ids that are different people, or different visitors: per page, per bot, per account."""
    for n in range(30):
        user_id = str(number(10**14, 10**15 - 1))
        for page in PAGES["north"]:
            person = Person(f"page{n}-{page}", "north")
            desk.kinds["people"] += 1
            channel_chats(person, "facebook", page, sorted(time_of_day() for _ in range(number(1, 3))),
                          unique(("facebook", page), user_id), as_it_is, False)
        desk.kinds["Facebook ids that are two people on two pages"] += 1
    for n in range(100):  # one human, a customer of both companies: two visitors, one in each account
        digits = new_phone()
        desk.kinds["phone numbers known to both accounts"] += 1
        desk.kinds["people"] += 1
        for account in PEOPLE:
            person = Person(f"both{n}", account)
            channel_chats(person, "whatsapp", "", sorted(time_of_day() for _ in range(number(1, 3))),
                          digits, phone_spelling, False)


def main():
    story()
    people()
    sys.stdout.reconfigure(encoding="utf-8", newline="")
    desk.write(sys.stdout)
    print(f"{desk.chats} chats, {len(desk.events)} events", file=sys.stderr)
    for kind in sorted(desk.kinds):
        print(f"{desk.kinds[kind]:7} {kind}", file=sys.stderr)


main()
