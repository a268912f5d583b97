//! What turns an installed database into a Citus one: facts of the catalog in, steps and obstacles out.
//! May touch: nothing but its arguments.
#![forbid(unsafe_code)]

/// Where the rows of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    Here,
    /// A copy on every node.
    Everywhere,
    /// By the account, with the identity tables.
    ByAccount,
    /// Distributed otherwise.
    Elsewhere,
}

/// A table of the extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnTable {
    /// Its name without the schema, which needs no quotes.
    pub name: String,
    pub placed: Placed,
    /// Of the triggers that Citus takes none of.
    pub triggers: Vec<String>,
}

/// A table of the application: attached, or one whose rows reference an attached one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Qualified and quoted.
    pub name: String,
    /// What is listed for every node; None: not attached.
    pub attachment: Option<String>,
    /// The column of the account, not quoted. None: there is none.
    pub account: Option<String>,
    /// Whether that column has the type and the collation of the identity tables' account.
    pub account_is_text_c: bool,
    /// Unique keys without the account, the primary one too.
    pub keys_without_account: Vec<String>,
    pub triggers: Vec<String>,
    pub other_triggers: Vec<String>,
    /// Whether copying its rows runs code that somebody who is no superuser has written.
    pub runs_code: bool,
    /// Tables that it references, which are neither here nor on every node.
    pub references: Vec<String>,
    pub placed: Placed,
}

/// What the catalog says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub own: Vec<OwnTable>,
    pub tables: Vec<Table>,
    /// The rows of `distributed_table`.
    pub listed: Vec<(String, String)>,
    pub log_names_tables: bool,
    /// Whether some other node has the extension's tables as CREATE EXTENSION made them.
    pub nodes_are_new: bool,
    pub calls_are_sent: bool,
    /// Functions that read the tables and are marked as safe in a parallel query.
    pub parallel_functions: Vec<String>,
    pub backfill_waits: bool,
    /// Whether an identity table is divided into partitions.
    pub is_divided: bool,
    pub shard_count: Option<i32>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub object: String,
    pub statement: String,
    pub why: &'static str,
    /// Its result says of each node whether it succeeded.
    pub on_workers: bool,
}

/// Why it cannot be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    pub object: String,
    pub message: String,
    pub detail: &'static str,
    pub hint: String,
}

/// Small, and read by every call.
const ON_EVERY_NODE: [&str; 4] = [
    "account",
    "blocked_identifier",
    "channel",
    "distributed_table",
];

/// Everything that belongs to a visitor; the first one makes the group of shards.
const BY_ACCOUNT: [&str; 11] = [
    "visitor",
    "provided_identity",
    "channel_identity",
    "former_channel_identity",
    "rebind",
    "rebind_row",
    "pending_rebind",
    "refused_link",
    "device",
    "visitor_fields",
    "signature_key",
];

/// What makes the extension's tables on a node as those on the coordinator. Citus does it for other tables; those of an
/// extension it leaves as CREATE EXTENSION made them there. Its numbers for sequences are those of Citus.
pub const PREPARE_NODE: &str = "do $$
declare
    first bigint := (select g.groupid::bigint << 48 from pg_catalog.pg_dist_local_group as g) + 1;
    sequence record;
begin
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    perform pg_catalog.set_config('citus.enable_ddl_propagation', 'off', true);
    if exists (
        select
        from pg_attribute as a
        where a.attrelid = 'visitor_identity.rebind_row'::regclass
            and a.attname = 'moved_table'
            and a.atttypid = 'regclass'::regtype
    ) then
        alter table visitor_identity.rebind_row alter column moved_table type text using moved_table::text;
    end if;
    for sequence in
        select s.seqrelid::regclass as name
        from pg_sequence as s
        join pg_class as c on c.oid = s.seqrelid
        where c.relnamespace = 'visitor_identity'::regnamespace
            and s.seqstart <> first
    loop
        execute format(
            'alter sequence %s minvalue %s maxvalue %s start with %s restart with %s',
            sequence.name, first, first + (1::bigint << 48) - 2, first, first
        );
    end loop;
end
$$";

/// Whether that was done on a node: one row, t or f.
pub const NODE_IS_PREPARED: &str = "select not exists (
    select 1
    from pg_catalog.pg_attribute as a
    where a.attrelid operator(pg_catalog.=) 'visitor_identity.rebind_row'::pg_catalog.regclass
        and a.attname operator(pg_catalog.=) 'moved_table'::pg_catalog.name
        and a.atttypid operator(pg_catalog.=) 'pg_catalog.regclass'::pg_catalog.regtype
) and not exists (
    select 1
    from pg_catalog.pg_sequence as s
    join pg_catalog.pg_class as c on c.oid operator(pg_catalog.=) s.seqrelid
    where c.relnamespace operator(pg_catalog.=) 'visitor_identity'::pg_catalog.regnamespace
        and s.seqstart operator(pg_catalog.<>) (
            select (g.groupid::bigint operator(pg_catalog.<<) 48) operator(pg_catalog.+) 1::bigint
            from pg_catalog.pg_dist_local_group as g
        )
)";

const WITH_VISITORS: &str = "colocate_with => 'visitor_identity.visitor'";

/// A text as an SQL literal.
fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!(" E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The steps that are still to be done, in order, and what stands in their way.
pub fn plan(facts: &Facts) -> (Vec<Step>, Vec<Obstacle>) {
    let mut steps = Vec::new();
    own_tables(facts, &mut steps);
    for table in facts
        .tables
        .iter()
        .filter(|table| table.placed == Placed::Here)
    {
        application_table(table, &mut steps);
    }
    list_tables(facts, &mut steps);
    functions(facts, &mut steps);
    local_copies(facts, &mut steps);
    (steps, obstacles(facts))
}

fn step(object: String, statement: String, why: &'static str) -> Step {
    Step {
        object,
        statement,
        why,
        on_workers: false,
    }
}

fn own_tables(facts: &Facts, steps: &mut Vec<Step>) {
    let is_here = |name: &str| {
        facts
            .own
            .iter()
            .any(|table| table.name == name && table.placed == Placed::Here)
    };
    for table in facts.own.iter().filter(|table| is_here(&table.name)) {
        let name = format!("visitor_identity.{}", table.name);
        steps.extend(table.triggers.iter().map(|trigger| {
            step(
                name.clone(),
                format!("drop trigger {} on {name}", identifier(trigger)),
                "Citus takes no triggers. Without them every call reads the policies again.",
            )
        }));
    }
    for table in ON_EVERY_NODE.into_iter().filter(|table| is_here(table)) {
        let name = format!("visitor_identity.{table}");
        steps.push(step(
            name.clone(),
            format!("select pg_catalog.create_reference_table('{name}')"),
            "Small, and read by every call: a copy on every node.",
        ));
    }
    if !facts.log_names_tables {
        steps.push(step(
            "visitor_identity.rebind_row".into(),
            "alter table visitor_identity.rebind_row alter column moved_table type pg_catalog.text \
             using moved_table::pg_catalog.text"
                .into(),
            "A table has another number on every node, so the log names it.",
        ));
    }
    if facts.nodes_are_new {
        steps.push(Step {
            on_workers: true,
            ..step(
                "every worker".into(),
                format!(
                    "select r.success, r.result from pg_catalog.run_command_on_workers({}) as r",
                    literal(PREPARE_NODE)
                ),
                "There too the log names its tables, and every node gives numbers of its own.",
            )
        });
    }
    for table in BY_ACCOUNT.into_iter().filter(|table| is_here(table)) {
        let name = format!("visitor_identity.{table}");
        let how = match (table, facts.shard_count) {
            ("visitor", Some(count)) => {
                format!("colocate_with => 'none', shard_count => {count}")
            }
            ("visitor", None) => "colocate_with => 'none'".into(),
            _ => WITH_VISITORS.into(),
        };
        steps.push(step(
            name.clone(),
            format!("select pg_catalog.create_distributed_table('{name}', 'account', {how})"),
            "All of an account is on one node: every statement of a call goes there.",
        ));
    }
}

fn application_table(table: &Table, steps: &mut Vec<Step>) {
    let Some(account) = &table.account else {
        return;
    };
    let of_table = |statement: String, why: &'static str| step(table.name.clone(), statement, why);
    steps.extend(table.triggers.iter().map(|trigger| {
        of_table(
            format!("drop trigger {} on {}", identifier(trigger), table.name),
            "Citus takes no triggers. The application asks visitor_identity.chat_visitor for the visitor of a row.",
        )
    }));
    steps.push(of_table(
        format!(
            "select pg_catalog.create_distributed_table({}, {}, {WITH_VISITORS})",
            literal(&table.name),
            literal(account),
        ),
        if table.attachment.is_some() {
            "Its rows follow the visitors, on the node that has them."
        } else {
            "Its rows reference those of an attached table."
        },
    ));
}

/// The steps that tell every node of the attached tables.
pub fn listing(facts: &Facts) -> Vec<Step> {
    let mut steps = Vec::new();
    list_tables(facts, &mut steps);
    steps
}

fn list_tables(facts: &Facts, steps: &mut Vec<Step>) {
    let name = "visitor_identity.distributed_table";
    for (listed, _) in &facts.listed {
        if !facts
            .tables
            .iter()
            .any(|table| table.attachment.is_some() && table.name == *listed)
        {
            steps.push(step(
                name.into(),
                format!(
                    "delete from {name} where table_name operator(pg_catalog.=) {}",
                    literal(listed)
                ),
                "It is not attached under this name any more.",
            ));
        }
    }
    for table in &facts.tables {
        let Some(attachment) = &table.attachment else {
            continue;
        };
        if facts
            .listed
            .iter()
            .any(|(listed, known)| *listed == table.name && known == attachment)
        {
            continue;
        }
        steps.push(step(
            name.into(),
            format!(
                "insert into {name} (table_name, attachment) values ({}, {}) \
                 on conflict (table_name) do update set attachment = excluded.attachment",
                literal(&table.name),
                literal(attachment),
            ),
            "Every node has to know which tables follow the visitors.",
        ));
    }
}

fn functions(facts: &Facts, steps: &mut Vec<Step>) {
    if !facts.calls_are_sent {
        steps.push(step(
            "visitor_identity.at_account".into(),
            format!(
                "select pg_catalog.create_distributed_function(\
                 'visitor_identity.at_account(pg_catalog.text, pg_catalog.text, pg_catalog.text)', 'account', \
                 {WITH_VISITORS}, force_delegation => true)"
            ),
            "resolve_visitor, find_visitor, chat_visitor and authorize_visitor send their calls by it to the node of the account.",
        ));
    }
    steps.extend(facts.parallel_functions.iter().map(|function| {
        step(
            function.clone(),
            format!("alter function {function} parallel unsafe"),
            "It asks another node, which a worker of a parallel query cannot.",
        )
    }));
}

fn local_copies(facts: &Facts, steps: &mut Vec<Step>) {
    // Those that reference others before those.
    for table in facts.tables.iter().rev() {
        if table.placed == Placed::Here && table.account.is_some() {
            steps.push(step(
                table.name.clone(),
                format!(
                    "select pg_catalog.truncate_local_data_after_distributing_table({})",
                    literal(&table.name)
                ),
                LOCAL_COPY,
            ));
        }
    }
    for table in facts
        .own
        .iter()
        .filter(|table| table.placed == Placed::Here)
    {
        let name = format!("visitor_identity.{}", table.name);
        steps.push(step(
            name.clone(),
            format!("select pg_catalog.truncate_local_data_after_distributing_table('{name}')"),
            LOCAL_COPY,
        ));
    }
}

const LOCAL_COPY: &str =
    "What was copied to the nodes is still on this one's disk, and nobody would erase a person there.";

fn obstacles(facts: &Facts) -> Vec<Obstacle> {
    let mut found = Vec::new();
    if facts.backfill_waits {
        found.push(Obstacle {
            object: "visitor_identity.backfill_queue".into(),
            message: "a backfill is under way".into(),
            detail: "Chats wait in visitor_identity.backfill_queue; on distributed tables there is no backfill.",
            hint: "Call visitor_identity.backfill_chats to its end first.".into(),
        });
    }
    if facts.is_divided {
        found.push(Obstacle {
            object: "visitor_identity.visitor".into(),
            message: "the identity tables are divided".into(),
            detail: "visitor_identity.partition_identity_tables has divided them; Citus divides them itself, by account.",
            hint: "Restore a dump of this database into a new one, where they are whole, and distribute that.".into(),
        });
    }
    for table in &facts.tables {
        if let Some(obstacle) = obstacle_of(table) {
            found.push(obstacle);
        }
    }
    found
}

fn obstacle_of(table: &Table) -> Option<Obstacle> {
    let name = &table.name;
    let cannot = |detail: &'static str, hint: String| {
        Some(Obstacle {
            object: name.clone(),
            message: format!("table {name} cannot be distributed"),
            detail,
            hint,
        })
    };
    match table.placed {
        Placed::ByAccount => return None,
        Placed::Here => {}
        Placed::Everywhere | Placed::Elsewhere => {
            return cannot(
                "It is distributed already, and not with the identity tables.",
                format!("Call undistribute_table({}) first.", literal(name)),
            )
        }
    }
    let Some(account) = &table.account else {
        return cannot(
            "It has no column of the account.",
            "Add one of type text collate \"C\" to the table, to its primary key and to its foreign keys, and attach the table again.".into(),
        );
    };
    let column = identifier(account);
    if !table.account_is_text_c {
        return cannot(
            "Its column of the account is not of type text with collation \"C\", as that of the identity tables is.",
            format!("alter table {name} alter column {column} type text collate \"C\""),
        );
    }
    if let Some(key) = table.keys_without_account.first() {
        return cannot(
            "Citus keeps a key unique only if the account is a part of it.",
            format!("Make the account a part of key {key}: for a primary key, alter table {name} drop constraint {key}, add primary key ({column}, …)"),
        );
    }
    if let Some(trigger) = table.other_triggers.first() {
        return cannot(
            "Citus takes no triggers.",
            format!(
                "Do what it does in the application, then drop trigger {} on {name}.",
                identifier(trigger)
            ),
        );
    }
    if table.runs_code {
        return cannot(
            "Its owner is no superuser, and copying its rows runs functions, operators or types of somebody else's in its indexes, checks or columns, with the rights of who calls.",
            format!("Look at them, then alter table {name} owner to a superuser until it is distributed."),
        );
    }
    if let Some(reference) = table.references.first() {
        return cannot(
            "It references a table that is on this node only, or by a foreign key without the account.",
            format!("Call create_reference_table({}) first, or add the account to the foreign key, or drop it.", literal(reference)),
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(name: &str, placed: Placed) -> OwnTable {
        OwnTable {
            name: name.into(),
            placed,
            triggers: Vec::new(),
        }
    }

    fn chat() -> Table {
        Table {
            name: "chat.chat".into(),
            attachment: Some("{}".into()),
            account: Some("account".into()),
            account_is_text_c: true,
            keys_without_account: Vec::new(),
            triggers: vec!["visitor_identity_columns".into()],
            other_triggers: Vec::new(),
            runs_code: false,
            references: Vec::new(),
            placed: Placed::Here,
        }
    }

    fn facts() -> Facts {
        let mut own: Vec<OwnTable> = ON_EVERY_NODE
            .into_iter()
            .chain(BY_ACCOUNT)
            .map(|name| own(name, Placed::Here))
            .collect();
        own.first_mut().unwrap().triggers.push("account_row".into());
        Facts {
            own,
            tables: vec![chat()],
            ..Facts::default()
        }
    }

    fn statements(facts: &Facts) -> Vec<String> {
        plan(facts)
            .0
            .into_iter()
            .map(|step| step.statement)
            .collect()
    }

    #[test]
    fn triggers_go_before_their_tables_and_copies_last() {
        let all = statements(&facts());
        let at = |needle: &str| all.iter().position(|text| text.contains(needle)).unwrap();
        assert!(
            at("drop trigger \"account_row\"")
                < at("create_reference_table('visitor_identity.account')")
        );
        assert!(
            at("alter column moved_table")
                < at("create_distributed_table('visitor_identity.rebind_row'")
        );
        assert!(
            at("create_distributed_table('visitor_identity.visitor'")
                < at("'visitor_identity.provided_identity'")
        );
        assert!(
            at("drop trigger \"visitor_identity_columns\"")
                < at("create_distributed_table('chat.chat'")
        );
        assert!(at("create_distributed_function") < at("truncate_local_data"));
    }

    #[test]
    fn nothing_is_done_twice() {
        let done = Facts {
            own: ON_EVERY_NODE
                .into_iter()
                .map(|name| own(name, Placed::Everywhere))
                .chain(
                    BY_ACCOUNT
                        .into_iter()
                        .map(|name| own(name, Placed::ByAccount)),
                )
                .collect(),
            tables: vec![Table {
                placed: Placed::ByAccount,
                triggers: Vec::new(),
                ..chat()
            }],
            listed: vec![("chat.chat".into(), "{}".into())],
            log_names_tables: true,
            calls_are_sent: true,
            ..Facts::default()
        };
        assert_eq!(plan(&done), (Vec::new(), Vec::new()));
        let renamed = Facts {
            listed: vec![("chat.old".into(), "{}".into())],
            ..done
        };
        let all = statements(&renamed);
        assert_eq!(all.len(), 2);
        assert!(all
            .iter()
            .any(|text| text.starts_with("delete from") && text.contains("'chat.old'")));
    }

    #[test]
    fn every_obstacle_has_its_hint() {
        let broken = [
            Table {
                account: None,
                ..chat()
            },
            Table {
                account_is_text_c: false,
                ..chat()
            },
            Table {
                keys_without_account: vec!["chat_pkey".into()],
                ..chat()
            },
            Table {
                other_triggers: vec!["audit".into()],
                ..chat()
            },
            Table {
                runs_code: true,
                ..chat()
            },
            Table {
                references: vec!["chat.department".into()],
                ..chat()
            },
            Table {
                placed: Placed::Elsewhere,
                ..chat()
            },
        ];
        for table in broken {
            let obstacles = plan(&Facts {
                tables: vec![table],
                ..facts()
            })
            .1;
            assert_eq!(obstacles.len(), 1);
            assert!(obstacles.iter().all(|obstacle| obstacle.message
                == "table chat.chat cannot be distributed"
                && !obstacle.hint.is_empty()));
        }
        for facts in [
            Facts {
                backfill_waits: true,
                ..facts()
            },
            Facts {
                is_divided: true,
                ..facts()
            },
        ] {
            assert_eq!(plan(&facts).1.len(), 1);
        }
    }

    #[test]
    fn names_are_only_names() {
        assert_eq!(literal("a'b"), "'a''b'");
        assert_eq!(literal("a\\'b"), " E'a\\\\''b'");
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
    }
}
