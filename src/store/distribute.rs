//! `distribute`: reads what the plan needs to know, and carries the plan out.
//! May touch: the catalogs of PostgreSQL and Citus; the extension's tables and the attached ones, with the rights of the
//! caller.

use super::attach::owner_of_extension;
use super::distributed::{has_citus, is_distributed};
use super::spi::{connect, current_user, is_read_only, Mode, Statement, Value};
use super::statement;
use crate::distribution::{
    listing, plan, Facts, Obstacle, OwnTable, Placed, Step, Table, NODE_IS_PREPARED,
};
use crate::error::IdentityError;
use pgrx::pg_sys;

statement!(
    OWN_TABLES,
    "select c.oid, c.relname::pg_catalog.text,
        array(
            select t.tgname::pg_catalog.text
            from pg_catalog.pg_trigger as t
            where t.tgrelid operator(pg_catalog.=) c.oid
                and not t.tgisinternal
            order by t.tgname
        )
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) c.relnamespace
    where n.nspname operator(pg_catalog.=) 'visitor_identity'::pg_catalog.name
        and c.relkind operator(pg_catalog.=) 'r'::pg_catalog.\"char\"
        and c.relname operator(pg_catalog.<>) all ('{attached_table,backfill_queue}'::pg_catalog.name[])
        and not pg_catalog.starts_with(c.relname::pg_catalog.text, 'restored_')
    order by c.relname"
);

// Attached tables, and those that reference one of them.
statement!(
    TABLES,
    "with attached as (
        select a.relation, a.account_column::pg_catalog.text as account_column,
            (
                pg_catalog.to_jsonb(a) operator(pg_catalog.-) '{relation,owner,table_name,fixed_account,key_names,key_types,key_type_names}'::pg_catalog.text[]
            ) operator(pg_catalog.||) pg_catalog.jsonb_build_object(
                'relation_name', a.table_name, 'key_columns', a.key_names
            ) as attachment
        from visitor_identity.attachment as a
    ), referencing as (
        select distinct f.conrelid as relation, (
            select x.attname::pg_catalog.text
            from rows from (pg_catalog.unnest(f.conkey), pg_catalog.unnest(f.confkey)) as k (own, other)
            join pg_catalog.pg_attribute as y
                on y.attrelid operator(pg_catalog.=) f.confrelid
                and y.attnum operator(pg_catalog.=) k.other
                and y.attname::pg_catalog.text operator(pg_catalog.=) a.account_column
            join pg_catalog.pg_attribute as x
                on x.attrelid operator(pg_catalog.=) f.conrelid
                and x.attnum operator(pg_catalog.=) k.own
        ) as account_column
        from pg_catalog.pg_constraint as f
        join attached as a on a.relation operator(pg_catalog.=) f.confrelid
        join pg_catalog.pg_class as c on c.oid operator(pg_catalog.=) f.conrelid
        where f.contype operator(pg_catalog.=) 'f'::pg_catalog.\"char\"
            and not c.relispartition
            and f.conrelid operator(pg_catalog.<>) all (
                select o.relation
                from attached as o
            )
    ), every as (
        select a.relation, a.account_column, a.attachment
        from attached as a
        union all
        select r.relation, r.account_column, null
        from referencing as r
    )
    select e.relation, c.relowner, pg_catalog.format('%I.%I', n.nspname, c.relname),
        e.account_column, e.attachment::pg_catalog.text,
        exists (
            select 1
            from pg_catalog.pg_attribute as x
            where x.attrelid operator(pg_catalog.=) e.relation
                and x.attname::pg_catalog.text operator(pg_catalog.=) e.account_column
                and x.atttypid operator(pg_catalog.=) 'pg_catalog.text'::pg_catalog.regtype
                and x.attcollation operator(pg_catalog.=) 'pg_catalog.\"C\"'::pg_catalog.regcollation
        ),
        array(
            select pg_catalog.quote_ident(k.relname)
            from pg_catalog.pg_index as i
            join pg_catalog.pg_class as k on k.oid operator(pg_catalog.=) i.indexrelid
            where i.indrelid operator(pg_catalog.=) e.relation
                and i.indisunique
                and not exists (
                    select 1
                    from pg_catalog.unnest(i.indkey) as u (attnum)
                    join pg_catalog.pg_attribute as x
                        on x.attrelid operator(pg_catalog.=) e.relation
                        and x.attnum operator(pg_catalog.=) u.attnum
                        and x.attname::pg_catalog.text operator(pg_catalog.=) e.account_column
                )
            order by i.indisprimary desc, k.relname
        ),
        array(
            select t.tgname::pg_catalog.text
            from pg_catalog.pg_trigger as t
            join pg_catalog.pg_proc as p on p.oid operator(pg_catalog.=) t.tgfoid
            where t.tgrelid operator(pg_catalog.=) e.relation
                and not t.tgisinternal
                and p.pronamespace operator(pg_catalog.=) 'visitor_identity'::pg_catalog.regnamespace
            order by t.tgname
        ),
        array(
            select t.tgname::pg_catalog.text
            from pg_catalog.pg_trigger as t
            join pg_catalog.pg_proc as p on p.oid operator(pg_catalog.=) t.tgfoid
            where t.tgrelid operator(pg_catalog.=) e.relation
                and not t.tgisinternal
                and p.pronamespace operator(pg_catalog.<>) 'visitor_identity'::pg_catalog.regnamespace
            order by t.tgname
        ),
        array(
            select f.confrelid::pg_catalog.int8
            from pg_catalog.pg_constraint as f
            where f.conrelid operator(pg_catalog.=) e.relation
                and f.contype operator(pg_catalog.=) 'f'::pg_catalog.\"char\"
                and f.confrelid operator(pg_catalog.<>) all (
                    select o.relation
                    from every as o
                    where o.account_column is not null
                )
            order by f.confrelid
        ),
        not exists (
            select 1
            from pg_catalog.pg_roles as r
            where r.oid operator(pg_catalog.=) c.relowner
                and r.rolsuper
        ) and exists (
            select 1
            from pg_catalog.pg_depend as d
            left join pg_catalog.pg_type as y
                on d.refclassid operator(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass
                and y.oid operator(pg_catalog.=) d.refobjid
            left join pg_catalog.pg_proc as p
                on d.refclassid operator(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
                and p.oid operator(pg_catalog.=) d.refobjid
            where (
                    p.pronamespace operator(pg_catalog.<>) 'visitor_identity'::pg_catalog.regnamespace
                    or (
                        y.typnamespace operator(pg_catalog.<>) 'visitor_identity'::pg_catalog.regnamespace
                        and y.typtype operator(pg_catalog.<>) 'e'::pg_catalog.\"char\"
                    )
                    or d.refclassid operator(pg_catalog.=) any (array[
                        'pg_catalog.pg_operator'::pg_catalog.regclass::pg_catalog.oid,
                        'pg_catalog.pg_opclass'::pg_catalog.regclass::pg_catalog.oid
                    ])
                )
                and (
                    d.classid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
                    and (
                        d.objid operator(pg_catalog.=) e.relation
                        or d.objid operator(pg_catalog.=) any (
                            select i.indexrelid
                            from pg_catalog.pg_index as i
                            where i.indrelid operator(pg_catalog.=) e.relation
                        )
                    )
                    or d.classid operator(pg_catalog.=) 'pg_catalog.pg_constraint'::pg_catalog.regclass
                    and d.objid operator(pg_catalog.=) any (
                        select x.oid
                        from pg_catalog.pg_constraint as x
                        where x.conrelid operator(pg_catalog.=) e.relation
                    )
                    or d.classid operator(pg_catalog.=) 'pg_catalog.pg_attrdef'::pg_catalog.regclass
                    and d.objid operator(pg_catalog.=) any (
                        select x.oid
                        from pg_catalog.pg_attrdef as x
                        where x.adrelid operator(pg_catalog.=) e.relation
                    )
                )
        )
    from every as e
    join pg_catalog.pg_class as c on c.oid operator(pg_catalog.=) e.relation
    join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) c.relnamespace
    order by e.attachment is null, n.nspname, c.relname"
);

statement!(
    PLACED,
    "select
        case
            when p.partmethod operator(pg_catalog.=) 'h'::pg_catalog.\"char\" then
                case
                    when p.logicalrelid operator(pg_catalog.=) 'visitor_identity.visitor'::pg_catalog.regclass
                        or p.colocationid operator(pg_catalog.=) (
                            select v.colocationid
                            from pg_catalog.pg_dist_partition as v
                            where v.logicalrelid operator(pg_catalog.=) 'visitor_identity.visitor'::pg_catalog.regclass
                        ) then 'account'
                    else 'elsewhere'
                end
            when p.repmodel operator(pg_catalog.=) 't'::pg_catalog.\"char\" then 'everywhere'
            else 'elsewhere'
        end
    from pg_catalog.pg_dist_partition as p
    where p.logicalrelid operator(pg_catalog.=) $1"
);

statement!(
    NAME,
    "select pg_catalog.format('%I.%I', n.nspname, c.relname)
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) c.relnamespace
    where c.oid operator(pg_catalog.=) $1"
);

statement!(
    REST,
    "select (
            select x.atttypid operator(pg_catalog.=) 'pg_catalog.text'::pg_catalog.regtype
            from pg_catalog.pg_attribute as x
            where x.attrelid operator(pg_catalog.=) 'visitor_identity.rebind_row'::pg_catalog.regclass
                and x.attname operator(pg_catalog.=) 'moved_table'::pg_catalog.name
        ),
        array(
            select pg_catalog.format('visitor_identity.%I(%s)', p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid))
            from pg_catalog.pg_proc as p
            where p.pronamespace operator(pg_catalog.=) 'visitor_identity'::pg_catalog.regnamespace
                and p.proparallel operator(pg_catalog.=) 's'::pg_catalog.\"char\"
                and p.provolatile operator(pg_catalog.=) 's'::pg_catalog.\"char\"
                and p.proname operator(pg_catalog.<>) 'account_is_visible'::pg_catalog.name
            order by p.proname
        ),
        exists (
            select 1
            from visitor_identity.backfill_queue
        ),
        (
            select c.relkind operator(pg_catalog.=) 'p'::pg_catalog.\"char\"
            from pg_catalog.pg_class as c
            where c.oid operator(pg_catalog.=) 'visitor_identity.visitor'::pg_catalog.regclass
        )"
);

statement!(
    LISTED,
    "select t.table_name, t.attachment::pg_catalog.text
    from visitor_identity.distributed_table as t"
);

statement!(
    CALLS_ARE_SENT,
    "select exists (
        select 1
        from pg_catalog.pg_dist_object as d
        where d.classid operator(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
            and d.objid operator(pg_catalog.=)
                'visitor_identity.at_account(pg_catalog.text, pg_catalog.text, pg_catalog.text)'::pg_catalog.regprocedure
            and d.distribution_argument_index is not null
    )"
);

statement!(
    NODES_ARE_NEW,
    "select not coalesce(pg_catalog.bool_and(r.success and r.result operator(pg_catalog.=) 't'), true)
    from pg_catalog.run_command_on_workers($1) as r"
);

statement!(
    IS_COORDINATOR,
    "select g.groupid operator(pg_catalog.=) 0
    from pg_catalog.pg_dist_local_group as g"
);

fn placed(relation: pg_sys::Oid, citus: bool) -> Result<Placed, IdentityError> {
    if !citus {
        return Ok(Placed::Here);
    }
    let rows = PLACED.with(|statement| statement.run(Mode::Write, &[Value::Oid(relation)]))?;
    Ok(match rows.get::<String>(0, 1).as_deref() {
        None => Placed::Here,
        Some("account") => Placed::ByAccount,
        Some("everywhere") => Placed::Everywhere,
        Some(_) => Placed::Elsewhere,
    })
}

fn name_of(relation: pg_sys::Oid) -> Result<String, IdentityError> {
    let rows = NAME.with(|statement| statement.run(Mode::Write, &[Value::Oid(relation)]))?;
    Ok(rows.get(0, 1).unwrap_or_default())
}

fn read(shard_count: Option<i32>, citus: bool) -> Result<Facts, IdentityError> {
    let rows = OWN_TABLES.with(|statement| statement.run(Mode::Write, &[]))?;
    let mut own = Vec::new();
    for row in 0..rows.len() {
        let relation = rows.get(row, 1).unwrap_or(pg_sys::InvalidOid);
        own.push(OwnTable {
            name: rows.get(row, 2).unwrap_or_default(),
            placed: placed(relation, citus)?,
            triggers: rows.get(row, 3).unwrap_or_default(),
        });
    }
    let rows = TABLES.with(|statement| statement.run(Mode::Write, &[]))?;
    let mut tables = Vec::new();
    for row in 0..rows.len() {
        let name: String = rows.get(row, 3).unwrap_or_default();
        let relation = rows.get(row, 1).unwrap_or(pg_sys::InvalidOid);
        let mut references = Vec::new();
        for other in rows.get::<Vec<i64>>(row, 10).unwrap_or_default() {
            let other = pg_sys::Oid::from(u32::try_from(other).unwrap_or_default());
            if matches!(placed(other, citus)?, Placed::Here | Placed::Elsewhere) {
                references.push(name_of(other)?);
            }
        }
        tables.push(Table {
            name,
            attachment: rows.get(row, 5),
            account: rows.get(row, 4),
            account_is_text_c: rows.truth(row, 6),
            keys_without_account: rows.get(row, 7).unwrap_or_default(),
            triggers: rows.get(row, 8).unwrap_or_default(),
            other_triggers: rows.get(row, 9).unwrap_or_default(),
            runs_code: rows.truth(row, 11),
            references,
            placed: placed(relation, citus)?,
        });
    }
    let rest = REST.with(|statement| statement.run(Mode::Write, &[]))?;
    let listed = LISTED.with(|statement| statement.run(Mode::Write, &[]))?;
    let facts = Facts {
        own,
        tables,
        listed: (0..listed.len())
            .filter_map(|row| Some((listed.get(row, 1)?, listed.get(row, 2)?)))
            .collect(),
        log_names_tables: rest.truth(0, 1),
        calls_are_sent: citus
            && CALLS_ARE_SENT
                .with(|statement| statement.run(Mode::Write, &[]))?
                .truth(0, 1),
        nodes_are_new: !citus || {
            let look = [Value::Text(Some(NODE_IS_PREPARED))];
            let rows = NODES_ARE_NEW.with(|statement| statement.run(Mode::Write, &look))?;
            rows.truth(0, 1)
        },
        parallel_functions: rest.get(0, 2).unwrap_or_default(),
        backfill_waits: rest.truth(0, 3),
        is_divided: rest.truth(0, 4),
        shard_count,
    };
    Ok(facts)
}

statement!(
    DISTRIBUTION_COLUMN,
    "select pg_catalog.column_to_column_name(p.logicalrelid::pg_catalog.oid, p.partkey)
    from pg_catalog.pg_dist_partition as p
    where p.logicalrelid operator(pg_catalog.=) $1"
);

/// Makes sure that a table that is going to be attached is with the visitors, where they are distributed. Errors: 55000.
pub(super) fn check_attachable(
    relation: pg_sys::Oid,
    account: Option<&str>,
) -> Result<(), IdentityError> {
    if !is_distributed()? {
        return Ok(());
    }
    let column = DISTRIBUTION_COLUMN
        .with(|statement| statement.run(Mode::Write, &[Value::Oid(relation)]))?
        .get::<String>(0, 1);
    if placed(relation, true)? == Placed::ByAccount
        && account.is_some()
        && column.as_deref() == account
    {
        return Ok(());
    }
    Err(IdentityError::not_in_state(
        "the table is not distributed with the visitors",
        "A call is carried out by the node that has the account, and moves the rows that are there.",
        "Call create_distributed_table(table, account column, colocate_with => 'visitor_identity.visitor') first.",
    ))
}

/// Tells every node which tables are attached now, where they are distributed.
pub(super) fn list_attached() -> Result<(), IdentityError> {
    if !is_distributed()? {
        return Ok(());
    }
    let facts = read(None, true)?;
    for step in listing(&facts) {
        carry_out(&step)?;
    }
    Ok(())
}

/// What `distribute` tells of a step, or of what stands in the way: then there is no statement.
pub struct Told {
    pub object: String,
    pub statement: Option<String>,
    pub why: String,
}

impl From<Obstacle> for IdentityError {
    fn from(obstacle: Obstacle) -> Self {
        Self::Attachment {
            message: obstacle.message,
            detail: obstacle.detail.to_owned(),
            hint: obstacle.hint,
        }
    }
}

/// `distribute`. A step that is done already is not told. Errors: 0A000 without Citus, 42501, 55000 for a table that
/// cannot be distributed; those of Citus.
pub fn distribute(dry_run: bool, shard_count: Option<i32>) -> Result<Vec<Told>, IdentityError> {
    connect(|| {
        let owner = owner_of_extension()?;
        // SAFETY: a look into the catalog, inside a transaction.
        if !unsafe { pg_sys::has_privs_of_role(current_user(), owner) } {
            return Err(IdentityError::NotExtensionOwner);
        }
        if shard_count.is_some_and(|count| count < 1) {
            return Err(IdentityError::BadNumber {
                option: "shard_count",
                least: 1,
            });
        }
        if !dry_run && is_read_only() {
            return Err(IdentityError::ReadOnlySetup);
        }
        let citus = has_citus();
        let facts = read(shard_count, citus)?;
        let (steps, obstacles) = plan(&facts);
        if !dry_run {
            if !citus {
                return Err(IdentityError::CitusMissing);
            }
            let here = IS_COORDINATOR.with(|statement| statement.run(Mode::Write, &[]))?;
            if !here.truth(0, 1) {
                return Err(IdentityError::not_in_state(
                    "this node is not the coordinator",
                    "Tables are distributed from the coordinator.",
                    "Call it there; pg_dist_local_group has group 0 on the coordinator.",
                ));
            }
            if let Some(obstacle) = obstacles.into_iter().next() {
                return Err(obstacle.into());
            }
            for step in &steps {
                carry_out(step)?;
            }
            return Ok(steps.into_iter().map(told).collect());
        }
        let refused = obstacles.into_iter().map(|obstacle| Told {
            object: obstacle.object,
            statement: None,
            why: format!("refused: {} {}", obstacle.detail, obstacle.hint),
        });
        Ok(refused.chain(steps.into_iter().map(told)).collect())
    })
}

fn told(step: Step) -> Told {
    Told {
        object: step.object,
        statement: Some(step.statement),
        why: step.why.to_owned(),
    }
}

/// Everything with the rights of the caller: Citus takes no two users for one group of shards in a transaction.
fn carry_out(step: &Step) -> Result<(), IdentityError> {
    let rows = Statement::over_table(step.statement.clone()).run(Mode::Write, &[])?;
    if step.on_workers && !(0..rows.len()).all(|row| rows.truth(row, 1)) {
        return Err(IdentityError::not_in_state(
            "a worker could not be prepared",
            "A command on its tables of the extension failed; the log of the worker says why.",
            "Look whether every worker has the extension in the same version, and call it again.",
        ));
    }
    Ok(())
}
