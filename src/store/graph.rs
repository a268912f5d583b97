//! `visitor_graph`: reads what is drawn of a person.
//! May touch: the identity tables and the log; writes nothing, and reads no chat.

use super::identity::survivor;
use super::payload::instant;
use super::policy::policy;
use super::spi::{connect, Mode, Rows, Value};
use super::statement;
use crate::error::IdentityError;
use crate::graph::{ChannelNode, Graph, Listed, ProvidedNode, Rebinding, Role, VisitorNode};
use uuid::Uuid;

statement!(
    VISITOR,
    "select v.visitor_id, v.identified, false, false, v.created_at
    from visitor_identity.visitor as v
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) $2"
);

statement!(
    OTHERS,
    "select v.visitor_id, v.identified, v.superseded_by is not null, v.forgotten, v.created_at,
        v.superseded_by operator(pg_catalog.=) $2, v.claimed_by operator(pg_catalog.=) $2,
        pg_catalog.count(*) over ()
    from (
        select s.visitor_id
        from visitor_identity.visitor as s
        where s.account operator(pg_catalog.=) $1
            and s.superseded_by operator(pg_catalog.=) $2
        union
        select s.visitor_id
        from visitor_identity.visitor as s
        where s.account operator(pg_catalog.=) $1
            and s.claimed_by operator(pg_catalog.=) $2
        union
        select r.from_visitor_id
        from visitor_identity.rebind as r
        where r.account operator(pg_catalog.=) $1
            and r.to_visitor_id operator(pg_catalog.=) $2
        union
        select r.to_visitor_id
        from visitor_identity.rebind as r
        where r.account operator(pg_catalog.=) $1
            and r.from_visitor_id operator(pg_catalog.=) $2
    ) as o
    join visitor_identity.visitor as v
        on v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) o.visitor_id
    where v.visitor_id operator(pg_catalog.<>) $2
    order by v.created_at, v.visitor_id
    limit $3"
);

statement!(
    PROVIDED,
    "select p.provided_visitor_id, p.verified_at, pg_catalog.count(*) over ()
    from visitor_identity.provided_identity as p
    where p.account operator(pg_catalog.=) $1
        and p.visitor_id operator(pg_catalog.=) $2
    order by p.created_at, p.provided_visitor_id
    limit $3"
);

statement!(
    CHANNELS,
    "select c.channel_type, c.channel_id, c.channel_user_id, pg_catalog.count(*) over ()
    from visitor_identity.channel_identity as c
    where c.account operator(pg_catalog.=) $1
        and c.visitor_id operator(pg_catalog.=) $2
    order by c.created_at, c.channel_type, c.channel_id, c.channel_user_id
    limit $3"
);

// The latest ones, in their order.
statement!(
    REBINDINGS,
    "select n.rebind_id, n.from_visitor_id, n.to_visitor_id, n.reason, n.rebound_at, n.rebound_chats, n.undone, n.total
    from (
        select r.rebind_id, r.from_visitor_id, r.to_visitor_id, r.reason, r.rebound_at, r.rebound_chats,
            r.undone_at is not null as undone, pg_catalog.count(*) over () as total
        from visitor_identity.rebind as r
        where r.account operator(pg_catalog.=) $1
            and r.from_visitor_id operator(pg_catalog.=) any ($2)
            and r.to_visitor_id operator(pg_catalog.=) any ($2)
        order by r.rebind_id desc
        limit $3
    ) as n
    order by n.rebind_id"
);

fn visitor(rows: &Rows, row: usize, role: Role) -> Option<VisitorNode> {
    Some(VisitorNode {
        visitor_id: rows.uuid(row, 1)?,
        role,
        identified: rows.truth(row, 2),
        superseded: rows.truth(row, 3),
        forgotten: rows.truth(row, 4),
        created_at: instant(rows.get(row, 5)),
    })
}

/// All rows, of which the last column counts those that the limit left out too.
fn listed<T>(rows: &Rows, last: i32, read: impl Fn(usize) -> Option<T>) -> Listed<T> {
    Listed {
        first: (0..rows.len()).filter_map(read).collect(),
        total: rows.number(0, last),
    }
}

/// `visitor_graph`. Errors: 22023 for a drawing of no nodes; 42704 for an unknown account, an unknown or a forgotten
/// visitor.
pub fn graph(
    account: &str,
    visitor_id: Option<Uuid>,
    most_nodes: i32,
) -> Result<String, IdentityError> {
    let most = match usize::try_from(most_nodes) {
        Ok(most) if most > 0 => most,
        _ => return Err(IdentityError::BadMostNodes),
    };
    connect(|| {
        policy(account)?;
        let visitor_id = visitor_id.ok_or(IdentityError::UnknownVisitor)?;
        let canonical =
            survivor(Mode::ReadOnly, account, visitor_id)?.ok_or(IdentityError::UnknownVisitor)?;
        let [of, who] = [Value::Text(Some(account)), Value::Uuid(Some(canonical))];
        let limit = Value::Int8(Some(i64::from(most_nodes)));
        let run = |statement: &'static std::thread::LocalKey<super::policy::Kept>,
                   values: &[Value<'_>]| {
            statement.with(|statement| statement.run(Mode::ReadOnly, values))
        };
        let himself = visitor(&run(&VISITOR, &[of, who])?, 0, Role::Canonical)
            .ok_or(IdentityError::UnknownVisitor)?;
        let values = [of, who, limit];
        let (others, provided, channels) = (
            run(&OTHERS, &values)?,
            run(&PROVIDED, &values)?,
            run(&CHANNELS, &values)?,
        );
        let mut graph = Graph {
            visitor: himself,
            others: listed(&others, 8, |row| {
                let role = match (others.truth(row, 6), others.truth(row, 7)) {
                    (true, _) => Role::Superseded,
                    (false, true) => Role::Claimed,
                    (false, false) => Role::Other,
                };
                visitor(&others, row, role)
            }),
            provided: listed(&provided, 3, |row| {
                Some(ProvidedNode {
                    provided_visitor_id: provided.get(row, 1)?,
                    verified_at: provided.get(row, 2).map(|time| instant(Some(time))),
                })
            }),
            channels: listed(&channels, 4, |row| {
                Some(ChannelNode {
                    channel_type: channels.get(row, 1)?,
                    channel_id: channels.get(row, 2)?,
                    channel_user_id: channels.get(row, 3)?,
                })
            }),
        };
        graph.cut(most);
        let drawn = graph.visitor_ids();
        let rows = run(&REBINDINGS, &[of, Value::Uuids(&drawn), limit])?;
        let rebindings = listed(&rows, 8, |row| {
            Some(Rebinding {
                rebind_id: rows.get(row, 1)?,
                from: rows.uuid(row, 2)?,
                to: rows.uuid(row, 3)?,
                reason: rows.get(row, 4)?,
                rebound_at: instant(rows.get(row, 5)),
                rebound_chats: rows.number(row, 6),
                undone: rows.truth(row, 7),
            })
        });
        Ok(graph.draw(&rebindings))
    })
}
