//! Phone numbers and e-mail addresses as people write them: built from what they mean, then read.

use crate::identifier::channel::{ChannelType, Format};
use crate::source::Source;

pub const REACHES: &[&str] = &["number", "address", "two numbers"];

const SEPARATORS: [&str; 12] = [
    "", "", "", "", " ", "-", ".", "(", ")", "/", "\u{a0}", "\u{2011}",
];
const PREFIXES: [&str; 6] = ["", "+", "00", "tel:", "whatsapp:+", "WhatsApp:00"];

/// 7 to 15 digits, not beginning with zero.
fn digits(source: &mut Source<'_>) -> String {
    let length = 6 + source.below(9);
    let first = char::from(b'1' + source.byte() % 9);
    std::iter::once(first)
        .chain((0..length).map(|_| char::from(b'0' + source.byte() % 10)))
        .collect()
}

fn written(source: &mut Source<'_>, digits: &str) -> String {
    let prefix = source.pick(&PREFIXES);
    let body = digits
        .chars()
        .map(|digit| format!("{digit}{}", source.pick(&SEPARATORS)));
    format!("{prefix}{}", body.collect::<String>())
}

pub fn run(data: &[u8]) -> &'static str {
    let mut source = Source::new(data);
    if source.flag() {
        let local = source.short("aBz0.+");
        let (host, zone) = (source.short("aBz0-"), source.pick(&["ru", "COM", "Co.Uk"]));
        let address = format!(" {local}@{host}.{zone}\n");
        let normalized = ChannelType::Email.normalize(&address);
        let lower = format!("{local}@{}.{}", host.to_lowercase(), zone.to_lowercase());
        assert_eq!(
            normalized, lower,
            "the local part is the mail server's, the domain is not"
        );
        let other = ChannelType::Email.format(&format!("{local}@{host}.{zone}"));
        assert_eq!(ChannelType::Email.format(&normalized), other);
        return "address";
    }
    let one = digits(&mut source);
    let other = digits(&mut source);
    for channel in [ChannelType::Whatsapp, ChannelType::Sms] {
        assert_eq!(channel.format(&one), Format::Documented);
        assert_eq!(channel.normalize(&written(&mut source, &one)), one);
    }
    let (left, right) = (written(&mut source, &one), written(&mut source, &other));
    let same = ChannelType::Whatsapp.normalize(&left) == ChannelType::Whatsapp.normalize(&right);
    assert_eq!(same, one == other, "two numbers became one");
    // Two numbers in one text are no number.
    let both = format!("{left} +{other}");
    assert_ne!(
        ChannelType::Sms.format(&ChannelType::Sms.normalize(&both)),
        Format::Documented
    );
    if same {
        "number"
    } else {
        "two numbers"
    }
}
