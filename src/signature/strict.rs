//! The strict rule an account may add to the product's signature (design section 6). Pure.
//! May touch: nothing but its arguments; the time is one.

use std::collections::BTreeMap;
use std::fmt;

use super::shape::Shape;
use super::visitor::{printable, Expires, SignedVisitor};

/// The longest joined text, in bytes, that is examined for a second reading.
const LONGEST_BODY: usize = 4096;
/// Unix seconds from September 2001 to November 2286 have exactly so many digits.
const EXPIRY_DIGITS: usize = 10;

/// What a strict account demands besides a valid signature.
///
/// 1. `expires` is there, is written in ten digits, and lies at most the account's horizon ahead.
/// 2. The fields are exactly those the account lists, no more and no less.
/// 3. Each value has the shape the account gives its field.
/// 4. **The signed text has one reading**: among all the ways to cut it into those fields in those shapes there is no
///    second one. Only a boundary between two fields that are both `movable` may lie elsewhere.
///
/// The fourth rule is the proof, the first three are what makes it possible. It does not depend on how well the shapes
/// were chosen: shapes that leave two readings refuse the client's own object, at once and naming the fields, instead
/// of letting a forged one in. So of two objects with one signature that one rule accepts, at whatever time, both have
/// the same `expires` and the same value in every field that is not movable; `id` never is.
///
/// # Closed
///
/// Field shifting into or out of any field that is not movable; dropping, adding and renaming fields; stripping the
/// expiry, folding it into a field, or growing one out of a field; the flat form altogether, as it never expires; ids
/// hidden in a free text that its author chose (`info: "x@y.ru99999"`).
///
/// # What remains
///
/// - Between two *neighbouring movable* fields characters can still be moved; each still has its shape.
/// - Objects the same key signed by another rule (before strict mode, with other fields, for another purpose) are
///   judged by this one, and may happen to fit. A new key at every change of the rule closes that.
/// - A valid object can be replayed, on any channel, until it expires: choose a short horizon.
/// - The hash itself: `md5`, and in principle `sha256` and `sha512`, are no keyed hashes, see `Algorithm`.
///
/// # Writing a rule
///
/// One line a field: a shape with its argument, then `optional` (may be empty: it must be sent all the same, as `""`)
/// and `movable`. The shapes: `digits`, `hex`, `alphanumeric`, `token` (each with a length as in `5` or `5-10`, 1 to 512
/// without one), `uuid`, `email`, `phone`, `plus-phone`, `name`, `text`, and `constant |` for a separator. For the fields
/// of the product's own example, in the order they are signed:
///
/// | field | line | its boundaries |
/// |---|---|---|
/// | `display_name` | `name movable` | where the name ends and the address begins nothing can tell |
/// | `email` | `email movable` | ends in a letter, so the digits of the id are not its own |
/// | `id` | `digits` | exact |
/// | `phone` | `plus-phone` | begins with `+`; without one the id needs a fixed length |
///
/// To have all four exact, send a separator between the first two, a field `e` with the line `constant |`, or send the
/// name under a name that sorts after `id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strict {
    fields: BTreeMap<String, Field>,
    longest_horizon_seconds: i64,
}

/// One line of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    line: String,
    shape: Shape,
    optional: bool,
    movable: bool,
}

/// Why a rule is none (SQLSTATE 22023).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigError {
    /// The rule has no field `id`.
    NoId,
    /// `id` is `movable` or `optional`: then nothing would be proven.
    LooseId,
    /// The horizon is not a positive number of seconds.
    Horizon,
    /// The line of this field cannot be read.
    Line(String),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoId => f.write_str("a strict rule needs a field \"id\""),
            Self::LooseId => f.write_str("field \"id\" can be neither movable nor optional"),
            Self::Horizon => {
                f.write_str("the longest horizon must be a positive number of seconds")
            }
            Self::Line(name) => {
                write!(f, "the shape of field \"{}\" is not known", printable(name))
            }
        }
    }
}

/// Why a signed object is outside of the strict rule. Names fields and shapes, never a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No `expires`; the flat form cannot have one.
    ExpiresMissing,
    /// `expires` is not written as ten digits, the first of them not zero.
    ExpiresNotTenDigits,
    /// `expires` lies further ahead than this many seconds.
    ExpiresTooFar(i64),
    /// A field of the rule is missing.
    FieldMissing(String),
    /// A field that the rule does not have.
    FieldUnexpected(String),
    /// A field's value is not of the shape that follows.
    WrongShape(String, String),
    /// The boundary between these two fields could lie elsewhere in the signed text.
    Ambiguous(String, String),
    /// More than 4096 bytes of values.
    TooLong,
}

impl Refusal {
    pub(super) fn is_about_expiry(&self) -> bool {
        matches!(
            self,
            Self::ExpiresMissing | Self::ExpiresNotTenDigits | Self::ExpiresTooFar(_)
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExpiresMissing => f.write_str("\"expires\" is required"),
            Self::ExpiresNotTenDigits => {
                f.write_str("\"expires\" must be unix seconds, written in ten digits")
            }
            Self::ExpiresTooFar(longest) => {
                write!(f, "\"expires\" must be at most {longest} seconds ahead")
            }
            Self::FieldMissing(name) => write!(f, "field \"{}\" is required", printable(name)),
            Self::FieldUnexpected(name) => {
                write!(
                    f,
                    "field \"{}\" is not one of the account's",
                    printable(name)
                )
            }
            Self::WrongShape(name, line) => write!(
                f,
                "field \"{}\" must have the shape \"{}\"",
                printable(name),
                printable(line)
            ),
            Self::Ambiguous(before, after) => write!(
                f,
                "the signed text does not tell where field \"{}\" ends and field \"{}\" begins",
                printable(before),
                printable(after)
            ),
            Self::TooLong => write!(f, "the values together are over {LONGEST_BODY} bytes"),
        }
    }
}

impl Strict {
    /// Reads a rule: a line for each field, by field name, and how far ahead `expires` may lie.
    ///
    /// # Errors
    /// [`ConfigError`] for a rule that cannot be read or would prove nothing.
    pub fn parse(
        lines: &BTreeMap<String, String>,
        longest_horizon_seconds: i64,
    ) -> Result<Self, ConfigError> {
        if longest_horizon_seconds <= 0 {
            return Err(ConfigError::Horizon);
        }
        let fields = lines
            .iter()
            .map(|(name, line)| match Field::parse(line) {
                Some(field) => Ok((name.clone(), field)),
                None => Err(ConfigError::Line(name.clone())),
            })
            .collect::<Result<BTreeMap<_, _>, _>>()?;
        let id = fields.get("id").ok_or(ConfigError::NoId)?;
        if id.movable || id.optional {
            return Err(ConfigError::LooseId);
        }
        Ok(Self {
            fields,
            longest_horizon_seconds,
        })
    }

    /// Rule 1. Ten digits, whatever the time and the horizon, so that in every reading the expiry begins at one place.
    pub(super) fn check_expiry(&self, visitor: &SignedVisitor, now: i64) -> Result<(), Refusal> {
        let Expires::At { written, seconds } = visitor.expiry() else {
            return Err(Refusal::ExpiresMissing);
        };
        if written.len() != EXPIRY_DIGITS || written.starts_with('0') {
            return Err(Refusal::ExpiresNotTenDigits);
        }
        if *seconds > now.saturating_add(self.longest_horizon_seconds) {
            return Err(Refusal::ExpiresTooFar(self.longest_horizon_seconds));
        }
        Ok(())
    }

    /// Rules 2 to 4.
    pub(super) fn check_fields(&self, visitor: &SignedVisitor) -> Result<(), Refusal> {
        let values = visitor.fields();
        if let Some(name) = values.keys().find(|name| !self.fields.contains_key(*name)) {
            return Err(Refusal::FieldUnexpected(name.clone()));
        }
        for (name, field) in &self.fields {
            let value = values.get(name);
            let value = value.ok_or_else(|| Refusal::FieldMissing(name.clone()))?;
            if !field.fits(value) {
                return Err(Refusal::WrongShape(name.clone(), field.line.clone()));
            }
        }
        let body = visitor.body();
        if body.len() > LONGEST_BODY {
            return Err(Refusal::TooLong);
        }
        self.check_single_reading(&body)
    }

    /// Rule 4. A boundary *could* lie at a place if the fields before it can fill the text up to there and those
    /// after it the rest; it is exact if there is one such place.
    fn check_single_reading(&self, body: &str) -> Result<(), Refusal> {
        // reached[i]: where the boundary before field i could lie, as far as the fields before it are concerned.
        let mut reached = Vec::new();
        let mut places = Places::of(body, |at| at == 0);
        for field in self.fields.values() {
            let mut ends = Places::of(body, |_| false);
            for at in places.all() {
                field
                    .ends(body, at)
                    .into_iter()
                    .for_each(|end| ends.add(end));
            }
            reached.push(std::mem::replace(&mut places, ends));
        }

        // From the end: the boundaries that the fields after them can live with too.
        let mut live = Places::of(body, |at| at == body.len());
        let mut after: Option<(&String, &Field)> = None;
        for ((name, field), mut places) in self.fields.iter().zip(reached).rev() {
            if let Some((next, following)) = after {
                if live.count() != 1 && !(field.movable && following.movable) {
                    return Err(Refusal::Ambiguous(name.clone(), next.clone()));
                }
            }
            places.keep(|at| field.ends(body, at).into_iter().any(|end| live.has(end)));
            live = places;
            after = Some((name, field));
        }
        Ok(())
    }
}

impl Field {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace().peekable();
        let shape = words.next()?;
        let argument = words.next_if(|word| !matches!(*word, "optional" | "movable"));
        let mut field = Self {
            line: line.to_owned(),
            shape: Shape::from_words(shape, argument)?,
            optional: false,
            movable: false,
        };
        for word in words {
            match word {
                "optional" => field.optional = true,
                "movable" => field.movable = true,
                _ => return None,
            }
        }
        Some(field)
    }

    fn fits(&self, value: &str) -> bool {
        (self.optional && value.is_empty()) || self.shape.fits(value)
    }

    /// Where in the text a value of this field that begins at a place can end.
    fn ends(&self, body: &str, at: usize) -> Vec<usize> {
        let Some(rest) = body.get(at..) else {
            return Vec::new();
        };
        let mut ends = self.shape.ends(rest);
        if self.optional {
            ends.push(0);
        }
        ends.into_iter().map(|end| at + end).collect()
    }
}

/// A set of places in a text, from before its first byte to after its last.
struct Places(Vec<bool>);

impl Places {
    fn of(body: &str, has: impl Fn(usize) -> bool) -> Self {
        Self((0..=body.len()).map(has).collect())
    }

    fn add(&mut self, at: usize) {
        if let Some(place) = self.0.get_mut(at) {
            *place = true;
        }
    }

    fn has(&self, at: usize) -> bool {
        self.0.get(at).copied().unwrap_or(false)
    }

    fn keep(&mut self, rule: impl Fn(usize) -> bool) {
        for (at, place) in self.0.iter_mut().enumerate() {
            *place = *place && rule(at);
        }
    }

    fn all(&self) -> impl Iterator<Item = usize> + '_ {
        (self.0.iter().enumerate()).filter_map(|(at, place)| place.then_some(at))
    }

    fn count(&self) -> usize {
        self.all().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(name, line): &(&str, &str)| ((*name).to_owned(), (*line).to_owned());
        pairs.iter().map(owned).collect()
    }

    fn rule(pairs: &[(&str, &str)]) -> Strict {
        Strict::parse(&lines(pairs), 60).unwrap()
    }

    #[test]
    fn a_rule_is_refused_when_it_cannot_be_read_or_proves_nothing() {
        for (pairs, horizon, error) in [
            (&[("id", "digits")][..], 0, ConfigError::Horizon),
            (&[("id", "digits")], -1, ConfigError::Horizon),
            (&[], 60, ConfigError::NoId),
            (&[("ID", "digits")], 60, ConfigError::NoId),
            (&[("id", "digits movable")], 60, ConfigError::LooseId),
            (&[("id", "digits optional")], 60, ConfigError::LooseId),
            (&[("id", "")], 60, ConfigError::Line("id".into())),
            (
                &[("id", "digits"), ("x", "digits 5 6")],
                60,
                ConfigError::Line("x".into()),
            ),
            (
                &[("id", "digits"), ("x", "movable")],
                60,
                ConfigError::Line("x".into()),
            ),
            (
                &[("id", "digits"), ("x", "email exact")],
                60,
                ConfigError::Line("x".into()),
            ),
        ] {
            assert_eq!(
                Strict::parse(&lines(pairs), horizon),
                Err(error),
                "{pairs:?}"
            );
        }
        let spaced = Field::parse(" digits  5-10 movable optional ").unwrap();
        assert!(spaced.movable && spaced.optional && spaced.fits("") && spaced.fits("12345"));
        assert!(Field::parse("constant |").unwrap().fits("|"));
    }

    #[test]
    fn a_boundary_is_exact_when_the_shapes_leave_one_place_for_it() {
        let ambiguous = |a: &str, b: &str| Err(Refusal::Ambiguous(a.into(), b.into()));
        for (pairs, body, expected) in [
            (
                &[("email", "email"), ("id", "digits")][..],
                "a@b.ru12345",
                Ok(()),
            ),
            (
                &[("email", "email"), ("id", "token")],
                "a@b.com12345",
                ambiguous("email", "id"),
            ),
            (
                &[("email", "email"), ("id", "token 5")],
                "a@b.com12345",
                Ok(()),
            ),
            (
                &[("id", "digits"), ("phone", "plus-phone")],
                "12345+1234567",
                Ok(()),
            ),
            (
                &[("id", "digits"), ("phone", "phone")],
                "12345+1234567",
                Ok(()),
            ),
            (
                &[("id", "digits"), ("phone", "phone")],
                "123451234567",
                ambiguous("id", "phone"),
            ),
            (
                &[("id", "digits 5"), ("phone", "phone")],
                "123451234567",
                Ok(()),
            ),
            (&[("id", "digits"), ("name", "name")], "12345Ann", Ok(())),
            (
                &[("id", "digits"), ("name", "text")],
                "12345Ann",
                ambiguous("id", "name"),
            ),
            (
                &[("id", "digits"), ("phone", "plus-phone optional")],
                "12345",
                Ok(()),
            ),
            // An empty field has to be somewhere, too.
            (
                &[("a", "digits optional"), ("id", "digits")],
                "12345",
                ambiguous("a", "id"),
            ),
            (
                &[("a", "digits optional movable"), ("id", "digits")],
                "12345",
                ambiguous("a", "id"),
            ),
            // Two movable neighbours share their boundary and no other.
            (
                &[
                    ("a", "name movable"),
                    ("b", "email movable"),
                    ("id", "digits"),
                ],
                "Annann@b.ru1",
                Ok(()),
            ),
            (
                &[("a", "name"), ("b", "email movable"), ("id", "digits")],
                "Annann@b.ru1",
                ambiguous("a", "b"),
            ),
            (
                &[
                    ("a", "name"),
                    ("b", "constant |"),
                    ("c", "email"),
                    ("id", "digits"),
                ],
                "Ann|ann@b.ru1",
                Ok(()),
            ),
            (
                &[
                    ("a", "name"),
                    ("b", "constant |"),
                    ("c", "email"),
                    ("id", "digits"),
                ],
                "A|n|ann@b.ru1",
                ambiguous("b", "c"),
            ),
            // Boundaries are places between characters.
            (&[("a", "text"), ("id", "digits 1")], "ё1", Ok(())),
        ] {
            assert_eq!(
                rule(pairs).check_single_reading(body),
                expected,
                "{pairs:?} {body}"
            );
        }
    }

    /// Every way to cut the text into the fields of a rule, tried one by one.
    fn readings(fields: &[&Field], body: &str) -> Vec<Vec<usize>> {
        let Some((first, others)) = fields.split_first() else {
            return if body.is_empty() {
                vec![vec![]]
            } else {
                vec![]
            };
        };
        let cuts = (0..=body.len()).filter(|at| body.is_char_boundary(*at));
        cuts.filter(|at| first.fits(&body[..*at]))
            .flat_map(|at| {
                readings(others, &body[at..]).into_iter().map(move |tail| {
                    let shifted = tail.into_iter().map(|place| place + at);
                    std::iter::once(at).chain(shifted).collect()
                })
            })
            .collect()
    }

    const LINES: [&str; 14] = [
        "digits",
        "digits 2",
        "digits optional",
        "digits 1-2 movable",
        "hex",
        "token 3",
        "name",
        "name movable",
        "text",
        "text movable",
        "text optional movable",
        "constant |",
        "constant 1 optional",
        "email",
    ];

    proptest! {
        #[test]
        fn a_text_is_refused_exactly_if_an_exact_boundary_lies_elsewhere_in_another_reading(
            others in proptest::collection::vec(proptest::sample::select(&LINES[..]), 1..4),
            id in proptest::sample::select(vec!["digits", "digits 3", "token", "name", "text"]),
            body in "[1a|яb]{1,5}|[ab1]{1,2}@[ab1]{1,2}[.]ru[1a]{0,3}|[a1]{1,3}",
        ) {
            let names = ["a", "b", "z"];
            let mut pairs: Vec<(&str, &str)> = names.into_iter().zip(others).collect();
            pairs.push(("id", id));
            let rule = rule(&pairs);
            let fields: Vec<&Field> = rule.fields.values().collect();
            let all = readings(&fields, &body);
            if let Some(first) = all.first() {
                let exact = (1..fields.len()).all(|i| {
                    (fields[i - 1].movable && fields[i].movable)
                        || all.iter().all(|reading| reading[i - 1] == first[i - 1])
                });
                prop_assert_eq!(rule.check_single_reading(&body).is_ok(), exact, "{:?}", all);
            }
        }
    }
}
