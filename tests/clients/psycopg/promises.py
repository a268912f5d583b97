"""psycopg 3: what the extension promises its users, through this driver. Argument: the README's lines, one statement each."""

import sys
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

COOKIE = UUID("c0000000-0000-4000-8000-000000000001")
UNTYPED = "select visitor_identity.resolve_visitor(provided_visitor_id => %s)"


def same(got, expected):
    assert got == expected and type(got) is type(expected), f"got {got!r}, expected {expected!r}"


def value(connection, sql, parameters=None, **options):
    return connection.execute(sql, parameters, **options).fetchone()[0]


def readme_lines(connection):
    answers = [connection.execute(line) for line in open(sys.argv[1])][-3:]
    same(answers[0].fetchall(), [(2, 1)])
    same(answers[1].fetchall(), [(True,), (True,)])
    same(answers[2].fetchall(), [(2, "C-42")])


def text_and_binary(connection):
    expected = value(connection, UNTYPED, ["C-42"])
    for binary in False, True:
        same(value(connection, UNTYPED, ["C-42"], binary=binary), expected)
        placeholders = "%b::text, visitor_id => %b" if binary else "%t::text, visitor_id => %t"
        same(value(connection, f"select visitor_identity.resolve_visitor({placeholders})", ["C-42", expected], binary=binary), expected)


def prepared_statements(connection):
    expected = value(connection, UNTYPED, ["C-42"])
    connection.prepare_threshold = 2
    for _ in range(20):
        same(value(connection, UNTYPED, ["C-42"]), expected)
    generic = value(
        connection, "select sum(generic_plans)::int from pg_prepared_statements where statement like '%resolve_visitor%'"
    )
    assert generic > 0, "no generic plan was used"
    connection.prepare_threshold = 5


def copy(connection):
    for number, binary in enumerate((False, True)):
        visitor = UUID(int=COOKIE.int + 100 + number)
        rows = "copy chat.chat (visitor_id, provided_visitor_id) from stdin" + (" with (format binary)" if binary else "")
        with connection.cursor() as cursor:
            with cursor.copy(rows) as into:
                into.set_types(["uuid", "text"])
                into.write_row([visitor, None])
                into.write_row([visitor, f"copied {number}"])
            same(cursor.rowcount, 2)
        canonical = value(connection, UNTYPED, [f"copied {number}"])
        sql = "select distinct visitor_id from chat.chat where origin_visitor_id = %s"
        same(connection.execute(sql, [visitor]).fetchall(), [(canonical,)])


def types(connection):
    connection.execute(
        """create table ticket (visitor_id visitor_identity.visitor_id, crm_id visitor_identity.provided_visitor_id,
        telegram visitor_identity.channel_user_id)"""
    )
    for binary in False, True:
        sql = "insert into ticket values (%s, %s, %s) returning *"
        row = connection.execute(sql, [COOKIE, "C-42", "67854257"], binary=binary).fetchone()
        same(row, (COOKIE, "C-42", "67854257"))
        same(value(connection, "select array_agg(visitor_id::uuid) from ticket", binary=binary)[0], COOKIE)


def errors(connection):
    try:
        value(connection, "select visitor_identity.resolve_visitor(channel_type => 'telegram', channel_user_id => %s)", ["t-17"])
    except psycopg.errors.InvalidParameterValue as error:
        same(error.sqlstate, "22023")
        assert error.diag.message_detail and error.diag.message_hint, "DETAIL and HINT are missing"
        assert "t-17" not in str(error), "the identifier is in the message"
    else:
        raise AssertionError("a malformed id was accepted")


def parameters(connection):
    known = value(connection, UNTYPED, ["C-42"])
    named = "select visitor_identity.resolve_visitor(provided_visitor_id => %s, visitor_id => %s, account => %s)"
    same(value(connection, named, ["C-42", None, None]), known)
    same(value(connection, named, ["C-42", str(known), "default"]), known)
    same(value(connection, named, ["C-42", known, "default"]), known)
    same(value(connection, "select visitor_identity.resolve_visitor(%s::text, null, null, %s::uuid)", ["C-42", str(known)]), known)
    # An id that is a number: psycopg says so to PostgreSQL, which finds no such function. It is a text here.
    try:
        value(connection, UNTYPED, [42])
    except psycopg.errors.UndefinedFunction:
        same(value(connection, UNTYPED.replace("%s", "%s::text"), [42]), value(connection, UNTYPED, ["42"]))
    else:
        raise AssertionError("psycopg sends numbers as text now: say so in the README")


def arrays(connection):
    connection.execute("insert into chat.chat (visitor_id) values (%s)", [COOKIE])
    with connection.cursor(row_factory=dict_row) as cursor:
        sql = "select * from visitor_identity.resolve_visitor_detail(%s, visitor_id => %s)"
        first = cursor.execute(sql, ["array", COOKIE]).fetchone()
        second = cursor.execute(sql, ["array", UUID(int=COOKIE.int + 1)]).fetchone()
    same((first["outcome"], first["basis"], first["rebound_chats"]), ("authorized", "provided", 1))
    same(first["previous_visitor_ids"], [COOKIE])
    assert [type(rebind_id) for rebind_id in first["rebind_ids"]] == [int], first
    same((second["visitor_id"], second["previous_visitor_ids"]), (first["visitor_id"], []))
    same(second["notes"], ["unknown_visitor_id"])


def login(connection):
    visitor = UUID(int=COOKIE.int + 2)
    chats = [
        value(connection, "insert into chat.chat (visitor_id) values (%s) returning chat_id", [visitor]) for _ in range(2)
    ]
    sql = "update chat.chat set provided_visitor_id = %s where chat_id = %s returning visitor_id"
    canonical = value(connection, sql, ["login", chats[1]])
    assert canonical != visitor, "the login changed nothing"
    sql = "select visitor_id, origin_visitor_id from chat.chat where chat_id = %s"
    same(connection.execute(sql, [chats[0]]).fetchone(), (canonical, visitor))


def history(connection):
    connection.execute("update chat.chat set closed_at = now() where chat_id in (1, 2)")
    visitor = value(connection, UNTYPED, ["C-42"])
    # chat_table is a regclass, a text in one protocol and a number in the other: the cast makes it a text in both.
    sql = "select chat_table::text, chat_key, visitor_id from visitor_identity.search_history(%s) order by chat_key"
    for binary in False, True:
        same(
            connection.execute(sql, ["C-42"], binary=binary).fetchall(),
            [("chat.chat", {"account": "default", "chat_id": chat}, visitor) for chat in (1, 2)],
        )


def pipeline(connection):
    with connection.pipeline():
        cursors = [connection.execute(UNTYPED, [f"pipeline {number % 5}"]) for number in range(20)]
    answers = [cursor.fetchone()[0] for cursor in cursors]
    same(answers[:5] * 4, answers)
    same(len(set(answers)), 5)
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into chat.chat (provided_visitor_id) values (%s) returning visitor_id",
            [[f"pipeline {number}"] for number in range(5)],
            returning=True,
        )
        same([result.fetchone()[0] for result in cursor.results()], answers[:5])


with psycopg.connect(autocommit=True) as main:
    for promise in (
        readme_lines, text_and_binary, prepared_statements, copy, types, errors, parameters, arrays, login, history,
        pipeline,
    ):
        promise(main)
        print(f"{promise.__name__}: ok", flush=True)
