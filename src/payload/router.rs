//! The external router's rule for the id of a user (product notes, section 2.7). Pure.

use crate::identifier::channel::ChannelType;

/// By what the router knows the person who writes in a chat. `channel_type`: the chat's channel, None for the site.
/// `channel_user_id`: his latest id in that channel, or in any for a chat on the site.
///
/// For Telegram and WhatsApp it is the channel user id and nothing else; in other cases the provided id, else the channel
/// user id, or it is absent.
#[must_use]
pub fn external_user_id<'a>(
    channel_type: Option<&str>,
    provided_visitor_id: Option<&'a str>,
    channel_user_id: Option<&'a str>,
) -> Option<&'a str> {
    match channel_type.and_then(ChannelType::from_name) {
        Some(ChannelType::Telegram | ChannelType::Whatsapp) => channel_user_id,
        _ => provided_visitor_id.or(channel_user_id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_routers_rule_as_a_table() {
        let (provided, in_channel) = (Some("C-42"), Some("67854257"));
        for (channel_type, provided, in_channel, expected) in [
            (Some("telegram"), provided, in_channel, in_channel),
            (Some("telegram"), None, in_channel, in_channel),
            (Some("telegram"), provided, None, None),
            (Some("telegram"), None, None, None),
            (Some("whatsapp"), provided, in_channel, in_channel),
            (Some("whatsapp"), None, in_channel, in_channel),
            (Some("whatsapp"), provided, None, None),
            (Some("viber"), provided, in_channel, provided),
            (Some("viber"), None, in_channel, in_channel),
            (Some("viber"), provided, None, provided),
            (Some("viber"), None, None, None),
            (Some("facebook"), provided, in_channel, provided),
            (Some("avito"), provided, in_channel, provided),
            (Some("avito"), None, in_channel, in_channel),
            (None, provided, in_channel, provided),
            (None, None, in_channel, in_channel),
            (None, provided, None, provided),
            (None, None, None, None),
        ] {
            assert_eq!(
                external_user_id(channel_type, provided, in_channel),
                expected,
                "{channel_type:?} {provided:?} {in_channel:?}"
            );
        }
    }
}
