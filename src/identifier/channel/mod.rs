//! The messaging channels and the formats of their user ids, one file a channel. Pure: may touch
//! nothing but its arguments.
//!
//! Formats are of ASCII only and of the whole text: an Arabic or full-width digit is no digit here,
//! because no platform issues one (design section 1, "Channel formats"). Every channel says what the
//! product documents and what its platform issues *besides*, so that `platform` is a superset by
//! construction. To add a channel: a file with its `RULES`, and one line in each table below.

mod apple;
mod email;
mod facebook;
mod instagram;
mod line;
mod max;
mod ok;
mod phone;
mod shape;
mod skype;
mod sms;
mod telegram;
mod viber;
mod vk;
mod wechat;
mod whatsapp;

use std::borrow::Cow;

use super::text;

/// What one channel says about its user ids.
struct Rules {
    /// The format the product documents.
    documented: fn(&str) -> bool,
    /// What the platform issues besides, none where the document covers it.
    platform_adds: fn(&str) -> bool,
    /// From a trimmed text as people write it to the form ids are keyed by.
    normalize: fn(&str) -> Cow<'_, str>,
}

/// For channels whose documented format is all there is.
fn nothing_more(_id: &str) -> bool {
    false
}

/// For channels whose ids are opaque or already in their only form.
fn as_written(trimmed: &str) -> Cow<'_, str> {
    Cow::Borrowed(trimmed)
}

/// A channel whose user ids have a known format (design section 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChannelType {
    /// Telegram.
    Telegram,
    /// Viber.
    Viber,
    /// WhatsApp.
    Whatsapp,
    /// Facebook Messenger.
    Facebook,
    /// Instagram.
    Instagram,
    /// VKontakte.
    Vk,
    /// Odnoklassniki.
    Ok,
    /// Apple Messages for Business.
    Apple,
    /// LINE.
    Line,
    /// WeChat.
    Wechat,
    /// E-mail.
    Email,
    /// Text message.
    Sms,
    /// Skype.
    Skype,
    /// MAX.
    Max,
}

impl ChannelType {
    /// Every channel, in the order of the documentation.
    pub const ALL: [Self; 14] = [
        Self::Telegram,
        Self::Viber,
        Self::Whatsapp,
        Self::Facebook,
        Self::Instagram,
        Self::Vk,
        Self::Ok,
        Self::Apple,
        Self::Line,
        Self::Wechat,
        Self::Email,
        Self::Sms,
        Self::Skype,
        Self::Max,
    ];

    /// The channel of this `channel_type`, exactly as [`Self::name`] writes it (design section 1).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.name() == name)
    }

    /// The `channel_type` of this channel in SQL (design section 1).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Telegram => "telegram",
            Self::Viber => "viber",
            Self::Whatsapp => "whatsapp",
            Self::Facebook => "facebook",
            Self::Instagram => "instagram",
            Self::Vk => "vk",
            Self::Ok => "ok",
            Self::Apple => "apple",
            Self::Line => "line",
            Self::Wechat => "wechat",
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Skype => "skype",
            Self::Max => "max",
        }
    }

    /// The narrowest format the id has, taken as it is: nothing is trimmed or normalised first
    /// (design section 1, "Channel formats").
    #[must_use]
    pub fn format(self, id: &str) -> Format {
        let rules = self.rules();
        if (rules.documented)(id) {
            Format::Documented
        } else if (rules.platform_adds)(id) {
            Format::Platform
        } else {
            Format::Malformed
        }
    }

    /// Whether the id, taken as it is, has a format of the profile (design sections 1 and 2,
    /// policy `channel_format`).
    #[must_use]
    pub fn accepts(self, id: &str, profile: Profile) -> bool {
        match self.format(id) {
            Format::Documented => true,
            Format::Platform => profile == Profile::Platform,
            Format::Malformed => false,
        }
    }

    /// The form in which ids are checked and keyed: trimmed; a phone number as digits, the domain of
    /// an e-mail address in lower case (design section 1). A text that is neither stays as it is
    /// written. Normalising twice is normalising once, and never makes one of two E.164 numbers.
    #[must_use]
    pub fn normalize(self, raw: &str) -> Cow<'_, str> {
        (self.rules().normalize)(text::trim(raw))
    }

    const fn rules(self) -> &'static Rules {
        match self {
            Self::Telegram => &telegram::RULES,
            Self::Viber => &viber::RULES,
            Self::Whatsapp => &whatsapp::RULES,
            Self::Facebook => &facebook::RULES,
            Self::Instagram => &instagram::RULES,
            Self::Vk => &vk::RULES,
            Self::Ok => &ok::RULES,
            Self::Apple => &apple::RULES,
            Self::Line => &line::RULES,
            Self::Wechat => &wechat::RULES,
            Self::Email => &email::RULES,
            Self::Sms => &sms::RULES,
            Self::Skype => &skype::RULES,
            Self::Max => &max::RULES,
        }
    }
}

/// How strictly a channel user id is checked (design section 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// What the product documents.
    Documented,
    /// What the platforms issue today, a superset of it.
    Platform,
}

impl Profile {
    /// The profile of this name in SQL: `documented` or `platform` (design section 1).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "documented" => Some(Self::Documented),
            "platform" => Some(Self::Platform),
            _ => None,
        }
    }
}

/// The narrowest format a channel user id has (design section 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As the product documents it.
    Documented,
    /// Not so, but as the platform issues it.
    Platform,
    /// Neither.
    Malformed,
}

impl Format {
    /// The name of this format in SQL: `documented`, `platform` or `malformed`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Platform => "platform",
            Self::Malformed => "malformed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One id of every format of every channel, for the promises that hold for all of them.
    const SAMPLES: [(ChannelType, &str, Format); 22] = [
        (ChannelType::Telegram, "67854257", Format::Documented),
        (ChannelType::Telegram, "5000000000", Format::Platform),
        (
            ChannelType::Viber,
            "5dfjdg5lfg8dGjg0DF95+h==",
            Format::Documented,
        ),
        (ChannelType::Whatsapp, "10435685475", Format::Documented),
        (
            ChannelType::Whatsapp,
            "US.13491208655302741918",
            Format::Platform,
        ),
        (
            ChannelType::Whatsapp,
            "US.ENT.11815799212886844830",
            Format::Platform,
        ),
        (ChannelType::Facebook, "103458712527651", Format::Documented),
        (ChannelType::Facebook, "24318712527651999", Format::Platform),
        (
            ChannelType::Instagram,
            "17841400000000000",
            Format::Documented,
        ),
        (ChannelType::Vk, "123456", Format::Documented),
        (ChannelType::Vk, "-42", Format::Documented),
        (ChannelType::Vk, "2000000001", Format::Documented),
        (ChannelType::Ok, "chat:C3ecb9d02a600", Format::Documented),
        (
            ChannelType::Apple,
            "urn:mbid:AQAAY/x+9==",
            Format::Documented,
        ),
        (
            ChannelType::Line,
            "U0123456789abcdef0123456789abcdef",
            Format::Documented,
        ),
        (
            ChannelType::Wechat,
            "oLVPpjqs9BhvzwPj5A-vTYAX3GLc",
            Format::Documented,
        ),
        (
            ChannelType::Email,
            "John.O'Neil+42@example.com",
            Format::Documented,
        ),
        (ChannelType::Sms, "10435685475", Format::Documented),
        (
            ChannelType::Skype,
            "live:.cid.0a1b2c3d4e5f",
            Format::Documented,
        ),
        (ChannelType::Skype, "8:live:john_doe", Format::Documented),
        (ChannelType::Max, "1", Format::Documented),
        (ChannelType::Max, "9223372036854775807", Format::Documented),
    ];

    fn any_channel() -> impl Strategy<Value = ChannelType> {
        proptest::sample::select(ChannelType::ALL.as_slice())
    }

    /// Texts that are or nearly are ids of some channel.
    fn near_valid() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[0-9]{1,22}",
            "-?[0-9]{1,20}",
            "[+]?[0-9 ().\u{a0}\u{2011}/-]{0,22}",
            "(tel:|WhatsApp:)?[+]?(00)?[0-9][0-9 -]{5,14}",
            "[A-Z]{2}(\\.ENT)?\\.[A-Za-z0-9]{0,20}",
            "U[0-9a-f]{31,33}",
            "urn:mbid:[!-~]{0,20}",
            "[A-Za-z0-9.+'-]{0,9}@[A-Za-z0-9.@-]{0,12}",
            "(8:)?live:[a-z.0-9]{1,9}",
            "[!-~]{1,30}",
            proptest::sample::select(SAMPLES.as_slice()).prop_map(|(_, id, _)| id.to_owned()),
        ]
    }

    #[test]
    fn the_four_documented_examples_are_documented() {
        for (channel, id) in [
            (ChannelType::Telegram, "67854257"),
            (ChannelType::Viber, "5dfjdg5lfg8dGjg0DF95+h=="),
            (ChannelType::Whatsapp, "10435685475"),
            (ChannelType::Facebook, "103458712527651"),
        ] {
            assert_eq!(channel.format(id), Format::Documented);
            assert!(channel.accepts(id, Profile::Documented));
            assert!(channel.accepts(id, Profile::Platform));
            assert_eq!(channel.normalize(id), id);
        }
    }

    #[test]
    fn every_channel_has_a_sample_of_its_format_and_keeps_it_when_normalised() {
        for channel in ChannelType::ALL {
            assert!(
                SAMPLES.iter().any(|(of, ..)| *of == channel),
                "{}",
                channel.name()
            );
        }
        for (channel, id, format) in SAMPLES {
            assert_eq!(channel.format(id), format, "{} {id}", channel.name());
            assert_eq!(channel.normalize(id), id, "{}", channel.name());
        }
    }

    #[test]
    fn a_profile_accepts_its_own_formats_only() {
        for (channel, id, format) in SAMPLES {
            assert!(channel.accepts(id, Profile::Platform));
            assert_eq!(
                channel.accepts(id, Profile::Documented),
                format == Format::Documented
            );
        }
        assert!(!ChannelType::Telegram.accepts("x", Profile::Platform));
    }

    #[test]
    fn full_width_and_arabic_digits_are_digits_in_no_channel() {
        for (channel, id, _) in SAMPLES {
            for zero in ['０', '٠', '۰', '०'] {
                let foreign: String = id
                    .chars()
                    .map(|c| match c.to_digit(10) {
                        Some(digit) => char::from_u32(u32::from(zero) + digit).unwrap_or(c),
                        None => c,
                    })
                    .collect();
                // Every sample has a digit: otherwise it would prove nothing here.
                assert_ne!(foreign, id);
                assert_eq!(
                    channel.format(&foreign),
                    Format::Malformed,
                    "{} {foreign}",
                    channel.name()
                );
                assert_eq!(
                    channel.format(&channel.normalize(&foreign)),
                    Format::Malformed
                );
            }
        }
    }

    #[test]
    fn nothing_is_trimmed_by_the_format_and_all_of_it_by_normalising() {
        for (channel, id, format) in SAMPLES {
            for padded in [
                format!(" {id}"),
                format!("{id}\n"),
                format!("\u{feff}{id}\u{a0}"),
            ] {
                assert_eq!(channel.format(&padded), Format::Malformed, "{padded:?}");
                assert_eq!(channel.format(&channel.normalize(&padded)), format);
            }
        }
    }

    #[test]
    fn an_empty_id_is_malformed_in_every_channel() {
        for channel in ChannelType::ALL {
            assert_eq!(channel.format(""), Format::Malformed);
            assert_eq!(channel.normalize(" \u{200b}"), "");
        }
    }

    #[test]
    fn names_lead_back_to_their_channel_and_only_as_they_are_written() {
        for channel in ChannelType::ALL {
            assert_eq!(ChannelType::from_name(channel.name()), Some(channel));
            assert_eq!(ChannelType::from_name(&channel.name().to_uppercase()), None);
        }
        assert_eq!(ChannelType::from_name(""), None);
        assert_eq!(ChannelType::from_name("telegram "), None);
    }

    #[test]
    fn profiles_and_formats_have_the_names_of_the_contract() {
        assert_eq!(Profile::from_name("documented"), Some(Profile::Documented));
        assert_eq!(Profile::from_name("platform"), Some(Profile::Platform));
        assert_eq!(Profile::from_name("any"), None);
        assert_eq!(Format::Documented.name(), "documented");
        assert_eq!(Format::Platform.name(), "platform");
        assert_eq!(Format::Malformed.name(), "malformed");
    }

    proptest! {
        #[test]
        fn documented_is_a_part_of_platform(channel in any_channel(), id in near_valid()) {
            if channel.accepts(&id, Profile::Documented) {
                prop_assert!(channel.accepts(&id, Profile::Platform));
            }
            prop_assert_eq!(
                channel.accepts(&id, Profile::Platform),
                channel.format(&id) != Format::Malformed
            );
        }

        #[test]
        fn normalising_twice_is_normalising_once(channel in any_channel(), raw in near_valid()) {
            let once = channel.normalize(&raw).into_owned();
            prop_assert_eq!(channel.normalize(&once), once.as_str());
        }

        #[test]
        fn a_well_formed_id_is_an_identifier_text(channel in any_channel(), id in near_valid()) {
            if channel.accepts(&id, Profile::Platform) {
                prop_assert!(super::super::is_identifier_text(&id));
            }
        }
    }
}
