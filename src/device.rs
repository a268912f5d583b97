//! A registration for push notifications as it is asked for: the device, the service, the token; and whose devices a
//! message goes to.
//! May touch: nothing but its arguments.
#![forbid(unsafe_code)]

use crate::identifier::{self, text, Text, TextError};
use crate::resolution::Facts;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The longest token in bytes of UTF-8. The services promise no length; theirs have a few hundred.
pub const MAX_TOKEN_BYTES: usize = 4096;

/// What a service or a token says that wants no notifications.
const NONE: &str = "none";

/// Why a registration is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// NULL, blank or, for a token, a placeholder; the argument's name.
    Missing(&'static str),
    Text(TextError, &'static str),
    TokenTooLong,
    /// Not `UUID[-section]`.
    MalformedDeviceId,
    UnknownService,
    /// A visitor_id and a provided id of two people.
    TwoPeople,
}

/// A push service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Apns,
    Fcm,
    Hpk,
    Gcm,
}

impl Service {
    /// What `service` may say, for an error.
    pub const ALLOWED: &'static str = "apns, fcm, hpk, gcm, none";

    pub fn name(self) -> &'static str {
        match self {
            Self::Apns => "apns",
            Self::Fcm => "fcm",
            Self::Hpk => "hpk",
            Self::Gcm => "gcm",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Apns, Self::Fcm, Self::Hpk, Self::Gcm]
            .into_iter()
            .find(|service| service.name() == name)
    }
}

/// The id that an SDK gave an installation of an app, `UUID[-section]`: a section makes several devices of one, for
/// several people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceId {
    install: Uuid,
    section: Option<String>,
}

impl DeviceId {
    /// Reads a device id: the UUID with or without hyphens, in any case; the section byte by byte.
    pub fn parse(raw: &str) -> Result<Self, Refusal> {
        let id = match identifier::parse(raw) {
            Ok(Text::Identifier(id)) => id,
            Ok(Text::Absent) => return Err(Refusal::Missing("device_id")),
            Ok(Text::Placeholder) => return Err(Refusal::MalformedDeviceId),
            Err(error) => return Err(Refusal::Text(error, "device_id")),
        };
        let (install, rest) = [uuid::fmt::Hyphenated::LENGTH, uuid::fmt::Simple::LENGTH]
            .into_iter()
            .find_map(|length| {
                let (head, rest) = id.split_at_checked(length)?;
                Some((Uuid::try_parse(head).ok()?, rest))
            })
            .ok_or(Refusal::MalformedDeviceId)?;
        // Where the operating system keeps its identifier back, all devices have the zero one.
        if identifier::is_no_visitor(install) {
            return Err(Refusal::MalformedDeviceId);
        }
        let section = match rest.strip_prefix('-') {
            None if rest.is_empty() => None,
            Some(section) if !section.is_empty() => Some(section.to_owned()),
            _ => return Err(Refusal::MalformedDeviceId),
        };
        let id = Self { install, section };
        // As it is written and given out, with the hyphens that it may have come without.
        if id.to_string().len() > identifier::MAX_BYTES {
            return Err(Refusal::Text(TextError::TooLong, "device_id"));
        }
        Ok(id)
    }

    /// Whether both are sections of one installation, which has one token for all of them.
    pub fn shares_installation(&self, other: &Self) -> bool {
        self.install == other.install
    }
}

impl std::fmt::Display for DeviceId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.section {
            None => write!(formatter, "{}", self.install.hyphenated()),
            Some(section) => write!(formatter, "{}-{section}", self.install.hyphenated()),
        }
    }
}

/// A device as an app knows it: the key of a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub app: String,
    pub id: DeviceId,
}

impl Device {
    /// Reads the arguments of a call; NULL is missing.
    pub fn parse(app: Option<&str>, device_id: Option<&str>) -> Result<Self, Refusal> {
        let app = text::trim(app.unwrap_or_default());
        match identifier::parse(app) {
            Ok(Text::Absent) => return Err(Refusal::Missing("app")),
            // The name of an app is no person's identifier: any text will do.
            Ok(Text::Placeholder | Text::Identifier(_)) => {}
            Err(error) => return Err(Refusal::Text(error, "app")),
        }
        Ok(Self {
            app: app.to_owned(),
            id: DeviceId::parse(device_id.unwrap_or_default())?,
        })
    }
}

/// How a device is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub service: Service,
    pub token: String,
}

impl Address {
    /// Reads the arguments of a call. None: the device wants no notifications.
    pub fn parse(service: Option<&str>, token: Option<&str>) -> Result<Option<Self>, Refusal> {
        let service = text::trim(service.unwrap_or_default());
        let token = text::trim(token.unwrap_or_default());
        if service == NONE || token.eq_ignore_ascii_case(NONE) {
            return Ok(None);
        }
        if service.is_empty() {
            return Err(Refusal::Missing("service"));
        }
        let service = Service::from_name(service).ok_or(Refusal::UnknownService)?;
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::TokenTooLong);
        }
        if token.chars().any(char::is_control) {
            return Err(Refusal::Text(TextError::ControlCharacter, "token"));
        }
        // A token that every broken client has would move from person to person.
        if matches!(
            identifier::parse(token),
            Ok(Text::Absent | Text::Placeholder)
        ) {
            return Err(Refusal::Missing("token"));
        }
        Ok(Some(Self {
            service,
            token: token.to_owned(),
        }))
    }
}

/// A number for the lock of a device, or of an address, by whatever identifies it; in the space of advisory locks. A
/// collision only makes two registrations wait for each other.
pub fn lock_key(parts: &[&str]) -> i64 {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    digest
        .finalize()
        .iter()
        .take(8)
        .fold(0_i64, |key, byte| key << 8 | i64::from(*byte))
}

/// The visitors whose devices a message to this person goes to: the visitor of the provided id, the one of the
/// visitor_id, or both, when the latter was claimed by the former. Whoever is unknown or forgotten has none.
pub fn addressees(facts: &Facts, provided_is_given: bool) -> Result<Vec<Uuid>, Refusal> {
    let visitor = facts.cookie.filter(|visitor| !visitor.forgotten);
    let Some(visitor) = visitor else {
        return Ok(facts.provided.into_iter().collect());
    };
    let one_person = match facts.provided {
        _ if !provided_is_given => true,
        Some(provided) => visitor.id == provided || visitor.claimed_by == Some(provided),
        // The provided id is nobody's yet; certainly it is not that of somebody who has another.
        None => !visitor.identified,
    };
    if !one_person {
        return Err(Refusal::TwoPeople);
    }
    let other = facts.provided.filter(|provided| *provided != visitor.id);
    Ok([Some(visitor.id), other].into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolution::Visitor;
    use proptest::prelude::*;

    const ID: &str = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";

    fn device(raw: &str) -> Result<String, Refusal> {
        DeviceId::parse(raw).map(|id| id.to_string())
    }

    #[test]
    fn the_uuid_counts_and_not_how_it_is_written_but_a_section_keeps_its_case() {
        for raw in [
            ID,
            "0A1B2C3D-4E5F-6071-8293-A4B5C6D7E8F9",
            " 0a1b2c3d4e5f60718293a4b5c6d7e8f9\n",
        ] {
            assert_eq!(device(raw), Ok(ID.to_owned()), "{raw:?}");
            let section = format!("{}-Anna-2", raw.trim());
            assert_eq!(device(&section), Ok(format!("{ID}-Anna-2")), "{raw:?}");
        }
    }

    #[test]
    fn what_is_no_uuid_with_a_section_is_refused() {
        for raw in [
            "phone",
            "0a1b2c3d",
            "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9-",
            "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9a",
            "0a1b2c3d4e5f60718293a4b5c6d7e8f9a",
            "{0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9}",
            "urn:uuid:0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
            "00000000-0000-0000-0000-000000000000",
            "00000000-0000-0000-0000-000000000000-anna",
            "ffffffffffffffffffffffffffffffff-anna",
            "undefined",
            "яяяяяяяяяяяяяяяяяяяяяяяяяяяяяяяяяяяя",
        ] {
            assert_eq!(device(raw), Err(Refusal::MalformedDeviceId), "{raw:?}");
        }
        assert_eq!(device(" \u{200b}"), Err(Refusal::Missing("device_id")));
        assert_eq!(
            device(&format!("{ID}-{}", "x".repeat(512))),
            Err(Refusal::Text(TextError::TooLong, "device_id"))
        );
        // Its length is that of the form that is kept, which must be readable again.
        let bare = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
        assert_eq!(
            device(&format!("{bare}-{}", "x".repeat(479))),
            Err(Refusal::Text(TextError::TooLong, "device_id"))
        );
        let longest = format!("{ID}-{}", "x".repeat(475));
        assert_eq!(
            device(&format!("{bare}-{}", "x".repeat(475))),
            Ok(longest.clone())
        );
        assert_eq!(device(&longest), Ok(longest.clone()));
        assert_eq!(
            device(&format!("{ID}-a\tb")),
            Err(Refusal::Text(TextError::ControlCharacter, "device_id"))
        );
    }

    #[test]
    fn sections_share_the_installation_and_two_installations_share_nothing() {
        let read = |raw: &str| DeviceId::parse(raw).unwrap();
        let anna = read(&format!("{ID}-anna"));
        assert!(anna.shares_installation(&read(ID)));
        assert!(anna.shares_installation(&read(&format!("{ID}-boris"))));
        assert!(!anna.shares_installation(&read("1a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9-anna")));
    }

    #[test]
    fn an_app_is_any_text_that_is_there() {
        let app = |app| Device::parse(app, Some(ID)).map(|device| device.app);
        assert_eq!(app(Some(" Shop ")), Ok("Shop".to_owned()));
        assert_eq!(app(Some("0")), Ok("0".to_owned()));
        assert_eq!(app(Some(" ")), Err(Refusal::Missing("app")));
        assert_eq!(app(None), Err(Refusal::Missing("app")));
        let long = "x".repeat(513);
        assert_eq!(
            app(Some(&long)),
            Err(Refusal::Text(TextError::TooLong, "app"))
        );
        assert_eq!(
            app(Some("a\u{1}b")),
            Err(Refusal::Text(TextError::ControlCharacter, "app"))
        );
    }

    #[test]
    fn none_unsubscribes_whatever_else_is_said() {
        for (service, token) in [
            (Some("fcm"), Some("none")),
            (Some("apns"), Some(" None ")),
            (None, Some("none")),
            (Some("pigeon"), Some("none")),
            (Some("none"), None),
            (Some("none"), Some("token")),
        ] {
            assert_eq!(
                Address::parse(service, token),
                Ok(None),
                "{service:?} {token:?}"
            );
        }
    }

    #[test]
    fn a_token_is_kept_as_it_came_and_a_placeholder_is_none() {
        let token = |token| Address::parse(Some("fcm"), Some(token));
        let kept = |text: &str| {
            Ok(Some(Address {
                service: Service::Fcm,
                token: text.to_owned(),
            }))
        };
        assert_eq!(token("aB:c_D-1"), kept("aB:c_D-1"));
        assert_eq!(token("aB \n"), kept("aB"));
        let longest = "x".repeat(MAX_TOKEN_BYTES);
        assert_eq!(token(&longest), kept(&longest));
        let over = "x".repeat(MAX_TOKEN_BYTES + 1);
        assert_eq!(token(&over), Err(Refusal::TokenTooLong));
        for nothing in ["", " ", "null", "(null)", "undefined", "0", "nil"] {
            assert_eq!(
                token(nothing),
                Err(Refusal::Missing("token")),
                "{nothing:?}"
            );
        }
        assert_eq!(
            token("a\u{7f}b"),
            Err(Refusal::Text(TextError::ControlCharacter, "token"))
        );
        for service in ["APNS", "pigeon"] {
            assert_eq!(
                Address::parse(Some(service), Some("x")),
                Err(Refusal::UnknownService)
            );
        }
        for missing in [None, Some(" ")] {
            assert_eq!(
                Address::parse(missing, Some("x")),
                Err(Refusal::Missing("service"))
            );
        }
        for service in Service::ALLOWED.split(", ").filter(|name| *name != NONE) {
            let address = Address::parse(Some(service), Some("x")).unwrap().unwrap();
            assert_eq!(address.service.name(), service);
        }
    }

    #[test]
    fn every_part_of_a_lock_and_its_place_count() {
        let keys = [
            lock_key(&["a", "b", "t"]),
            lock_key(&["a", "b", "u"]),
            lock_key(&["ab", "", "t"]),
            lock_key(&["", "ab", "t"]),
            lock_key(&["a", "b", "t", ""]),
        ];
        for (position, key) in keys.iter().enumerate() {
            assert!(!keys.iter().take(position).any(|other| other == key));
        }
    }

    fn visitor(id: u128, identified: bool, claimed_by: Option<u128>) -> Option<Visitor> {
        Some(Visitor {
            id: Uuid::from_u128(id),
            identified,
            claimed_by: claimed_by.map(Uuid::from_u128),
            forgotten: false,
        })
    }

    fn facts(provided: Option<u128>, cookie: Option<Visitor>) -> Facts {
        Facts {
            provided: provided.map(Uuid::from_u128),
            cookie,
            ..Facts::default()
        }
    }

    #[test]
    fn a_message_for_one_person_never_goes_to_another() {
        for (facts, given, expected) in [
            (facts(None, None), false, Ok(vec![])),
            (facts(None, None), true, Ok(vec![])),
            (facts(Some(1), None), true, Ok(vec![1])),
            (facts(None, visitor(2, false, None)), false, Ok(vec![2])),
            (facts(None, visitor(2, true, None)), false, Ok(vec![2])),
            // Nobody has the provided id: the anonymous visitor may be this person, the identified one is not.
            (facts(None, visitor(2, false, None)), true, Ok(vec![2])),
            (
                facts(None, visitor(2, true, None)),
                true,
                Err(Refusal::TwoPeople),
            ),
            (facts(Some(1), visitor(1, true, None)), true, Ok(vec![1])),
            (
                facts(Some(1), visitor(2, false, Some(1))),
                true,
                Ok(vec![2, 1]),
            ),
            (
                facts(Some(1), visitor(2, false, None)),
                true,
                Err(Refusal::TwoPeople),
            ),
            (
                facts(Some(1), visitor(2, false, Some(3))),
                true,
                Err(Refusal::TwoPeople),
            ),
            (
                facts(Some(1), visitor(2, true, None)),
                true,
                Err(Refusal::TwoPeople),
            ),
        ] {
            let expected: Result<Vec<Uuid>, Refusal> =
                expected.map(|ids| ids.into_iter().map(Uuid::from_u128).collect());
            assert_eq!(addressees(&facts, given), expected, "{facts:?}");
        }
        let mut forgotten = facts(Some(1), visitor(2, false, None));
        if let Some(visitor) = &mut forgotten.cookie {
            visitor.forgotten = true;
        }
        assert_eq!(addressees(&forgotten, true), Ok(vec![Uuid::from_u128(1)]));
        forgotten.provided = None;
        assert_eq!(addressees(&forgotten, false), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn what_is_stored_reads_as_itself(id in any::<u128>(), section in "[^\\p{Cc}\\p{Z}]{0,20}") {
            let install = Uuid::from_u128(id);
            prop_assume!(!identifier::is_no_visitor(install));
            let raw = if section.is_empty() {
                install.simple().to_string()
            } else {
                format!("{}-{section}", install.simple())
            };
            if let Ok(first) = DeviceId::parse(&raw) {
                prop_assert_eq!(DeviceId::parse(&first.to_string()), Ok(first));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(raw in any::<String>()) {
            let _ = DeviceId::parse(&raw);
            let _ = Address::parse(Some("fcm"), Some(&raw));
            let _ = Device::parse(Some(&raw), Some(&raw));
        }
    }
}
