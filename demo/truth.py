#!/usr/bin/env python3
"""Says which chats of demo/requests.csv belong together, without the extension.

    demo/truth.py demo/requests.csv > components.csv      columns: request, component

The chats of one account are joined if their identifiers connect them, however long the chain. A chat
connects all the identifiers it ever showed, which are these, freed of blanks and other spellings:

  - the provided id:      the same value is the same person;
  - the channel user id:  the same channel, page or bot, and user is the same visitor;
  - the cookie:           the same browser; ignored where the chat came over a channel.

So a cookie and a provided id shown by one chat are joined (he authorized in that browser), and a
channel user id with a provided id (he authorized in that channel). What means "no id" connects nothing.
The chats of one component must have one visitor_id: the demo counts the pairs that do not as missed.

That the data is as demo/generate.py promises is checked here too: no component has two people.
"""

import csv
import re
import sys

PLACEHOLDERS = {
    "", "0", "000", "undefined", "null", "none", "nan", "guest", "anonymous", "[object object]", "{{user.id}}",
    "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
}
BLANKS = " \t\r\n\u00a0\u200b\u3000\ufeff"


def usable(value):
    """The identifier without the blanks around it, or None if it is none."""
    value = value.strip(BLANKS)
    return None if value.strip("\"'").lower() in PLACEHOLDERS else value


class Components:
    """Union-find: which identifiers and chats hang together."""

    def __init__(self):
        self.parent = {}

    def find(self, node):
        root = node
        while self.parent.setdefault(root, root) != root:
            root = self.parent[root]
        while self.parent[node] != root:
            self.parent[node], node = root, self.parent[node]
        return root

    def join(self, one, other):
        self.parent[self.find(one)] = self.find(other)


def main():
    components, person = Components(), {}
    with open(sys.argv[1], encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            account, chat = row["account"], ("chat", row["request"])
            provided = usable(row["provided_visitor_id"])
            if provided:
                components.join(chat, ("provided", account, provided))
            if row["event"] != "open":
                continue
            person[chat] = (account, row["person"])
            components.find(chat)
            if row["channel_type"]:
                user_id = usable(row["channel_user_id"])
                if user_id and row["channel_type"] == "whatsapp":
                    user_id = re.sub(r"[^0-9]", "", user_id)
                if user_id:
                    channel = (row["channel_type"], row["channel_id"], user_id)
                    components.join(chat, ("channel", account, *channel))
            elif usable(row["visitor_id"]):
                components.join(chat, ("cookie", account, row["visitor_id"]))

    number, owner = {}, {}
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["request", "component"])
    for chat in person:
        root = components.find(chat)
        if owner.setdefault(root, person[chat]) != person[chat]:
            sys.exit(f"request {chat[1]}: its identifiers are also those of another person: {owner[root]}")
        writer.writerow([chat[1], number.setdefault(root, len(number) + 1)])


main()
