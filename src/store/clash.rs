//! Where rows of two visitors clash on a unique index of an attached visitor table: which indexes matter, and the text of
//! the condition that finds such rows before they are moved.
//! May touch: the catalog. What it writes runs over the table with the rights of the table's owner.

use super::spi::{with_safe_search_path, Mode, Value};
use super::statement;
use crate::error::IdentityError;
use pgrx::pg_sys;
use pgrx::spi::quote_identifier;

/// What becomes of a rebinding when rows clash; the column `on_clash`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnClash {
    /// Rows that clash stay with the former visitor, the others move.
    MoveOrKeepTarget,
    /// The former visitor stays, with everything.
    Refuse,
}

impl OnClash {
    pub fn parse(name: &str) -> Option<Self> {
        [Self::MoveOrKeepTarget, Self::Refuse]
            .into_iter()
            .find(|policy| policy.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::MoveOrKeepTarget => "move_or_keep_target",
            Self::Refuse => "refuse",
        }
    }
}

/// One unique index over the visitor column. All texts come from PostgreSQL, for the safe search_path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueIndex {
    /// A column or an expression over the row.
    keys: Vec<String>,
    /// The operators by which the index tells equal values, a key each.
    equalities: Vec<String>,
    /// A COLLATE clause for each key, empty where there is nothing to collate.
    collations: Vec<String>,
    /// Of a partial index.
    predicate: Option<String>,
    /// NULLS NOT DISTINCT.
    nulls_clash: bool,
    /// A constraint that may be broken until the transaction ends.
    pub(super) is_deferrable: bool,
}

// With the equality that the index uses, not the one that a search_path would find. That of an exclusion constraint is
// no equality. An index of one partition alone is not among those of the partitioned table.
statement!(
    UNIQUE_INDEXES,
    "select k.keys, k.equalities, k.collations,
        pg_catalog.pg_get_expr(i.indpred, i.indrelid),
        coalesce(
            (pg_catalog.to_jsonb(i) operator(pg_catalog.->>) 'indnullsnotdistinct')::pg_catalog.bool,
            false
        ),
        i.indisexclusion or k.equalities is null or i.indrelid operator(pg_catalog.<>) $1,
        not i.indimmediate
    from (
        select $1
        union
        select p.relid::pg_catalog.oid
        from pg_catalog.pg_partition_tree($1::pg_catalog.regclass) as p
    ) as l (relation)
    join pg_catalog.pg_index as i
        on i.indrelid operator(pg_catalog.=) l.relation
    join pg_catalog.pg_attribute as v
        on v.attrelid operator(pg_catalog.=) i.indrelid
        and v.attname operator(pg_catalog.=) $2::pg_catalog.name
    cross join lateral (
        select
            pg_catalog.array_agg(
                pg_catalog.pg_get_indexdef(i.indexrelid, p.position, false) order by p.position
            ) as keys,
            case
                when pg_catalog.count(o.oid) operator(pg_catalog.=) i.indnkeyatts::pg_catalog.int8
                    then pg_catalog.array_agg(
                        case
                            when o.oid is not null
                                then pg_catalog.format('operator(%I.%s)', n.nspname, o.oprname)
                        end
                        order by p.position
                    )
            end as equalities,
            pg_catalog.array_agg(
                case
                    when b.oid is null then ''
                    else pg_catalog.format(' collate %I.%I', m.nspname, b.collname)
                end
                order by p.position
            ) as collations
        from pg_catalog.generate_series(1, i.indnkeyatts::pg_catalog.int4) as p (position)
        join pg_catalog.pg_opclass as c
            on c.oid operator(pg_catalog.=) i.indclass[p.position operator(pg_catalog.-) 1]
        left join pg_catalog.pg_amop as a
            on a.amopfamily operator(pg_catalog.=) c.opcfamily
            and a.amoplefttype operator(pg_catalog.=) c.opcintype
            and a.amoprighttype operator(pg_catalog.=) c.opcintype
            and a.amopstrategy operator(pg_catalog.=) 3::pg_catalog.int2
            and not i.indisexclusion
        left join pg_catalog.pg_operator as o on o.oid operator(pg_catalog.=) a.amopopr
        left join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) o.oprnamespace
        left join pg_catalog.pg_collation as b
            on b.oid operator(pg_catalog.=) i.indcollation[p.position operator(pg_catalog.-) 1]
        left join pg_catalog.pg_namespace as m on m.oid operator(pg_catalog.=) b.collnamespace
    ) as k
    where (i.indisunique or i.indisexclusion)
        and (
            v.attnum operator(pg_catalog.=) any (i.indkey::pg_catalog.int2[])
            or exists (
                select 1
                from pg_catalog.pg_depend as d
                where d.classid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid
                    and d.objid operator(pg_catalog.=) i.indexrelid
                    and d.refclassid operator(pg_catalog.=) d.classid
                    and d.refobjid operator(pg_catalog.=) i.indrelid
                    and d.refobjsubid operator(pg_catalog.=) v.attnum::pg_catalog.int4
            )
        )
        and (
            i.indrelid operator(pg_catalog.=) $1
            or not exists (
                select 1
                from pg_catalog.pg_inherits as h
                where h.inhrelid operator(pg_catalog.=) i.indexrelid
            )
        )
    order by i.indexrelid"
);

/// The unique indexes on which rows of two visitors could clash. Some: those that can be looked at; None in place of one
/// that cannot: an exclusion constraint, or an index that only a partition has.
pub fn unique_indexes(
    relation: pg_sys::Oid,
    visitor: &str,
) -> Result<Vec<Option<UniqueIndex>>, IdentityError> {
    let values = [Value::Oid(relation), Value::Text(Some(visitor))];
    with_safe_search_path(|| {
        let rows = UNIQUE_INDEXES.with(|statement| statement.run(Mode::NewestReadOnly, &values))?;
        Ok((0..rows.len())
            .map(|row| {
                (!rows.truth(row, 6)).then(|| UniqueIndex {
                    keys: rows.get(row, 1).unwrap_or_default(),
                    equalities: rows.get(row, 2).unwrap_or_default(),
                    collations: rows.get(row, 3).unwrap_or_default(),
                    predicate: rows.get(row, 4),
                    nulls_clash: rows.truth(row, 5),
                    is_deferrable: rows.truth(row, 7),
                })
            })
            .collect())
    })
}

/// A condition over a row `t` of visitor $2: were it visitor $3's, it would have the unique key of a row that is not
/// $2's. `columns` are all columns of the table, quoted by nobody yet.
///
/// Both rows stand in a SELECT of their own, alone, where the names in an expression of an index can mean nothing else.
pub fn condition(
    indexes: &[UniqueIndex],
    table: &str,
    columns: &[String],
    visitor: &str,
) -> String {
    let visitor = quote_identifier(visitor);
    let moved: Vec<String> = columns
        .iter()
        .map(quote_identifier)
        .map(|column| {
            if column == visitor {
                format!("$3::pg_catalog.uuid as {column}")
            } else {
                format!("t.{column}")
            }
        })
        .collect();
    let conditions: Vec<String> = indexes
        .iter()
        .map(|index| index.condition(table, &moved.join(", "), &visitor))
        .collect();
    if conditions.is_empty() {
        "false".to_owned()
    } else {
        conditions.join(" or ")
    }
}

impl UniqueIndex {
    fn condition(&self, table: &str, moved: &str, visitor: &str) -> String {
        let values: Vec<String> = self
            .keys
            .iter()
            .zip(1..)
            .map(|(key, number)| format!("({key}) as k{number}"))
            .collect();
        let values = values.join(", ");
        let same: Vec<String> = self
            .equalities
            .iter()
            .zip(&self.collations)
            .zip(1..)
            .map(|((equality, collation), number)| {
                let same = format!("o.k{number} {equality} (m.k{number}{collation})");
                if self.nulls_clash {
                    format!("({same} or (o.k{number} is null and m.k{number} is null))")
                } else {
                    same
                }
            })
            .collect();
        let predicate = self.predicate.as_deref().unwrap_or("true");
        format!(
            "exists (
                select 1
                from (
                    select {values}
                    from (select {moved}) as r
                    where ({predicate})
                ) as m
                join (
                    select {values}
                    from {table} as r
                    where r.{visitor} operator(pg_catalog.<>) $2
                        and ({predicate})
                ) as o on {}
            )",
            same.join(" and ")
        )
    }
}
