//! tokio-postgres: what the extension promises its users, through this driver. Argument: the README's lines, one statement
//! each. It asks PostgreSQL for the types of parameters and speaks the binary protocol, except in simple queries.

use std::error::Error;

use futures_util::future::try_join_all;
use futures_util::{pin_mut, SinkExt};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use uuid::Uuid;

type Done = Result<(), Box<dyn Error>>;

const COOKIE: Uuid = Uuid::from_u128(0xc0000000_0000_4000_8000_000000000000);
const UNTYPED: &str = "select visitor_identity.resolve_visitor(provided_visitor_id => $1)";

fn cookie(number: u128) -> Uuid {
    Uuid::from_u128(COOKIE.as_u128() + number)
}

async fn resolve(client: &Client, id: &str) -> Result<Uuid, tokio_postgres::Error> {
    client.query_one(UNTYPED, &[&id]).await?.try_get(0)
}

async fn simple(client: &Client, sql: &str) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
    let messages = client.simple_query(sql).await?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    Ok(rows
        .map(|row| {
            (0..row.len())
                .map(|column| row.get(column).unwrap_or("NULL").to_owned())
                .collect()
        })
        .collect())
}

async fn readme_lines(client: &Client) -> Done {
    let lines = std::fs::read_to_string(std::env::args().nth(1).ok_or("the argument is missing")?)?;
    let mut answers = Vec::new();
    for line in lines.lines() {
        answers.push(client.query(line, &[]).await?);
    }
    let [.., counts, his, phone] = answers.as_slice() else {
        return Err("too few lines".into());
    };
    assert_eq!(
        counts
            .iter()
            .map(|row| (row.get(0), row.get(1)))
            .collect::<Vec<(i64, i64)>>(),
        [(2, 1)]
    );
    assert_eq!(
        his.iter().map(|row| row.get(0)).collect::<Vec<bool>>(),
        [true, true]
    );
    assert_eq!(
        phone
            .iter()
            .map(|row| (row.get(0), row.get(1)))
            .collect::<Vec<(i64, &str)>>(),
        [(2, "C-42")]
    );
    Ok(())
}

async fn text_and_binary(client: &Client) -> Done {
    let binary = resolve(client, "C-42").await?;
    let text = simple(client, "select visitor_identity.resolve_visitor('C-42')").await?;
    assert_eq!(text, [[binary.to_string()]]);
    Ok(())
}

async fn prepared_statements(client: &Client) -> Done {
    let statement = client.prepare(UNTYPED).await?;
    assert_eq!(statement.params(), [Type::TEXT]);
    assert_eq!(
        statement
            .columns()
            .iter()
            .map(|column| column.type_().clone())
            .collect::<Vec<_>>(),
        [Type::UUID]
    );
    let expected: Uuid = client.query_one(&statement, &[&"C-42"]).await?.get(0);
    for _ in 0..20 {
        assert_eq!(
            client
                .query_one(&statement, &[&"C-42"])
                .await?
                .get::<_, Uuid>(0),
            expected
        );
    }
    let sql = "select sum(generic_plans)::int from pg_prepared_statements where statement like '%resolve_visitor%'";
    assert!(
        client.query_one(sql, &[]).await?.get::<_, i32>(0) > 0,
        "no generic plan was used"
    );
    Ok(())
}

async fn copy(client: &Client) -> Done {
    let into = client
        .copy_in("copy chat.chat (visitor_id, provided_visitor_id) from stdin")
        .await?;
    pin_mut!(into);
    let rows = format!("{0}\t\\N\n{0}\tcopied 0\n", cookie(100));
    into.send(std::io::Cursor::new(rows.into_bytes())).await?;
    assert_eq!(into.finish().await?, 2);

    let into = client
        .copy_in("copy chat.chat (visitor_id, provided_visitor_id) from stdin with (format binary)")
        .await?;
    let into = BinaryCopyInWriter::new(into, &[Type::UUID, Type::TEXT]);
    pin_mut!(into);
    into.as_mut().write(&[&cookie(101), &None::<&str>]).await?;
    into.as_mut().write(&[&cookie(101), &"copied 1"]).await?;
    assert_eq!(into.finish().await?, 2);

    for number in 0..2 {
        let sql = "select distinct visitor_id from chat.chat where origin_visitor_id = $1";
        let rows = client.query(sql, &[&cookie(100 + number)]).await?;
        let canonical = resolve(client, &format!("copied {number}")).await?;
        assert_eq!(
            rows.iter().map(|row| row.get(0)).collect::<Vec<Uuid>>(),
            [canonical]
        );
    }
    Ok(())
}

async fn types(client: &Client) -> Done {
    client
        .batch_execute(
            "create table ticket (visitor_id visitor_identity.visitor_id, crm_id visitor_identity.provided_visitor_id,
            telegram visitor_identity.channel_user_id)",
        )
        .await?;
    // Results arrive as uuid and text. The parameter of a column with a domain has the domain's type, which the driver
    // takes no Uuid for: the cast says what it is.
    let insert = "insert into ticket values ($1, $2, $3)";
    assert!(
        client
            .execute(insert, &[&COOKIE, &"C-42", &"67854257"])
            .await
            .is_err(),
        "the casts are no longer needed"
    );
    let insert = "insert into ticket values ($1::uuid, $2::text, $3::text) returning *";
    let row = client
        .query_one(insert, &[&COOKIE, &"C-42", &"67854257"])
        .await?;
    assert_eq!(
        (row.get(0), row.get(1), row.get(2)),
        (COOKIE, "C-42", "67854257")
    );
    Ok(())
}

async fn errors(client: &Client) -> Done {
    let sql = "select visitor_identity.resolve_visitor(channel_type => 'telegram', channel_user_id => $1)";
    let Err(error) = client.query_one(sql, &[&"t-17"]).await else {
        return Err("a malformed id was accepted".into());
    };
    let error = error.as_db_error().ok_or("not an error of the database")?;
    assert_eq!(*error.code(), SqlState::INVALID_PARAMETER_VALUE);
    assert!(
        error.detail().is_some() && error.hint().is_some(),
        "DETAIL and HINT are missing"
    );
    assert!(
        !format!("{error:?}").contains("t-17"),
        "the identifier is in the message"
    );
    Ok(())
}

async fn parameters(client: &Client) -> Done {
    let known = resolve(client, "C-42").await?;
    let named = "select visitor_identity.resolve_visitor(provided_visitor_id => $1, visitor_id => $2, account => $3)";
    let typed = "select visitor_identity.resolve_visitor($1::text, null, null, $2::uuid, account => $3::text)";
    for sql in [named, typed] {
        let with_all: [&(dyn ToSql + Sync); 3] = [&"C-42", &known, &"default"];
        assert_eq!(
            client.query_one(sql, &with_all).await?.get::<_, Uuid>(0),
            known
        );
        let with_nulls: [&(dyn ToSql + Sync); 3] = [&"C-42", &None::<Uuid>, &None::<&str>];
        assert_eq!(
            client.query_one(sql, &with_nulls).await?.get::<_, Uuid>(0),
            known
        );
    }
    let row = client
        .query_typed(UNTYPED, &[(&"C-42", Type::TEXT)])
        .await?;
    assert_eq!(
        row.iter().map(|row| row.get(0)).collect::<Vec<Uuid>>(),
        [known]
    );
    // An id that is a number is a text here; the driver converts nothing by itself.
    assert!(
        client.query_one(UNTYPED, &[&42_i32]).await.is_err(),
        "numbers are sent as text now: say so in the README"
    );
    Ok(())
}

async fn arrays(client: &Client) -> Done {
    client
        .execute(
            "insert into chat.chat (visitor_id) values ($1)",
            &[&cookie(1)],
        )
        .await?;
    let sql = "select * from visitor_identity.resolve_visitor_detail($1, visitor_id => $2)";
    let first = client.query_one(sql, &[&"array", &cookie(1)]).await?;
    let second = client.query_one(sql, &[&"array", &cookie(2)]).await?;
    assert_eq!(
        (first.get("outcome"), first.get("rebound_chats")),
        ("authorized", 1_i64)
    );
    assert_eq!(
        first.get::<_, Vec<Uuid>>("previous_visitor_ids"),
        [cookie(1)]
    );
    assert_eq!(first.get::<_, Vec<i64>>("rebind_ids").len(), 1);
    assert_eq!(
        second.get::<_, Uuid>("visitor_id"),
        first.get::<_, Uuid>("visitor_id")
    );
    assert!(second
        .get::<_, Vec<Uuid>>("previous_visitor_ids")
        .is_empty());
    assert_eq!(second.get::<_, Vec<&str>>("notes"), ["unknown_visitor_id"]);
    Ok(())
}

async fn login(client: &Client) -> Done {
    let mut chats = Vec::new();
    for _ in 0..2 {
        let sql = "insert into chat.chat (visitor_id) values ($1) returning chat_id";
        chats.push(client.query_one(sql, &[&cookie(3)]).await?.get::<_, i64>(0));
    }
    let update =
        "update chat.chat set provided_visitor_id = $1 where chat_id = $2 returning visitor_id";
    let canonical: Uuid = client
        .query_one(update, &[&"login", &chats[1]])
        .await?
        .get(0);
    assert_ne!(canonical, cookie(3), "the login changed nothing");
    let sql = "select visitor_id, origin_visitor_id from chat.chat where chat_id = $1";
    let row = client.query_one(sql, &[&chats[0]]).await?;
    assert_eq!((row.get(0), row.get(1)), (canonical, cookie(3)));
    Ok(())
}

async fn history(client: &Client) -> Done {
    client
        .execute(
            "update chat.chat set closed_at = now() where chat_id in (1, 2)",
            &[],
        )
        .await?;
    let visitor = resolve(client, "C-42").await?;
    // chat_table is a regclass, which the driver has no Rust type for.
    let sql = "select chat_table::text, chat_key ->> 'chat_id', visitor_id from visitor_identity.search_history($1)
        order by chat_key";
    let rows = client.query(sql, &[&"C-42"]).await?;
    let found: Vec<(&str, &str, Uuid)> = rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    assert_eq!(
        found,
        [("chat.chat", "1", visitor), ("chat.chat", "2", visitor)]
    );
    Ok(())
}

/// Futures of one client that are polled together are sent as a pipeline.
async fn pipeline(client: &Client) -> Done {
    let ids: Vec<String> = (0..20)
        .map(|number| format!("pipeline {}", number % 5))
        .collect();
    let answers = try_join_all(ids.iter().map(|id| resolve(client, id))).await?;
    assert_eq!(answers[..5].repeat(4), answers);
    assert_eq!(
        answers[..5]
            .iter()
            .collect::<std::collections::BTreeSet<_>>()
            .len(),
        5
    );
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Done {
    let variable = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let (client, connection) = Config::new()
        .host(&variable("PGHOST")?)
        .port(variable("PGPORT")?.parse()?)
        .user(&variable("PGUSER")?)
        .dbname(&variable("PGDATABASE")?)
        .connect(NoTls)
        .await?;
    tokio::spawn(connection);
    macro_rules! keep {
        ($($promise:ident)*) => {$(
            $promise(&client).await?;
            println!("{}: ok", stringify!($promise));
        )*};
    }
    keep!(readme_lines text_and_binary prepared_statements copy types errors parameters arrays login history pipeline);
    Ok(())
}
