"""asyncpg: what the extension promises its users, through this driver. Argument: the README's lines, one statement each.

asyncpg speaks the binary protocol, except in execute() without parameters, which answers with a command tag only.
Its uuid is a subclass of Python's.
"""

import asyncio
import json
import sys
from uuid import UUID

import asyncpg

COOKIE = UUID("c0000000-0000-4000-8000-000000000001")
UNTYPED = "select visitor_identity.resolve_visitor(provided_visitor_id => $1)"


def same(got, expected):
    assert got == expected, f"got {got!r}, expected {expected!r}"


async def readme_lines(connection):
    answers = [await connection.fetch(line) for line in open(sys.argv[1])][-3:]
    same([tuple(row) for row in answers[0]], [(2, 1)])
    same([tuple(row) for row in answers[1]], [(True,), (True,)])
    same([tuple(row) for row in answers[2]], [(2, "C-42")])


async def text_and_binary(connection):
    # text
    same(await connection.execute("select visitor_identity.resolve_visitor('C-42')"), "SELECT 1")
    # binary
    found = await connection.fetchval("select visitor_identity.find_visitor('C-42')")
    assert isinstance(found, UUID), repr(found)
    same(await connection.fetchval(UNTYPED, "C-42"), found)


async def prepared_statements(connection):
    statement = await connection.prepare(UNTYPED)
    same([parameter.name for parameter in statement.get_parameters()], ["text"])
    same([column.type.name for column in statement.get_attributes()], ["uuid"])
    expected = await statement.fetchval("C-42")
    for _ in range(20):
        same(await statement.fetchval("C-42"), expected)
    generic = await connection.fetchval(
        "select sum(generic_plans)::int from pg_prepared_statements where statement like '%resolve_visitor%'"
    )
    assert generic > 0, "no generic plan was used"


async def copy(connection):
    visitor = UUID(int=COOKIE.int + 100)
    status = await connection.copy_records_to_table(
        "chat", schema_name="chat", columns=["visitor_id", "provided_visitor_id"], records=[(visitor, None), (visitor, "copied")]
    )
    same(status, "COPY 2")
    canonical = await connection.fetchval(UNTYPED, "copied")
    rows = await connection.fetch("select distinct visitor_id from chat.chat where origin_visitor_id = $1", visitor)
    same([row["visitor_id"] for row in rows], [canonical])


async def types(connection):
    await connection.execute(
        """create table ticket (visitor_id visitor_identity.visitor_id, crm_id visitor_identity.provided_visitor_id,
        telegram visitor_identity.channel_user_id)"""
    )
    row = await connection.fetchrow("insert into ticket values ($1, $2, $3) returning *", COOKIE, "C-42", "67854257")
    same(tuple(row), (COOKIE, "C-42", "67854257"))
    assert isinstance(row["visitor_id"], UUID), repr(row)
    same(await connection.fetchval("select array_agg(visitor_id) from ticket"), [COOKIE])


async def errors(connection):
    try:
        await connection.fetchval(
            "select visitor_identity.resolve_visitor(channel_type => 'telegram', channel_user_id => $1)", "t-17"
        )
    except asyncpg.InvalidParameterValueError as error:
        same(error.sqlstate, "22023")
        assert error.detail and error.hint, "DETAIL and HINT are missing"
        assert "t-17" not in f"{error} {error.detail} {error.hint}", "the identifier is in the message"
    else:
        raise AssertionError("a malformed id was accepted")


async def parameters(connection):
    known = await connection.fetchval(UNTYPED, "C-42")
    named = "select visitor_identity.resolve_visitor(provided_visitor_id => $1, visitor_id => $2, account => $3)"
    same(await connection.fetchval(named, "C-42", None, None), known)
    same(await connection.fetchval(named, "C-42", known, "default"), known)
    same(await connection.fetchval(named, "C-42", str(known), "default"), known)
    same(await connection.fetchval("select visitor_identity.resolve_visitor($1::text, null, null, $2::uuid)", "C-42", known), known)
    # An id that is a number is a text here; asyncpg converts nothing by itself.
    try:
        await connection.fetchval(UNTYPED, 42)
    except asyncpg.DataError:
        pass
    else:
        raise AssertionError("asyncpg sends numbers as text now: say so in the README")


async def arrays(connection):
    await connection.execute("insert into chat.chat (visitor_id) values ($1)", COOKIE)
    sql = "select * from visitor_identity.resolve_visitor_detail($1, visitor_id => $2)"
    first = await connection.fetchrow(sql, "array", COOKIE)
    second = await connection.fetchrow(sql, "array", UUID(int=COOKIE.int + 1))
    same((first["outcome"], first["basis"], first["rebound_chats"]), ("authorized", "provided", 1))
    same(first["previous_visitor_ids"], [COOKIE])
    assert [type(rebind_id) for rebind_id in first["rebind_ids"]] == [int], first
    same((second["visitor_id"], second["previous_visitor_ids"]), (first["visitor_id"], []))
    same(second["notes"], ["unknown_visitor_id"])


async def login(connection):
    visitor = UUID(int=COOKIE.int + 2)
    sql = "insert into chat.chat (visitor_id) values ($1) returning chat_id"
    chats = [await connection.fetchval(sql, visitor) for _ in range(2)]
    sql = "update chat.chat set provided_visitor_id = $1 where chat_id = $2 returning visitor_id"
    canonical = await connection.fetchval(sql, "login", chats[1])
    assert canonical != visitor, "the login changed nothing"
    row = await connection.fetchrow("select visitor_id, origin_visitor_id from chat.chat where chat_id = $1", chats[0])
    same(tuple(row), (canonical, visitor))


async def history(connection):
    await connection.execute("update chat.chat set closed_at = now() where chat_id in (1, 2)")
    visitor = await connection.fetchval(UNTYPED, "C-42")
    rows = await connection.fetch(
        "select chat_table, chat_key, visitor_id from visitor_identity.search_history($1) order by chat_key", "C-42"
    )
    same(
        [(row["chat_table"], json.loads(row["chat_key"]), row["visitor_id"]) for row in rows],
        [("chat.chat", {"account": "default", "chat_id": chat}, visitor) for chat in (1, 2)],
    )


async def batch(connection):
    names = [f"batch {number}" for number in range(5)]
    rows = await connection.fetchmany(
        "insert into chat.chat (provided_visitor_id) values ($1) returning visitor_id", [(name,) for name in names]
    )
    same([row["visitor_id"] for row in rows], [await connection.fetchval(UNTYPED, name) for name in names])
    await connection.executemany(UNTYPED, [(name,) for name in names * 4])


async def main():
    connection = await asyncpg.connect()
    for promise in (
        readme_lines, text_and_binary, prepared_statements, copy, types, errors, parameters, arrays, login, history,
        batch,
    ):
        await promise(connection)
        print(f"{promise.__name__}: ok", flush=True)
    await connection.close()


asyncio.run(main())
