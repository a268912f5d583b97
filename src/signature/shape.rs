//! The shapes a strict account may demand of a field's value. Pure. May touch: nothing but its arguments.
//!
//! A shape answers one question, [`Shape::ends`]: where can a value of this shape that begins here end? Whether one
//! value fits, and in how many ways a joined text can be cut, both follow from it.

use std::ops::RangeInclusive;

/// The longest value of a [`Class`], as long as an identifier may be.
const LONGEST: usize = 512;
/// Digits of a full phone number (E.164).
const PHONE: RangeInclusive<usize> = 7..=15;
/// RFC 5321, section 4.5.3.1: a local part, and an address as a whole.
const LONGEST_LOCAL: usize = 64;
const LONGEST_ADDRESS: usize = 254;
/// RFC 1035: a label of a domain.
const LONGEST_LABEL: usize = 63;

/// What a value may look like. None but an optional field is ever empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// So many characters of a class.
    Chars(Class, RangeInclusive<usize>),
    /// 36 characters, in groups of 8, 4, 4, 4 and 12 hexadecimal digits.
    Uuid,
    /// `+` and 7 to 15 digits; the `+` may be missing only if so said.
    Phone { bare: bool },
    /// An address in ASCII with exactly one `@`, whose top-level domain is of two letters or more and of letters only.
    Email,
    /// A letter, then anything but digits, `@`, `+` and control characters.
    Name,
    /// This text and no other: a separator.
    Constant(String),
    /// Anything.
    Text,
}

/// Characters, all ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// `0` to `9`.
    Digits,
    /// `0` to `9`, `a` to `f`, `A` to `F`.
    Hex,
    /// Letters and digits.
    Alphanumeric,
    /// Letters, digits, `-`, `_` and `.`.
    Token,
}

impl Class {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Digits => byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Alphanumeric => byte.is_ascii_alphanumeric(),
            Self::Token => byte.is_ascii_alphanumeric() || b"-_.".contains(&byte),
        }
    }
}

impl Shape {
    /// Reads a shape as a DBA writes it: the first word, and an argument for `digits`, `hex`, `alphanumeric`, `token`
    /// (a length `5` or a range `5-10`; 1 to 512 characters without one) and `constant` (its text). The other words are
    /// `uuid`, `phone` (the `+` may be missing), `plus-phone`, `email`, `name` and `text`.
    pub(super) fn from_words(word: &str, argument: Option<&str>) -> Option<Self> {
        let class = match word {
            "digits" => Class::Digits,
            "hex" => Class::Hex,
            "alphanumeric" => Class::Alphanumeric,
            "token" => Class::Token,
            "constant" => return argument.map(|text| Self::Constant(text.to_owned())),
            _ if argument.is_some() => return None,
            "uuid" => return Some(Self::Uuid),
            "phone" => return Some(Self::Phone { bare: true }),
            "plus-phone" => return Some(Self::Phone { bare: false }),
            "email" => return Some(Self::Email),
            "name" => return Some(Self::Name),
            "text" => return Some(Self::Text),
            _ => return None,
        };
        let length = match argument {
            None => 1..=LONGEST,
            Some(range) => {
                let (least, most) = range.split_once('-').unwrap_or((range, range));
                length(least)?..=length(most)?
            }
        };
        (!length.is_empty()).then_some(Self::Chars(class, length))
    }

    /// Whether the whole value is of this shape.
    pub(super) fn fits(&self, value: &str) -> bool {
        match self {
            Self::Text => !value.is_empty(),
            _ => self.ends(value).contains(&value.len()),
        }
    }

    /// Every length in bytes a value of this shape may have that `rest` begins with.
    pub(super) fn ends(&self, rest: &str) -> Vec<usize> {
        match self {
            Self::Chars(class, length) => run(rest, |b| class.has(b), length),
            Self::Uuid => uuid_end(rest).into_iter().collect(),
            Self::Phone { bare } => {
                let (plus, digits) = match rest.strip_prefix('+') {
                    Some(digits) => (1, digits),
                    None if *bare => (0, rest),
                    None => return Vec::new(),
                };
                let ends = run(digits, |b| b.is_ascii_digit(), &PHONE);
                ends.into_iter().map(|end| plus + end).collect()
            }
            Self::Email => email_ends(rest),
            Self::Name => name_ends(rest),
            Self::Constant(text) if rest.starts_with(text.as_str()) => vec![text.len()],
            Self::Constant(_) => Vec::new(),
            Self::Text => char_ends(rest).collect(),
        }
    }
}

/// A length in a specification: 1 to 512.
fn length(text: &str) -> Option<usize> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let length = text.parse().ok().filter(|_| digits)?;
    (1..=LONGEST).contains(&length).then_some(length)
}

/// The allowed lengths among the prefixes that are all of one kind of byte.
fn run(rest: &str, kind: impl Fn(u8) -> bool, length: &RangeInclusive<usize>) -> Vec<usize> {
    let longest = rest
        .bytes()
        .take(*length.end())
        .take_while(|b| kind(*b))
        .count();
    (*length.start()..=longest).collect()
}

fn char_ends(rest: &str) -> impl Iterator<Item = usize> + '_ {
    rest.char_indices().map(|(at, c)| at + c.len_utf8())
}

fn uuid_end(rest: &str) -> Option<usize> {
    const LENGTH: usize = 36;
    let fits = rest.get(..LENGTH)?.bytes().enumerate().all(|(at, b)| {
        if matches!(at, 8 | 13 | 18 | 23) {
            b == b'-'
        } else {
            b.is_ascii_hexdigit()
        }
    });
    fits.then_some(LENGTH)
}

fn name_ends(rest: &str) -> Vec<usize> {
    if !rest.starts_with(char::is_alphabetic) {
        return Vec::new();
    }
    let foreign = |c: char| c.is_numeric() || c.is_control() || matches!(c, '@' | '+');
    let end = rest.find(foreign).unwrap_or(rest.len());
    char_ends(rest).take_while(|at| *at <= end).collect()
}

fn email_ends(rest: &str) -> Vec<usize> {
    let Some((local, domain)) = rest.split_once('@') else {
        return Vec::new();
    };
    let atom = |atom: &str| !atom.is_empty() && atom.bytes().all(is_atext);
    if local.len() > LONGEST_LOCAL || !local.split('.').all(atom) {
        return Vec::new();
    }
    let before = local.len() + 1;
    let mut ends = Vec::new();
    // The label being read: its length, whether it has been all letters, whether it ended on a hyphen; and whether
    // there is one before it.
    let (mut label, mut letters, mut hyphen, mut dot) = (0, true, false, false);
    for (at, byte) in domain
        .bytes()
        .take(LONGEST_ADDRESS.saturating_sub(before))
        .enumerate()
    {
        match byte {
            b'.' if label == 0 || hyphen => break,
            b'.' => (label, letters, dot) = (0, true, true),
            b'-' if label == 0 => break,
            b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' if label < LONGEST_LABEL => {
                label += 1;
                letters &= byte.is_ascii_alphabetic();
                hyphen = byte == b'-';
            }
            _ => break,
        }
        if dot && label >= 2 && letters {
            ends.push(before + at + 1);
        }
    }
    ends
}

/// `atext` of RFC 5322 section 3.2.3.
fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shape(specification: &str) -> Shape {
        let (word, argument) = match specification.split_once(' ') {
            Some((word, argument)) => (word, Some(argument)),
            None => (specification, None),
        };
        Shape::from_words(word, argument).unwrap()
    }

    #[test]
    fn what_fits_a_shape_and_what_does_not() {
        let label = "x".repeat(63);
        let long_label = format!("a@{label}x.ru");
        let long_local = format!("{}@b.ru", "a".repeat(65));
        let long = format!("{}@{label}.{label}.{}.ru", "a".repeat(64), "x".repeat(59));
        assert_eq!(long.len(), 255);
        let cases: &[(&str, &[&str], &[&str])] = &[
            (
                "digits",
                &["0", "12345"],
                &["", "1a", "-1", "+1", "١", "1 "],
            ),
            ("digits 5", &["12345"], &["1234", "123456"]),
            ("digits 2-3", &["12", "123"], &["1", "1234"]),
            ("hex 4", &["09aF"], &["09ag", "09a"]),
            ("alphanumeric", &["aZ9"], &["a-b", "я"]),
            ("token", &["a-b_c.D9"], &["a b", "a@b"]),
            (
                "uuid",
                &["877a920e-de70-8241-2656-ac1cdec7ecde"],
                &[
                    "877a920ede7082412656ac1cdec7ecde",
                    "877a920e-de70-8241-2656-ac1cdec7ecd",
                    "877a920e-de70-8241-2656+ac1cdec7ecde",
                ],
            ),
            (
                "phone",
                &["+78123855337", "1234567", "+123456789012345"],
                &[
                    "+123456",
                    "123456",
                    "1234567890123456",
                    "++1234567",
                    "+7 8123855337",
                ],
            ),
            ("plus-phone", &["+1234567"], &["1234567", "+"]),
            (
                "email",
                &["abc@webim.ru", "a.b+c@x-1.y.museum", "A@1.RU", "a@b.co"],
                &[
                    "abc@webim.ru1",
                    "abc@webim",
                    "@b.ru",
                    "a@b.r",
                    "a@@b.ru",
                    "a@b@c.ru",
                    "a@b..ru",
                    "a@-b.ru",
                    "a@b-.ru",
                    ".a@b.ru",
                    "a.@b.ru",
                    "a@b.ru.",
                    "a b@c.ru",
                    "имя@b.ru",
                    "a@пример.рф",
                    "a@b.xn--p1ai",
                    &long_label,
                    &long_local,
                    &long,
                ],
            ),
            (
                "name",
                &["Евгений", "Anne-Marie O'Neil Jr.", "李", "x"],
                &["", " John", "John1", "a@b", "J+", "a\nb", "-a", "J٢"],
            ),
            ("constant |", &["|"], &["", "||", "a"]),
            ("text", &[" ", "1", "\n"], &[""]),
        ];
        for (specification, fitting, not) in cases {
            let shape = shape(specification);
            for value in *fitting {
                assert!(shape.fits(value), "{specification}: {value:?}");
            }
            for value in *not {
                assert!(!shape.fits(value), "{specification}: {value:?}");
            }
        }
    }

    #[test]
    fn a_shape_that_is_not_known_or_can_have_no_value_is_none() {
        for (word, argument) in [
            ("", None),
            ("number", None),
            ("Digits", None),
            ("digits", Some("0")),
            ("digits", Some("0-5")),
            ("digits", Some("5-4")),
            ("digits", Some("513")),
            ("digits", Some("+5")),
            ("digits", Some("5-")),
            ("digits", Some("1-2-3")),
            ("uuid", Some("5")),
            ("text", Some("5")),
            ("email", Some("a")),
            ("constant", None),
        ] {
            assert_eq!(
                Shape::from_words(word, argument),
                None,
                "{word} {argument:?}"
            );
        }
    }

    const WORDS: [&str; 12] = [
        "digits",
        "digits 3",
        "hex 2-4",
        "alphanumeric",
        "token",
        "uuid",
        "phone",
        "plus-phone",
        "email",
        "name",
        "constant ab",
        "text",
    ];

    proptest! {
        // What makes the readings of a joined text complete: no value that fits is ever overlooked.
        #[test]
        fn a_value_fits_exactly_if_it_is_an_end_of_every_text_it_begins(
            word in proptest::sample::select(&WORDS[..]),
            value in prop_oneof![
                "[0-9]{1,5}", "[+]?[0-9]{6,16}", "[a-b.]{1,3}@[a-c1-]{1,3}[.][a-z]{1,3}", "[a-zя ]{0,4}", any::<String>(),
            ],
            rest in "[0-9a-zя@.+|-]{0,8}",
        ) {
            let shape = shape(word);
            let joined = format!("{value}{rest}");
            let ends = shape.ends(&joined);
            prop_assert_eq!(shape.fits(&value), ends.contains(&value.len()));
            for end in ends {
                prop_assert!(shape.fits(joined.get(..end).unwrap()));
            }
        }
    }
}
