//! Takes a rebinding back, as far as what it moved is still where it put it.
//! May touch: the identity tables, the log, and the attached tables through `attachment`.

use super::attachment::{attached_tables, tables_holding, Kind, PutBackWhich};
use super::device::{put_devices_back, put_named_devices_back};
use super::distributed::{log_statement, logged, table_in_log};
use super::identity::{lock_visitor, Lock};
use super::notification::{notify, Rebinding};
use super::rebind::{lock_chats, Moving};
use super::resolve::{elect, take_turn};
use super::spi::{connect, is_read_only, unless_unique_violation, Mode, Value};
use super::statement;
use crate::error::IdentityError;
use pgrx::pg_sys;
use uuid::Uuid;

/// What an undo did with one table.
pub struct PutBack {
    pub moved_table: pg_sys::Oid,
    /// Rows that are with the former visitor again.
    pub put_back: i64,
    /// Rows that had gone elsewhere since, or are gone.
    pub left_alone: i64,
}

statement!(
    REBINDING,
    "select r.from_visitor_id, r.to_visitor_id, r.kind operator(pg_catalog.<>) 'chat',
        r.undone_at is not null, r.kind operator(pg_catalog.=) 'merge'
    from visitor_identity.rebind as r
    where r.account operator(pg_catalog.=) $1
        and r.rebind_id operator(pg_catalog.=) $2"
);

statement!(
    MARK,
    "update visitor_identity.rebind as r
    set undone_at = pg_catalog.now()
    where r.account operator(pg_catalog.=) $1
        and r.rebind_id operator(pg_catalog.=) $2
        and r.undone_at is null"
);

log_statement!(
    KEYS,
    "select k.moved_table::pg_catalog.oid, pg_catalog.jsonb_array_length(k.keys)::pg_catalog.int8,
        k.keys::pg_catalog.text,
        k.moved_table operator(pg_catalog.=) 'visitor_identity.visitor'::pg_catalog.regclass,
        k.moved_table operator(pg_catalog.=) 'visitor_identity.channel_identity'::pg_catalog.regclass,
        k.moved_table operator(pg_catalog.=) 'visitor_identity.provided_identity'::pg_catalog.regclass,
        k.moved_table operator(pg_catalog.=) 'visitor_identity.device'::pg_catalog.regclass
    from visitor_identity.rebind_row as k
    where k.account operator(pg_catalog.=) $1
        and k.rebind_id operator(pg_catalog.=) $2
    order by k.moved_table operator(pg_catalog.<>) 'visitor_identity.provided_identity'::pg_catalog.regclass,
        k.moved_table operator(pg_catalog.=) 'visitor_identity.visitor'::pg_catalog.regclass,
        k.moved_table operator(pg_catalog.=) 'visitor_identity.channel_identity'::pg_catalog.regclass,
        k.moved_table, k.part"
);

log_statement!(
    KEYS_OF_OTHERS,
    "select coalesce(pg_catalog.jsonb_agg(e.value), '[]'::pg_catalog.jsonb)::pg_catalog.text
    from visitor_identity.rebind as r
    join visitor_identity.rebind_row as k
        on k.account operator(pg_catalog.=) $1
        and k.rebind_id operator(pg_catalog.=) r.rebind_id
        and k.moved_table operator(pg_catalog.=) $4::pg_catalog.oid
    cross join lateral pg_catalog.jsonb_array_elements(k.keys) as e (value)
    where r.account operator(pg_catalog.=) $1
        and r.to_visitor_id operator(pg_catalog.=) $2
        and r.rebind_id operator(pg_catalog.<>) $3
        and r.undone_at is null"
);

statement!(
    PROVIDED_OF,
    "select p.provided_visitor_id
    from visitor_identity.provided_identity as p
    where p.account operator(pg_catalog.=) $1
        and p.visitor_id operator(pg_catalog.=) $2"
);

statement!(
    RELEASE,
    "update visitor_identity.visitor as v
    set superseded_by = null, claimed_by = r.claimed_by
    from visitor_identity.rebind as r
    where v.account operator(pg_catalog.=) $1
        and v.visitor_id operator(pg_catalog.=) $2
        and v.superseded_by operator(pg_catalog.=) $3
        and r.account operator(pg_catalog.=) $1
        and r.rebind_id operator(pg_catalog.=) $4"
);

statement!(
    POINTERS_BACK,
    "update visitor_identity.visitor as v
    set superseded_by = $2
    where v.account operator(pg_catalog.=) $1
        and v.superseded_by operator(pg_catalog.=) $3
        and v.visitor_id operator(pg_catalog.=) any (
            select k.value::pg_catalog.uuid
            from pg_catalog.jsonb_array_elements_text($4::pg_catalog.jsonb) as k (value)
        )"
);

statement!(
    CHANNELS_BACK,
    "update visitor_identity.channel_identity as c
    set visitor_id = $2
    from pg_catalog.jsonb_to_recordset($4::pg_catalog.jsonb) as k (
        channel_type pg_catalog.text, channel_id pg_catalog.text, channel_user_id pg_catalog.text
    )
    where c.account operator(pg_catalog.=) $1
        and c.channel_user_id operator(pg_catalog.=) k.channel_user_id
        and c.channel_type operator(pg_catalog.=) k.channel_type
        and c.channel_id operator(pg_catalog.=) k.channel_id
        and c.visitor_id operator(pg_catalog.=) $3"
);

statement!(
    PROVIDED_BACK,
    "update visitor_identity.provided_identity as p
    set visitor_id = $2
    where p.account operator(pg_catalog.=) $1
        and p.visitor_id operator(pg_catalog.=) $3
        and p.provided_visitor_id operator(pg_catalog.=) any (
            select k.value
            from pg_catalog.jsonb_array_elements_text($4::pg_catalog.jsonb) as k (value)
        )"
);

// What was signed while the two were one is kept with the one who stayed: it is of whom its id belongs to.
statement!(
    FIELDS_BACK,
    "with taken as (
        delete from visitor_identity.visitor_fields as f
        where f.account operator(pg_catalog.=) $1
            and f.visitor_id operator(pg_catalog.=) $3
            and exists (
                select 1
                from visitor_identity.provided_identity as p
                where p.account operator(pg_catalog.=) $1
                    and p.visitor_id operator(pg_catalog.=) $2
                    and p.provided_visitor_id operator(pg_catalog.=) visitor_identity.normalize_provided_visitor_id(
                        f.fields operator(pg_catalog.->>) 'id'
                    )
            )
        returning f.fields, f.verified_at
    )
    insert into visitor_identity.visitor_fields as f (account, visitor_id, fields, verified_at)
    select $1, $2, t.fields, t.verified_at
    from taken as t
    on conflict (account, visitor_id) do update
    set fields = excluded.fields,
        verified_at = excluded.verified_at"
);

fn cannot(detail: &str, hint: &str) -> IdentityError {
    IdentityError::not_in_state("the rebinding cannot be undone", detail, hint)
}

fn undone_before() -> IdentityError {
    cannot(
        "It was undone before.",
        "Look at undone_at in visitor_identity.rebind.",
    )
}

/// `undo_rebind`. Errors: 42704 for an unknown rebinding; 55000 when it was undone before, when its target is itself
/// superseded or forgotten, or when its source was absorbed by somebody else since.
pub fn undo(account: &str, rebind_id: i64) -> Result<Vec<PutBack>, IdentityError> {
    connect(|| {
        super::policy::policy(account)?;
        if is_read_only() {
            return Err(IdentityError::ReadOnlyOperation);
        }
        let id = [Value::Text(Some(account)), Value::Int8(Some(rebind_id))];
        let rows = REBINDING.with(|statement| statement.run(Mode::Write, &id))?;
        let (Some(from), Some(to)) = (rows.uuid(0, 1), rows.uuid(0, 2)) else {
            return Err(IdentityError::UnknownRebinding);
        };
        if rows.truth(0, 4) {
            return Err(undone_before());
        }
        // Elected before anything is locked, as whoever moves the chats of either is, and whoever forgets `to`; the log's
        // row comes last, because who holds a chat may be waiting to write there.
        let mut pair = [from, to];
        take_turn(account, &pair)?;
        pair.sort_unstable();
        for visitor in pair {
            elect(account, visitor)?;
        }
        let whole_visitor = rows.truth(0, 3);
        let takes_back_ids = rows.truth(0, 5);
        if takes_back_ids {
            // Before the visitors: whoever is changing one may be waiting for `from`, whose merge has just ended.
            lock_chats(account, to)?;
        }
        // The superseded first, like everybody who comes with his id and goes on to the survivor. Whoever takes the survivor
        // and goes on to those whom he superseded is elected, as we are.
        for visitor in [from, to] {
            // Nothing of the other rows changes, and whoever adds to those visitors meanwhile may; but not by a provided id
            // that goes back to the other one.
            let strength = if visitor == from && whole_visitor || takes_back_ids {
                Lock::Take
            } else {
                Lock::Share
            };
            let locked = lock_visitor(account, visitor, strength)?;
            let stands = locked.is_some_and(|row| {
                !row.visitor.forgotten
                    && match row.superseded_by {
                        None => visitor == to || !whole_visitor,
                        Some(survivor) => visitor == from && whole_visitor && survivor == to,
                    }
            });
            if !stands {
                return Err(cannot(
                    "One of the two visitors was absorbed by another or forgotten since.",
                    "Undo the later rebinding first; visitor_identity.rebind lists them.",
                ));
            }
        }
        if takes_back_ids {
            // Whoever is changing one of them, and gives it an id that goes back, has ended then.
            lock_chats(account, to)?;
        }
        let again = REBINDING.with(|statement| statement.run(Mode::Write, &id))?;
        if again.truth(0, 4) {
            return Err(undone_before());
        }
        if whole_visitor {
            let values = [id[0], Value::Uuid(Some(from)), Value::Uuid(Some(to)), id[1]];
            RELEASE.with(|statement| statement.run(Mode::Newest, &values))?;
        }
        let done = put_back(account, &id, from, to, whole_visitor)?;
        let marked = MARK.with(|statement| statement.run(Mode::Newest, &id))?;
        if marked.len() != 1 {
            return Err(undone_before());
        }
        let tables = attached_tables()?;
        let is_chats = |relation| tables.iter().any(|table| table.relation == relation);
        notify(&Rebinding {
            account,
            rebind_id,
            kind: "undo",
            from: to,
            to: from,
            rebound_chats: done
                .iter()
                .filter(|table| is_chats(table.moved_table))
                .map(|table| table.put_back)
                .sum(),
        })?;
        Ok(done)
    })
}

/// Counts rows of a table that went back without being in the log.
fn add(done: &mut Vec<PutBack>, moved_table: pg_sys::Oid, count: i64) {
    match done
        .iter_mut()
        .find(|known| known.moved_table == moved_table)
    {
        Some(known) => known.put_back += count,
        None if count > 0 => done.push(PutBack {
            moved_table,
            put_back: count,
            left_alone: 0,
        }),
        None => {}
    }
}

fn put_back(
    account: &str,
    id: &[Value<'_>; 2],
    from: Uuid,
    to: Uuid,
    whole_visitor: bool,
) -> Result<Vec<PutBack>, IdentityError> {
    let parts = KEYS.with(|statement| statement.run(Mode::Write, id))?;
    let mut done: Vec<PutBack> = Vec::new();
    for row in 0..parts.len() {
        let (Some(moved_table), Some(keys)) =
            (table_in_log(&parts, row, 1)?, parts.get::<String>(row, 3))
        else {
            continue;
        };
        let total = parts.number(row, 2);
        let values = [
            Value::Text(Some(account)),
            Value::Uuid(Some(from)),
            Value::Uuid(Some(to)),
            Value::Json(Some(&keys)),
        ];
        let count = if parts.truth(row, 4) {
            POINTERS_BACK
                .with(|statement| statement.run(Mode::Newest, &values))?
                .len() as i64
        } else if parts.truth(row, 5) {
            CHANNELS_BACK
                .with(|statement| statement.run(Mode::Newest, &values))?
                .len() as i64
        } else if parts.truth(row, 6) {
            PROVIDED_BACK
                .with(|statement| statement.run(Mode::Newest, &values))?
                .len() as i64
        } else if parts.truth(row, 7) {
            put_devices_back(account, from, to, &keys)?
        } else {
            let tables = attached_tables()?;
            match tables.iter().find(|table| table.relation == moved_table) {
                Some(table) => {
                    let _moving = Moving::begin(to, from);
                    match &table.kind {
                        Kind::Rows(rows) => unless_unique_violation(|| {
                            table.put_rows_back(rows, account, from, to, &keys)
                        })?
                        .ok_or(IdentityError::ClashAppeared)?,
                        Kind::Chats => {
                            // With the last part of the table, so that no row of another part is taken for one whose key changed.
                            let is_last = table_in_log(&parts, row + 1, 1)? != Some(moved_table);
                            let others = if whole_visitor && is_last {
                                let logged = logged(moved_table)?;
                                let of_table = [values[0], values[2], id[1], logged.value()];
                                KEYS_OF_OTHERS
                                    .with(|statement| statement.run(Mode::Write, &of_table))?
                                    .get::<String>(0, 1)
                            } else {
                                None
                            };
                            let provided = provided_of(account, to)?;
                            table.put_chats_back(
                                account,
                                from,
                                to,
                                &PutBackWhich {
                                    keys: &keys,
                                    moved_by_others: others.as_deref(),
                                    provided_of_to: &provided,
                                    provided_of_from: &[],
                                },
                            )?
                        }
                    }
                }
                // Detached or dropped since: its rows are not ours to move.
                None => 0,
            }
        };
        match done
            .last_mut()
            .filter(|last| last.moved_table == moved_table)
        {
            Some(last) => {
                last.put_back += count;
                last.left_alone = (last.left_alone + total - count).max(0);
            }
            None => done.push(PutBack {
                moved_table,
                put_back: count,
                left_alone: (total - count).max(0),
            }),
        }
    }
    if whole_visitor {
        if let (Some(devices), count) = put_named_devices_back(account, from, to)? {
            add(&mut done, devices, count);
        }
    }
    // Chats that came to the merged visitor with an id that is not his any more.
    let provided_of_from = provided_of(account, from)?;
    if whole_visitor && !provided_of_from.is_empty() {
        let values = [
            Value::Text(Some(account)),
            Value::Uuid(Some(from)),
            Value::Uuid(Some(to)),
        ];
        FIELDS_BACK.with(|statement| statement.run(Mode::Newest, &values))?;
        let provided_of_to = provided_of(account, to)?;
        let which = PutBackWhich {
            keys: "[]",
            moved_by_others: None,
            provided_of_to: &provided_of_to,
            provided_of_from: &provided_of_from,
        };
        for table in tables_holding(account)?
            .iter()
            .filter(|table| table.is_of_chats())
        {
            let _moving = Moving::begin(to, from);
            let count = table.put_chats_back(account, from, to, &which)?;
            add(&mut done, table.relation, count);
        }
    }
    Ok(done)
}

fn provided_of(account: &str, visitor: Uuid) -> Result<Vec<String>, IdentityError> {
    let values = [Value::Text(Some(account)), Value::Uuid(Some(visitor))];
    let rows = PROVIDED_OF.with(|statement| statement.run(Mode::Write, &values))?;
    Ok((0..rows.len()).filter_map(|row| rows.get(row, 1)).collect())
}
