"""SQLAlchemy over psycopg 3: what the extension promises its users, through an ORM. Argument: the README's lines.

The ORM model at the top is what an application needs: visitor_id is a column that the database fills and changes.
"""

import sys
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, DateTime, FetchedValue, String, Uuid, bindparam, cast, create_engine, func, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

COOKIE = UUID("c0000000-0000-4000-8000-000000000001")


class Base(DeclarativeBase):
    pass


class Chat(Base):
    __tablename__ = "chat"
    __table_args__ = {"schema": "chat"}
    account: Mapped[str] = mapped_column(primary_key=True, server_default=FetchedValue())
    chat_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, server_default=FetchedValue())
    visitor_id: Mapped[UUID] = mapped_column(server_default=FetchedValue(), server_onupdate=FetchedValue())
    origin_visitor_id: Mapped[UUID | None] = mapped_column(server_default=FetchedValue())
    provided_visitor_id: Mapped[str | None]
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Ticket(Base):
    __tablename__ = "domain_ticket"
    ticket_id: Mapped[int] = mapped_column(primary_key=True)
    visitor_id: Mapped[UUID]
    crm_id: Mapped[str]


def resolve(provided_visitor_id, **arguments):
    return func.visitor_identity.resolve_visitor(provided_visitor_id, None, None, arguments.get("visitor_id"), type_=Uuid)


def same(got, expected):
    assert got == expected and type(got) is type(expected), f"got {got!r}, expected {expected!r}"


def readme_lines(session):
    answers = [session.execute(text(line.replace(":", r"\:"))) for line in open(sys.argv[1])][-3:]
    same([tuple(row) for row in answers[0]], [(2, 1)])
    same([tuple(row) for row in answers[1]], [(True,), (True,)])
    same([tuple(row) for row in answers[2]], [(2, "C-42")])


def prepared_statements(session):
    connection = session.connection().connection.driver_connection
    connection.prepare_threshold = 2
    expected = session.scalar(select(resolve("C-42")))
    for _ in range(20):
        same(session.scalar(select(resolve("C-42"))), expected)
    sql = "select sum(generic_plans)::int from pg_prepared_statements where statement like '%resolve_visitor%'"
    assert connection.execute(sql).fetchone()[0] > 0, "no generic plan was used"


def copy(session):
    visitor = UUID(int=COOKIE.int + 100)
    with session.connection().connection.driver_connection.cursor() as cursor:
        with cursor.copy("copy chat.chat (visitor_id, provided_visitor_id) from stdin") as into:
            into.write_row([visitor, None])
            into.write_row([visitor, "copied"])
    found = session.scalars(select(Chat.visitor_id).where(Chat.origin_visitor_id == visitor).distinct()).all()
    same(found, [session.scalar(select(resolve("copied")))])


def types(session):
    session.execute(text(
        """create table domain_ticket (ticket_id int primary key, visitor_id visitor_identity.visitor_id,
        crm_id visitor_identity.provided_visitor_id)"""
    ))
    session.add(Ticket(ticket_id=1, visitor_id=COOKIE, crm_id="C-42"))
    session.flush()
    session.expire_all()
    ticket = session.get(Ticket, 1)
    same((ticket.visitor_id, ticket.crm_id), (COOKIE, "C-42"))
    same(tuple(session.execute(text("select visitor_id, crm_id from domain_ticket")).one()), (COOKIE, "C-42"))


def errors(session):
    try:
        with session.begin_nested():
            session.scalar(select(func.visitor_identity.resolve_visitor(None, "telegram", "t-17")))
    except DBAPIError as error:
        same(error.orig.sqlstate, "22023")
        assert error.orig.diag.message_detail and error.orig.diag.message_hint, "DETAIL and HINT are missing"
        assert "t-17" not in str(error.orig), "the identifier is in the message"
    else:
        raise AssertionError("a malformed id was accepted")


def parameters(session):
    known = session.scalar(select(resolve("C-42")))
    same(session.scalar(select(resolve("C-42", visitor_id=known))), known)
    named = "select visitor_identity.resolve_visitor(provided_visitor_id => :provided, visitor_id => :visitor)"
    same(session.scalar(text(named), {"provided": "C-42", "visitor": None}), known)
    same(session.scalar(text(named), {"provided": "C-42", "visitor": str(known)}), known)
    typed = text(named).bindparams(bindparam("provided", type_=String), bindparam("visitor", type_=Uuid))
    same(session.scalar(typed, {"provided": "C-42", "visitor": known}), known)
    # An id that is a number is a text here.
    same(session.scalar(select(resolve(cast(42, String)))), session.scalar(select(resolve("42"))))


def arrays(session):
    session.add(Chat(visitor_id=COOKIE))
    session.flush()
    detail = func.visitor_identity.resolve_visitor_detail("array", None, None, COOKIE).table_valued("outcome", "previous_visitor_ids")
    same(tuple(session.execute(select(detail)).one()), ("authorized", [COOKIE]))
    sql = text("select previous_visitor_ids, notes from visitor_identity.resolve_visitor_detail('array', visitor_id => :visitor)")
    sql = sql.columns(previous_visitor_ids=ARRAY(Uuid), notes=ARRAY(String))
    same(tuple(session.execute(sql, {"visitor": UUID(int=COOKIE.int + 1)}).one()), ([], ["unknown_visitor_id"]))


def login(session):
    visitor = UUID(int=COOKIE.int + 2)
    first, second = Chat(visitor_id=visitor), Chat(visitor_id=visitor)
    session.add_all([first, second])
    session.flush()
    second.provided_visitor_id = "login"
    session.flush()
    canonical = session.scalar(select(resolve("login")))
    assert canonical != visitor, "the login changed nothing"
    same(second.visitor_id, canonical)
    # What the ORM holds of other chats is of before the login, until it reads them again.
    same(first.visitor_id, visitor)
    session.refresh(first)
    same((first.visitor_id, first.origin_visitor_id), (canonical, visitor))
    # What is written back, though it was read before the login, is corrected in the database; the ORM believes itself
    # until it reads again.
    first.visitor_id = visitor
    session.flush()
    same(session.scalar(select(Chat.visitor_id).where(Chat.chat_id == first.chat_id)), canonical)
    session.refresh(first)
    same(first.visitor_id, canonical)


def history(session):
    for chat in session.scalars(select(Chat).where(Chat.chat_id.in_([1, 2]))):
        chat.closed_at = func.now()
    session.flush()
    visitor = session.scalar(select(resolve("C-42")))
    sql = text("select chat_table, chat_key, visitor_id from visitor_identity.search_history(:query) order by chat_key")
    same(
        [tuple(row) for row in session.execute(sql, {"query": "C-42"})],
        [("chat.chat", {"account": "default", "chat_id": chat}, visitor) for chat in (1, 2)],
    )


def batch(session):
    names = [f"batch {number}" for number in range(5)]
    rows = [{"provided_visitor_id": name} for name in names]
    found = session.scalars(insert(Chat).returning(Chat.visitor_id, sort_by_parameter_order=True), rows).all()
    same(found, [session.scalar(select(resolve(name))) for name in names])
    chats = [Chat(provided_visitor_id=name) for name in names]
    session.add_all(chats)
    session.flush()
    same([chat.visitor_id for chat in chats], found)


with Session(create_engine("postgresql+psycopg://")) as main:
    for promise in (readme_lines, prepared_statements, copy, types, errors, parameters, arrays, login, history, batch):
        promise(main)
        main.commit()
        print(f"{promise.__name__}: ok", flush=True)
