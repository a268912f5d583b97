//! E-mail addresses. Pure: may touch nothing but its arguments.

use std::borrow::Cow;

use super::{nothing_more, shape, Rules};

/// An address as RFC 5321 has it, without quoted local parts, comments and address literals: what
/// mail clients send from.
pub(super) const RULES: Rules = Rules {
    documented: is_address,
    platform_adds: nothing_more,
    normalize: fold_domain,
};

/// Whole address, local part, domain and label, in bytes (RFC 5321 section 4.5.3.1, RFC 1035).
const MAX_ADDRESS: usize = 254;
const MAX_LOCAL: usize = 64;
const MAX_DOMAIN: usize = 255;
const MAX_LABEL: usize = 63;

fn is_address(id: &str) -> bool {
    // A second `@` ends up in the local part, which refuses it.
    id.len() <= MAX_ADDRESS
        && id
            .rsplit_once('@')
            .is_some_and(|(local, domain)| is_local_part(local) && is_domain(domain))
}

/// A dot-atom: no dot at an end, no two in a row.
fn is_local_part(local: &str) -> bool {
    local.len() <= MAX_LOCAL
        && local
            .split('.')
            .all(|atom| shape::all_of(atom, 1..=MAX_LOCAL, is_atext))
}

/// `atext` of RFC 5322 section 3.2.3.
fn is_atext(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(byte)
}

fn is_domain(domain: &str) -> bool {
    domain.len() <= MAX_DOMAIN && domain.contains('.') && domain.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    shape::all_of(label, 1..=MAX_LABEL, |b| {
        b.is_ascii_alphanumeric() || *b == b'-'
    }) && !label.starts_with('-')
        && !label.ends_with('-')
}

/// The domain in lower case, which is how the network reads it. The local part belongs to the mail
/// server, which may tell its cases apart, so it is kept (design section 1, "e-mail domains folded").
fn fold_domain(trimmed: &str) -> Cow<'_, str> {
    match trimmed.rsplit_once('@') {
        Some((local, domain)) if domain.bytes().any(|b| b.is_ascii_uppercase()) => {
            Cow::Owned(format!("{local}@{}", domain.to_ascii_lowercase()))
        }
        _ => Cow::Borrowed(trimmed),
    }
}

#[cfg(test)]
mod tests {
    use crate::identifier::channel::{ChannelType, Format};

    #[test]
    fn an_ordinary_address_is_an_id() {
        for id in [
            "a@b.c",
            "john.smith+chat@mail.example.co.uk",
            "o'neil@example.com",
            "x@xn--80ak6aa92e.com",
            "a@1.2",
        ] {
            assert_eq!(ChannelType::Email.format(id), Format::Documented, "{id}");
        }
    }

    #[test]
    fn what_is_no_address_is_malformed() {
        for id in [
            "a",
            "@b.c",
            "a@",
            "a@b",
            "a@b@c.d",
            "a b@c.d",
            "\"a b\"@c.d",
            ".a@b.c",
            "a.@b.c",
            "a..b@c.d",
            "a@.b.c",
            "a@b..c",
            "a@b.c.",
            "a@-b.c",
            "a@b-.c",
            "a@b_c.d",
            "a@[127.0.0.1]",
            "имя@example.com",
            "a@пример.рф",
            "John <a@b.c>",
        ] {
            assert_eq!(ChannelType::Email.format(id), Format::Malformed, "{id}");
        }
    }

    #[test]
    fn lengths_end_where_the_standard_ends_them() {
        let label = "x".repeat(63);
        for (id, format) in [
            (format!("{}@b.c", "a".repeat(64)), Format::Documented),
            (format!("{}@b.c", "a".repeat(65)), Format::Malformed),
            (format!("a@{label}.c"), Format::Documented),
            (format!("a@{label}x.c"), Format::Malformed),
            (
                format!("{}@{label}.{label}.{}", "a".repeat(64), "x".repeat(61)),
                Format::Documented,
            ),
            (
                format!("{}@{label}.{label}.{}", "a".repeat(64), "x".repeat(62)),
                Format::Malformed,
            ),
        ] {
            assert_eq!(ChannelType::Email.format(&id), format, "{id}");
        }
    }

    // T10
    #[test]
    fn the_domain_is_folded_and_the_local_part_is_kept() {
        assert_eq!(
            ChannelType::Email.normalize(" John.Smith@Example.COM "),
            "John.Smith@example.com"
        );
        assert_eq!(ChannelType::Email.normalize("NoAddress"), "NoAddress");
    }
}
