//! Channel-format checks, normal forms and the check of policies as SQL functions. Pure, except `check_channel_user_id`,
//! which reads the table of channels.

use super::{reported, Answer};
use crate::error::IdentityError;
use crate::identifier::channel::{ChannelType, Profile};
use crate::identifier::{self, placeholder, Text, TextError};
use crate::resolution::{check_value, RefusedValue};
use crate::store;
use pgrx::prelude::*;

fn profile(name: &str) -> Result<Profile, IdentityError> {
    Profile::from_name(name).ok_or(IdentityError::BadOption {
        option: "profile",
        allowed: "documented, platform",
    })
}

fn built_in(channel_type: &str) -> Result<ChannelType, IdentityError> {
    ChannelType::from_name(channel_type).ok_or(IdentityError::UnknownChannel {
        built_in_only: true,
    })
}

fn accepts(channel: ChannelType, id: &str, profile_name: &str) -> Answer<bool> {
    reported(profile(profile_name).map(|profile| channel.accepts(id, profile)))
}

#[pg_extern(sql = false)]
fn is_identifier_text(value: &str) -> bool {
    identifier::is_identifier_text(value)
}

#[pg_extern(sql = false)]
fn is_telegram_user_id(channel_user_id: &str, profile: &str) -> Answer<bool> {
    accepts(ChannelType::Telegram, channel_user_id, profile)
}

#[pg_extern(sql = false)]
fn is_viber_user_id(channel_user_id: &str, profile: &str) -> Answer<bool> {
    accepts(ChannelType::Viber, channel_user_id, profile)
}

#[pg_extern(sql = false)]
fn is_whatsapp_user_id(channel_user_id: &str, profile: &str) -> Answer<bool> {
    accepts(ChannelType::Whatsapp, channel_user_id, profile)
}

#[pg_extern(sql = false)]
fn is_facebook_user_id(channel_user_id: &str, profile: &str) -> Answer<bool> {
    accepts(ChannelType::Facebook, channel_user_id, profile)
}

#[pg_extern(sql = false)]
fn is_channel_user_id(channel_type: &str, channel_user_id: &str, profile: &str) -> Answer<bool> {
    let channel = reported(built_in(channel_type))?;
    accepts(channel, channel_user_id, profile)
}

#[pg_extern(sql = false)]
fn channel_user_id_format(channel_type: &str, channel_user_id: &str) -> Answer<&'static str> {
    reported(built_in(channel_type).map(|channel| channel.format(channel_user_id).name()))
}

#[pg_extern(sql = false)]
fn normalize_channel_user_id(channel_type: &str, channel_user_id: &str) -> String {
    match ChannelType::from_name(channel_type) {
        Some(channel) => channel.normalize(channel_user_id).into_owned(),
        None => identifier::text::trim(channel_user_id).to_owned(),
    }
}

#[pg_extern(sql = false)]
fn normalize_provided_visitor_id(provided_visitor_id: &str) -> Option<String> {
    match identifier::parse(provided_visitor_id) {
        Ok(Text::Identifier(id)) => Some(id.to_owned()),
        _ => None,
    }
}

#[pg_extern(sql = false)]
fn placeholder_key(value: &str) -> String {
    placeholder::fold(value)
}

#[pg_extern(sql = false)]
fn check_policy(policy: &str, value: &str) -> Answer<bool> {
    let checked = check_value(policy, value).map_err(|refused| match refused {
        RefusedValue::NotOneOf(option, allowed) => IdentityError::BadOption { option, allowed },
        RefusedValue::Below(option, least) => IdentityError::BadNumber { option, least },
        RefusedValue::Name(TextError::TooLong) => IdentityError::TooLong("account"),
        RefusedValue::Name(TextError::ControlCharacter) => {
            IdentityError::ControlCharacter("account")
        }
        RefusedValue::NameNotTrimmed => IdentityError::BadAccountName,
    });
    reported(checked.map(|()| true))
}

#[pg_extern(sql = false)]
fn check_channel_user_id(
    channel_type: &str,
    channel_user_id: &str,
    profile_name: &str,
) -> Answer<bool> {
    let profile = reported(profile(profile_name))?;
    match ChannelType::from_name(channel_type) {
        Some(channel) => Ok(channel.accepts(channel_user_id, profile)),
        None => reported(store::policy::check_added_channel(
            channel_type,
            channel_user_id,
        )),
    }
}
