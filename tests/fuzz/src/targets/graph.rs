//! Drawings of any person: every line is one of Mermaid's that we mean to write, whatever the texts in it are.

use crate::graph::{ChannelNode, Graph, Listed, ProvidedNode, Rebinding, Role, VisitorNode};
use crate::instant::Instant;
use crate::source::Source;
use regex::Regex;
use std::sync::LazyLock;

pub const REACHES: &[&str] = &["whole", "cut"];

/// A label has letters, digits, a few signs, character codes and line breaks: no sign of ASCII that ends it or begins markup,
/// nothing invisible.
static LINE: LazyLock<Regex> = LazyLock::new(|| {
    let label = r#""(?:<br/>|#[0-9]+;|[A-Za-z0-9 ._+@/=,…-]|[^\x00-\x7f\p{Cc}\p{Cf}\p{Z}])*""#;
    let nodes = format!(
        r"v\d+\(\[{label}\]\)|v\d+\[{label}\]|p\d+\({label}\)|c\d+\{{\{{{label}\}}\}}|more\[{label}\]"
    );
    let edges = format!(r"[pc]\d+ --> v0|v\d+ -- {label} --> v\d+|v\d+ -\. {label} \.-> v\d+");
    let classes = "classDef canonical stroke-width:4px|class v0 canonical";
    Regex::new(&format!(r"\A    (?:{nodes}|{edges}|{classes})\z")).expect("an expression")
});

/// A line that begins a node of a person, and no edge.
static NODE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\A    [vpc]\d+[\[({]").expect("an expression"));

fn visitor(source: &mut Source<'_>, role: Role) -> VisitorNode {
    VisitorNode {
        visitor_id: source.uuid(),
        role,
        identified: source.flag(),
        superseded: source.flag(),
        forgotten: source.flag(),
        created_at: Instant(source.number()),
    }
}

fn listed<T>(source: &mut Source<'_>, one: impl Fn(&mut Source<'_>) -> T) -> Listed<T> {
    let first: Vec<T> = (0..source.below(4)).map(|_| one(source)).collect();
    let more = if source.flag() { source.below(9) } else { 0 };
    let total = i64::try_from(first.len() + more).expect("few");
    Listed { first, total }
}

pub fn run(data: &[u8]) -> &'static str {
    let mut source = Source::new(data);
    let text = source.text();
    let source = &mut source;
    let mut graph = Graph {
        visitor: visitor(source, Role::Canonical),
        others: listed(source, |source| {
            let role = source.pick(&[Role::Superseded, Role::Claimed, Role::Other]);
            visitor(source, role)
        }),
        provided: listed(source, |source| ProvidedNode {
            provided_visitor_id: if source.flag() {
                text.clone()
            } else {
                source.text()
            },
            verified_at: source.maybe(|source| Instant(source.number())),
        }),
        channels: listed(source, |source| ChannelNode {
            channel_type: source.text(),
            channel_id: source.text(),
            channel_user_id: if source.flag() {
                text.clone()
            } else {
                source.text()
            },
        }),
    };
    let rebindings = listed(source, |source| Rebinding {
        rebind_id: source.number(),
        from: source.uuid(),
        to: source.uuid(),
        reason: source.text(),
        rebound_at: Instant(source.number()),
        rebound_chats: source.number(),
        undone: source.flag(),
    });
    let wanted =
        graph.others.first.len() + graph.provided.first.len() + graph.channels.first.len() + 1;
    let most = source.below(12);
    graph.cut(most);
    let kept =
        graph.others.first.len() + graph.provided.first.len() + graph.channels.first.len() + 1;
    assert_eq!(
        kept,
        wanted.min(most.max(1)),
        "more or fewer nodes than there is room for"
    );
    assert_eq!(graph.visitor_ids().len(), graph.others.first.len() + 1);

    let drawn = graph.draw(&rebindings);
    let mut lines = drawn.split('\n');
    assert_eq!(lines.next(), Some("flowchart LR"));
    let mut nodes = 0;
    let mut more = false;
    for line in lines {
        assert!(LINE.is_match(line), "a text leaves its label: {line:?}");
        nodes += usize::from(NODE.is_match(line));
        more |= line.starts_with("    more");
    }
    assert_eq!(nodes, kept, "a node is missing or made up");
    let left_out = graph.others.total + graph.provided.total + graph.channels.total + 1
        > i64::try_from(kept).expect("few")
        || rebindings.total > i64::try_from(rebindings.first.len()).expect("few");
    assert_eq!(more, left_out, "what is left out is not counted");
    if left_out {
        "cut"
    } else {
        "whole"
    }
}
