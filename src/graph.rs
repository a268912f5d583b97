//! A person as a Mermaid flowchart: the visitor, his identifiers, whom he absorbed (design section 7, `visitor_graph`).
//! Pure. May touch: nothing but its arguments.
#![forbid(unsafe_code)]

use crate::instant::Instant;
use std::fmt::Write;
use uuid::Uuid;

/// Longer texts are cut in the drawing.
const LONGEST_TEXT: usize = 64;

/// What a visitor is to the one who is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// He himself.
    Canonical,
    /// Absorbed by him.
    Superseded,
    /// Claimed by his login, and not absorbed.
    Claimed,
    /// Another, between whom and him there was a rebinding.
    Other,
}

/// One visitor.
#[derive(Debug, Clone)]
pub struct VisitorNode {
    pub visitor_id: Uuid,
    pub role: Role,
    pub identified: bool,
    pub superseded: bool,
    pub forgotten: bool,
    pub created_at: Instant,
}

/// One provided id.
#[derive(Debug, Clone)]
pub struct ProvidedNode {
    pub provided_visitor_id: String,
    pub verified_at: Option<Instant>,
}

/// One channel user id.
#[derive(Debug, Clone)]
pub struct ChannelNode {
    pub channel_type: String,
    pub channel_id: String,
    pub channel_user_id: String,
}

/// One rebinding between two visitors.
#[derive(Debug, Clone)]
pub struct Rebinding {
    pub rebind_id: i64,
    pub from: Uuid,
    pub to: Uuid,
    pub reason: String,
    pub rebound_at: Instant,
    pub rebound_chats: i64,
    pub undone: bool,
}

/// Things of one kind: the first ones, and how many there are in all.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    pub first: Vec<T>,
    pub total: i64,
}

/// What is drawn of a person.
#[derive(Debug, Clone)]
pub struct Graph {
    pub visitor: VisitorNode,
    pub others: Listed<VisitorNode>,
    pub provided: Listed<ProvidedNode>,
    pub channels: Listed<ChannelNode>,
}

impl Graph {
    /// Leaves so many nodes, the visitor first, then one of each kind in turn: no kind crowds out another.
    pub fn cut(&mut self, most_nodes: usize) {
        let lengths = [
            self.others.first.len(),
            self.provided.first.len(),
            self.channels.first.len(),
        ];
        let mut room = most_nodes.saturating_sub(1);
        let mut kept = [0; 3];
        while room > 0 {
            let before = room;
            for (kept, length) in kept.iter_mut().zip(lengths) {
                if room > 0 && *kept < length {
                    *kept += 1;
                    room -= 1;
                }
            }
            if room == before {
                break;
            }
        }
        let [others, provided, channels] = kept;
        self.others.first.truncate(others);
        self.provided.first.truncate(provided);
        self.channels.first.truncate(channels);
    }

    /// The visitors that are drawn, the canonical one first.
    fn visitors(&self) -> impl Iterator<Item = &VisitorNode> {
        std::iter::once(&self.visitor).chain(&self.others.first)
    }

    /// Their ids.
    #[must_use]
    pub fn visitor_ids(&self) -> Vec<Uuid> {
        self.visitors().map(|visitor| visitor.visitor_id).collect()
    }

    /// How many nodes are not drawn.
    fn left_out(&self) -> i64 {
        let of = |total: i64, drawn: usize| total.saturating_sub(i64::try_from(drawn).unwrap_or(0));
        of(self.others.total, self.others.first.len())
            + of(self.provided.total, self.provided.first.len())
            + of(self.channels.total, self.channels.first.len())
    }

    /// The flowchart, with the rebindings between the visitors that are drawn.
    #[must_use]
    pub fn draw(&self, rebindings: &Listed<Rebinding>) -> String {
        let mut lines = Lines(String::from("flowchart LR\n"));
        for (number, visitor) in self.visitors().enumerate() {
            let (open, close) = match visitor.role {
                Role::Canonical => ("([", "])"),
                _ => ("[", "]"),
            };
            lines.add(&format!("v{number}{open}\"{}\"{close}", visitor.label()));
        }
        for (number, provided) in self.provided.first.iter().enumerate() {
            lines.add(&format!("p{number}(\"{}\")", provided.label()));
        }
        for (number, channel) in self.channels.first.iter().enumerate() {
            lines.add(&format!("c{number}{{{{\"{}\"}}}}", channel.label()));
        }
        for number in 0..self.provided.first.len() {
            lines.add(&format!("p{number} --> v0"));
        }
        for number in 0..self.channels.first.len() {
            lines.add(&format!("c{number} --> v0"));
        }
        let place = |id: Uuid| self.visitors().position(|visitor| visitor.visitor_id == id);
        for rebinding in &rebindings.first {
            let (Some(from), Some(to)) = (place(rebinding.from), place(rebinding.to)) else {
                continue;
            };
            let label = rebinding.label();
            lines.add(&if rebinding.undone {
                format!("v{from} -. \"{label}\" .-> v{to}")
            } else {
                format!("v{from} -- \"{label}\" --> v{to}")
            });
        }
        for (number, visitor) in self.visitors().enumerate() {
            let explained = rebindings
                .first
                .iter()
                .any(|rebinding| !rebinding.undone && rebinding.from == visitor.visitor_id);
            match visitor.role {
                Role::Claimed => lines.add(&format!("v{number} -. \"claimed\" .-> v0")),
                Role::Superseded if !explained => {
                    lines.add(&format!("v{number} -- \"former name\" --> v0"));
                }
                _ => {}
            }
        }
        let drawn = i64::try_from(rebindings.first.len()).unwrap_or(0);
        let edges_left_out = rebindings.total.saturating_sub(drawn);
        match (self.left_out(), edges_left_out) {
            (0, 0) => {}
            (nodes, 0) => lines.add(&format!("more[\"… and {nodes} more\"]")),
            (0, edges) => lines.add(&format!("more[\"… and {edges} more rebindings\"]")),
            (nodes, edges) => lines.add(&format!(
                "more[\"… and {nodes} more, and {edges} more rebindings\"]"
            )),
        }
        lines.add("classDef canonical stroke-width:4px");
        lines.add("class v0 canonical");
        lines.0.truncate(lines.0.trim_end().len());
        lines.0
    }
}

struct Lines(String);

impl Lines {
    fn add(&mut self, line: &str) {
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "    {line}");
    }
}

/// A text within the quotes of a label. Everything but letters, digits and a few signs becomes a character code, so that
/// an identifier ends no label, starts no directive, no comment and no markup.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for (place, character) in text.chars().enumerate() {
        if place == LONGEST_TEXT {
            out.push('…');
            break;
        }
        match character {
            ' ' | '-' | '_' | '.' | '+' | '@' | '/' | '=' | ',' => out.push(character),
            letter if letter.is_alphanumeric() => out.push(letter),
            other => {
                let _ = write!(out, "#{};", u32::from(other));
            }
        }
    }
    out
}

impl VisitorNode {
    fn label(&self) -> String {
        let role = match self.role {
            Role::Canonical => "visitor",
            Role::Superseded => "superseded visitor",
            Role::Claimed => "claimed visitor",
            Role::Other => "other visitor",
        };
        let state = if self.forgotten {
            "forgotten, "
        } else if self.superseded {
            if self.role == Role::Other {
                "superseded, "
            } else {
                ""
            }
        } else if self.identified {
            "identified, "
        } else {
            "anonymous, "
        };
        format!(
            "{role}<br/>{}<br/>{state}since {}",
            self.visitor_id,
            self.created_at.date()
        )
    }
}

impl ProvidedNode {
    fn label(&self) -> String {
        let verified = self
            .verified_at
            .map_or_else(String::new, |time| format!("<br/>verified {}", time.date()));
        format!(
            "provided id<br/>{}{verified}",
            escaped(&self.provided_visitor_id)
        )
    }
}

impl ChannelNode {
    fn label(&self) -> String {
        let within = if self.channel_id.is_empty() {
            String::new()
        } else {
            escaped(&format!(" ({})", self.channel_id))
        };
        format!(
            "{}{within}<br/>{}",
            escaped(&self.channel_type),
            escaped(&self.channel_user_id)
        )
    }
}

impl Rebinding {
    fn label(&self) -> String {
        let chats = match self.rebound_chats {
            1 => "1 chat".to_owned(),
            other => format!("{other} chats"),
        };
        format!(
            "rebinding {}<br/>{}, {}<br/>{chats}{}",
            self.rebind_id,
            escaped(&self.reason),
            self.rebound_at.date(),
            if self.undone { ", undone" } else { "" }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;
    /// The first of March 2024.
    const FIRST: i64 = 1_709_251_200_000_000;

    fn visitor(id: u128, role: Role, day: i64) -> VisitorNode {
        VisitorNode {
            visitor_id: Uuid::from_u128(id),
            role,
            identified: role == Role::Canonical,
            superseded: role == Role::Superseded,
            forgotten: false,
            created_at: Instant(FIRST + day * DAY),
        }
    }

    fn provided(id: &str) -> ProvidedNode {
        ProvidedNode {
            provided_visitor_id: id.into(),
            verified_at: None,
        }
    }

    fn channel(channel_type: &str, channel_id: &str, channel_user_id: &str) -> ChannelNode {
        ChannelNode {
            channel_type: channel_type.into(),
            channel_id: channel_id.into(),
            channel_user_id: channel_user_id.into(),
        }
    }

    fn listed<T>(first: Vec<T>) -> Listed<T> {
        let total = i64::try_from(first.len()).unwrap_or(0);
        Listed { first, total }
    }

    const CANONICAL: u128 = 0x877a_920e_de70_8241_2656_ac1c_dec7_ecde;
    const SUPERSEDED: u128 = 0x5f0e_2c1a_0b7d_4c55_9a6e_0d7f_3a1b_2c3d;
    const OTHER: u128 = 0x3dc3_ef50_eccd_413f_b4c4_40dc_3c84_91ff;

    fn graph() -> Graph {
        Graph {
            visitor: visitor(CANONICAL, Role::Canonical, 0),
            others: listed(vec![
                visitor(SUPERSEDED, Role::Superseded, -1),
                visitor(0xfc28_3b99_ff97_436a_8ce4_e88e_1b28_0cd4, Role::Claimed, 1),
                VisitorNode {
                    forgotten: true,
                    ..visitor(OTHER, Role::Other, 2)
                },
                visitor(0x4000_8000_0000_0000_0004, Role::Superseded, 3),
            ]),
            provided: listed(vec![
                ProvidedNode {
                    verified_at: Some(Instant(FIRST + 4 * DAY)),
                    ..provided("C-42")
                },
                provided("\"x\"] --> <b> %%"),
            ]),
            channels: listed(vec![
                channel("whatsapp", "", "10435685475"),
                channel("viber", "shop", "5dfjdg5lfg8dGjg0DF95+h=="),
            ]),
        }
    }

    fn rebinding(rebind_id: i64, from: u128, chats: i64, undone: bool) -> Rebinding {
        Rebinding {
            rebind_id,
            from: Uuid::from_u128(from),
            to: Uuid::from_u128(CANONICAL),
            reason: if undone {
                "resolve_visitor"
            } else {
                "chat_update"
            }
            .into(),
            rebound_at: Instant(FIRST + (rebind_id - 1) * 2 * DAY),
            rebound_chats: chats,
            undone,
        }
    }

    fn rebindings() -> Listed<Rebinding> {
        listed(vec![
            rebinding(1, SUPERSEDED, 2, false),
            rebinding(2, OTHER, 1, true),
        ])
    }

    #[test]
    fn the_drawing() {
        let mut graph = graph();
        graph.channels.total += 3;
        let drawn = graph.draw(&rebindings());
        let golden = include_str!("../tests/golden/visitor_graph.mmd");
        assert_eq!(drawn, golden.trim_end(), "drawn:\n{drawn}");
    }

    #[test]
    fn a_visitor_alone_is_drawn() {
        let graph = Graph {
            visitor: visitor(CANONICAL, Role::Canonical, 0),
            others: listed(Vec::new()),
            provided: listed(Vec::new()),
            channels: listed(Vec::new()),
        };
        let drawn = graph.draw(&listed(Vec::new()));
        assert_eq!(drawn.lines().count(), 4, "{drawn}");
        assert!(!drawn.contains("more"), "{drawn}");
    }

    #[test]
    fn no_kind_crowds_out_another_and_the_rest_is_counted() {
        let mut graph = graph();
        graph.provided = Listed {
            first: (0..200).map(|n| provided(&format!("C-{n}"))).collect(),
            total: 150_000,
        };
        graph.cut(6);
        assert_eq!(graph.others.first.len(), 2);
        assert_eq!(graph.provided.first.len(), 2);
        assert_eq!(graph.channels.first.len(), 1);
        let drawn = graph.draw(&rebindings());
        assert!(
            drawn.contains("more[\"… and 150001 more\"]"),
            "2 visitors, 149998 provided ids and 1 channel id: {drawn}"
        );
        graph.cut(1);
        assert_eq!(graph.visitor_ids().len(), 1);
    }

    #[test]
    fn rebindings_that_are_not_drawn_are_counted() {
        let mut some = rebindings();
        some.total = 10;
        assert!(graph().draw(&some).contains("\"… and 8 more rebindings\""));
    }

    #[test]
    fn no_text_leaves_its_label() {
        for evil in [
            "\"]\n    v0 --> v1",
            "%%{init: {}}%%",
            "`code`",
            "<script>",
            "a\\nb",
            "#quot;",
            "style:x;",
            "\u{202e}",
            "a | b & c",
        ] {
            let out = escaped(evil);
            assert!(
                out.replace(|c: char| c.is_alphanumeric(), "")
                    .chars()
                    .all(|c| " -_.+@/=,#;".contains(c)),
                "{out}"
            );
            assert!(!out.contains("#quot"), "{out}");
        }
        assert_eq!(escaped("Посетитель 42"), "Посетитель 42");
        assert_eq!(escaped(&"x".repeat(512)).chars().count(), LONGEST_TEXT + 1);
    }
}
