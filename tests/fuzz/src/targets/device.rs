//! A registration for push: the device, the service, the token, and whose devices a message goes to.

use crate::device::{addressees, lock_key, Address, Device, DeviceId, Refusal, MAX_TOKEN_BYTES};
use crate::identifier::{self, text};
use crate::resolution::{Facts, Visitor};
use crate::source::Source;
use uuid::Uuid;

pub const REACHES: &[&str] = &[
    "device",
    "refused device",
    "address",
    "refused address",
    "no notifications",
    "addressees",
    "two people",
];

const INSTALLS: [&str; 8] = [
    "877a920e-de70-8241-2656-ac1cdec7ecde",
    "877A920EDE7082412656AC1CDEC7ECDE",
    "877a920e-de70-8241-2656-ac1cdec7ecd",
    "{877a920e-de70-8241-2656-ac1cdec7ecde}",
    "urn:uuid:877a920e-de70-8241-2656-ac1cdec7ecde",
    "00000000-0000-0000-0000-000000000000",
    "ffffffffffffffffffffffffffffffff",
    "",
];

pub fn run(data: &[u8]) -> &'static str {
    let mut source = Source::new(data);
    let text = source.text();
    match source.byte() % 3 {
        0 => device(&mut source, &text),
        1 => address(&mut source, &text),
        _ => people(&mut source),
    }
}

fn device(source: &mut Source<'_>, text: &str) -> &'static str {
    let raw = match source.byte() % 4 {
        0 => text.to_owned(),
        1 => format!("{}{text}", source.pick(&INSTALLS)),
        _ => format!(" {}-{text}", source.pick(&INSTALLS)),
    };
    let app = source.maybe(Source::text);
    if let Ok(device) = Device::parse(app.as_deref(), Some(&raw)) {
        assert!(identifier::is_identifier_text(&device.app));
        assert_eq!(Ok(&device.id), DeviceId::parse(&raw).as_ref());
    }
    let Ok(id) = DeviceId::parse(&raw) else {
        return "refused device";
    };
    let written = id.to_string();
    assert_eq!(
        DeviceId::parse(&written).as_ref(),
        Ok(&id),
        "a device id does not read back"
    );
    assert!(identifier::is_identifier_text(&written));
    let other = format!("{written}-other");
    assert!(
        DeviceId::parse(&other).is_ok_and(|other| other != id && other.shares_installation(&id))
            || other.len() > 512
    );
    "device"
}

fn address(source: &mut Source<'_>, token: &str) -> &'static str {
    let service = source
        .maybe(|source| source.pick(&["apns", "fcm", " hpk ", "gcm", "none", "FCM", "", "null"]));
    let token = if source.one_in(8) {
        token.repeat(16)
    } else {
        token.to_owned()
    };
    match Address::parse(service, Some(&token)) {
        Ok(Some(address)) => {
            assert_eq!(address.token, text::trim(&token), "a token is changed");
            assert!(
                address.token.len() <= MAX_TOKEN_BYTES && !address.token.contains(char::is_control)
            );
            assert!(!address.token.is_empty());
            assert_eq!(service.map(text::trim), Some(address.service.name()));
            let again = Address::parse(Some(address.service.name()), Some(&address.token));
            assert_eq!(again, Ok(Some(address)));
            "address"
        }
        Ok(None) => "no notifications",
        Err(Refusal::TokenTooLong) => {
            assert!(text::trim(&token).len() > MAX_TOKEN_BYTES);
            "refused address"
        }
        Err(refusal) => {
            assert!(!matches!(
                refusal,
                Refusal::TwoPeople | Refusal::MalformedDeviceId
            ));
            "refused address"
        }
    }
}

fn people(source: &mut Source<'_>) -> &'static str {
    let id = |source: &mut Source<'_>| Uuid::from_u128(source.below(4) as u128 + 1);
    let (one, two) = (source.short("ab0"), source.short("ab0"));
    let (three, four) = (source.short("ab0"), source.short("ab0"));
    let same = lock_key(&[&one, &two]) == lock_key(&[&three, &four]);
    assert_eq!(
        same,
        (&one, &two) == (&three, &four),
        "two devices, one lock"
    );

    let cookie = source.maybe(|source| Visitor {
        id: id(source),
        identified: source.flag(),
        claimed_by: source.maybe(id),
        forgotten: source.byte() % 4 == 3,
    });
    let is_given = source.flag();
    let provided = if is_given { source.maybe(id) } else { None };
    let facts = Facts {
        provided,
        cookie,
        ..Facts::default()
    };
    match addressees(&facts, is_given) {
        Ok(all) => {
            assert!(all.len() <= 2 && (all.len() < 2 || all.first() != all.last()));
            for one in all {
                let of_cookie =
                    cookie.is_some_and(|visitor| visitor.id == one && !visitor.forgotten);
                assert!(
                    of_cookie || provided == Some(one),
                    "a message to somebody else"
                );
            }
            // Of two given, either is the other one's.
            if let (Some(visitor), Some(provided)) = (cookie.filter(|one| !one.forgotten), provided)
            {
                assert!(
                    visitor.id == provided || visitor.claimed_by == Some(provided),
                    "two people are one"
                );
            }
            "addressees"
        }
        Err(refusal) => {
            assert_eq!(refusal, Refusal::TwoPeople);
            assert!(is_given && cookie.is_some());
            "two people"
        }
    }
}
