//! Every channel's format and normalised form, against regular expressions written from the documents.

use crate::identifier::channel::{ChannelType, Format, Profile};
use crate::identifier::{self, text};
use crate::source::Source;
use regex::Regex;
use std::sync::LazyLock;

pub const REACHES: &[&str] = &["documented", "platform", "malformed", "rewritten"];

const POSITIVE: &str = "[1-9][0-9]{0,18}";
const LABEL: &str = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";

/// For each channel what is documented and what the platform issues; ranges of numbers are looked at below.
static FORMATS: LazyLock<Vec<(ChannelType, Regex, Regex)>> = LazyLock::new(|| {
    let atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
    let email = format!(r"{atom}(?:\.{atom})*@{LABEL}(?:\.{LABEL})+");
    let formats = [
        (ChannelType::Telegram, "[1-9][0-9]{7}", POSITIVE),
        (ChannelType::Viber, "[!-~]{1,512}", ""),
        (
            ChannelType::Whatsapp,
            "[0-9]{7,15}",
            r"[A-Z]{2}(?:\.ENT)?\.[A-Za-z0-9]{1,128}",
        ),
        (ChannelType::Facebook, "[0-9]{15}", "[0-9]{1,20}"),
        (ChannelType::Instagram, "[0-9]{1,20}", ""),
        (ChannelType::Vk, "-?[1-9][0-9]{0,18}", ""),
        (ChannelType::Apple, "urn:(?:mbid|biz):[!-~]+", ""),
        (ChannelType::Line, "U[0-9a-f]{32}", ""),
        (ChannelType::Wechat, "[A-Za-z0-9_-]{1,128}", ""),
        (ChannelType::Email, email.as_str(), ""),
        (ChannelType::Sms, "[0-9]{7,15}", ""),
        (
            ChannelType::Skype,
            "[A-Za-z0-9][A-Za-z0-9._,:@-]{0,127}",
            "",
        ),
    ];
    let whole = |expression: &str| {
        let never = if expression.is_empty() {
            "[^\\s\\S]"
        } else {
            expression
        };
        Regex::new(&format!(r"\A(?:{never})\z")).expect("an expression")
    };
    formats
        .into_iter()
        .map(|(channel, documented, platform)| (channel, whole(documented), whole(platform)))
        .collect()
});

/// The format by the regular expressions; None where a channel has none here.
fn expected(channel: ChannelType, id: &str) -> Option<Format> {
    let (_, documented, platform) = FORMATS.iter().find(|(known, ..)| *known == channel)?;
    let number = id.parse::<i128>().unwrap_or_default();
    let (documented, platform) = (documented.is_match(id), platform.is_match(id));
    let (documented, platform) = match channel {
        ChannelType::Telegram => (documented, platform && number < 1 << 52),
        ChannelType::Vk => (documented && i64::try_from(number).is_ok(), false),
        ChannelType::Email => {
            let local = id.rsplit_once('@').map_or(0, |(local, _)| local.len());
            (documented && id.len() <= 254 && local <= 64, false)
        }
        // Its prefix is the platform's: what counts here is that it is not wider than this.
        ChannelType::Apple => return None,
        _ => (documented, platform),
    };
    Some(if documented {
        Format::Documented
    } else if platform {
        Format::Platform
    } else {
        Format::Malformed
    })
}

pub fn run(data: &[u8]) -> &'static str {
    let mut source = Source::new(data);
    let raw = source.text();
    let wanted = source.pick(&ChannelType::ALL);
    let mut kind = "malformed";
    for channel in ChannelType::ALL {
        assert_eq!(ChannelType::from_name(channel.name()), Some(channel));
        let format = channel.format(&raw);
        if let Some(expected) = expected(channel, &raw) {
            assert_eq!(format, expected, "{channel:?}");
        }
        // documented is part of platform.
        assert!(
            !channel.accepts(&raw, Profile::Documented) || channel.accepts(&raw, Profile::Platform)
        );
        assert_eq!(
            channel.accepts(&raw, Profile::Platform),
            format != Format::Malformed
        );
        if format != Format::Malformed {
            assert!(
                raw.is_ascii()
                    && !raw.is_empty()
                    && !raw.contains(|c: char| c.is_control() || c == ' ')
            );
        }
        let normalized = channel.normalize(&raw);
        assert_eq!(
            channel.normalize(&normalized),
            normalized,
            "normalising twice is not normalising once"
        );
        assert_eq!(normalized, channel.normalize(text::trim(&raw)));
        // What the platform has issued stays one of its ids, and an id that can be stored.
        if format != Format::Malformed {
            assert_ne!(
                channel.format(&normalized),
                Format::Malformed,
                "{channel:?}"
            );
            assert!(normalized.len() <= raw.len());
        }
        if identifier::is_identifier_text(text::trim(&raw)) {
            assert!(
                identifier::is_identifier_text(&normalized),
                "{channel:?}: what is normalised cannot be stored"
            );
        }
        if channel == wanted {
            kind = if normalized == text::trim(&raw) {
                format.name()
            } else {
                "rewritten"
            };
        }
    }
    kind
}
