//! From bytes to values: every byte string is some input, and small changes of it are small changes of the input. What is
//! read past the end is zero.

use uuid::Uuid;

/// Where one text of a seed ends; in no UTF-8 text is there such a byte.
pub const END_OF_TEXT: u8 = 0xff;

/// What identifiers, placeholders and attacks on them are made of.
const FRAGMENTS: [&str; 96] = [
    "null",
    "None",
    "undefined",
    "NaN",
    "guest",
    "anonymous",
    "object",
    "Object",
    "0",
    "00",
    "000",
    "-1",
    "0.0",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "877a920e-de70-8241-2656-ac1cdec7ecde",
    "877A920EDE7082412656AC1CDEC7ECDE",
    "urn:uuid:",
    "{",
    "}",
    "{{",
    "}}",
    "${",
    "<%",
    "%>",
    "%",
    "[",
    "]",
    "(",
    ")",
    "<",
    ">",
    "\"",
    "'",
    "`",
    "\\\"",
    "\\'",
    "“",
    "”",
    "«",
    "»",
    " ",
    "\t",
    "\n",
    "\r\n",
    "\u{0}",
    "\u{1b}",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{ad}",
    "\u{200b}",
    "\u{200d}",
    "\u{202e}",
    "\u{2028}",
    "\u{3000}",
    "\u{feff}",
    "я",
    "İ",
    "ß",
    "é",
    "😀",
    "e\u{301}",
    "１",
    "٣",
    "+",
    "-",
    ".",
    "/",
    "@",
    "..",
    ":",
    "tel:",
    "whatsapp:",
    "TEL:",
    "1",
    "7",
    "42",
    "67854257",
    "10435685475",
    "103458712527651",
    "4503599627370496",
    "9223372036854775807",
    "9223372036854775808",
    "US.",
    "ENT.",
    "Uffffffffffffffffffffffffffffffff",
    "urn:biz:",
    "live:.cid.",
    "a@b.co",
    "Anna@Example.COM",
    "xn--p1ai",
    "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz01234567",
    "id",
    "#quot;",
    "%%{init",
];

/// A reader of arbitrary bytes.
pub struct Source<'a> {
    rest: &'a [u8],
}

impl<'a> Source<'a> {
    #[must_use]
    pub fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    pub fn byte(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((first, rest)) => {
                self.rest = rest;
                *first
            }
            None => 0,
        }
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: u8) -> bool {
        self.byte().is_multiple_of(times)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let wide = (usize::from(self.byte()) << 8) | usize::from(self.byte());
        wide % limit
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.flag() {
            Some(value(self))
        } else {
            None
        }
    }

    /// Any number of 64 bits, small ones and those at the ends more often.
    pub fn number(&mut self) -> i64 {
        match self.byte() % 4 {
            0 => i64::from(self.byte()),
            1 => i64::MAX - i64::from(self.byte()),
            10 | 11 => i64::MIN + i64::from(self.byte()),
            _ => (0..8).fold(0, |number, _| (number << 8) | i64::from(self.byte())),
        }
    }

    /// A UUID; of few different ones, so that they meet.
    pub fn uuid(&mut self) -> Uuid {
        match self.byte() {
            0 => Uuid::nil(),
            1 => Uuid::max(),
            small => Uuid::from_u128(u128::from(small % 8) + 1),
        }
    }

    /// A text: as it stands in the bytes, of fragments, of digits, or a long one.
    pub fn text(&mut self) -> String {
        match self.byte() % 16 {
            // The whole of a seed's, or what is left.
            0 => {
                let end = self.rest.iter().position(|byte| *byte == END_OF_TEXT);
                self.raw(end.unwrap_or(self.rest.len()), 1)
            }
            1..=3 => {
                let length = self.below(24);
                self.raw(length, 0)
            }
            4..=9 => (0..self.below(6)).map(|_| self.pick(&FRAGMENTS)).collect(),
            10 | 11 => (0..self.below(22))
                .map(|_| char::from(b'0' + self.byte() % 10))
                .collect(),
            12..=14 => (0..self.below(40))
                .map(|_| char::from(b' ' + self.byte() % 95))
                .collect(),
            _ => self.pick(&FRAGMENTS).repeat(self.below(600)),
        }
    }

    fn raw(&mut self, length: usize, after: usize) -> String {
        let (text, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest.get(after..).unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }

    /// A text that is read often: a short one of few letters.
    pub fn short(&mut self, letters: &str) -> String {
        let letters: Vec<char> = letters.chars().collect();
        (0..self.below(9)).map(|_| self.pick(&letters)).collect()
    }
}

/// The bytes from which these texts are read one after the other.
#[must_use]
pub fn seed(texts: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in texts {
        bytes.push(0);
        bytes.extend(text.as_bytes());
        bytes.push(END_OF_TEXT);
    }
    bytes
}
