//! The payloads as SQL functions: what bots, custom APIs, the client's page and the router get of a visitor.

use super::json::{json_result, json_text};
use super::{reported, Answer};
use crate::error::IdentityError;
use crate::identifier::text::trim;
use crate::payload::{external_user_id as by_the_routers_rule, messages};
use crate::payload::{BotMessage, Client, NewChat, Shape};
use crate::settings::effective_account;
use crate::store::payload::{chat_of_row, person};
use crate::store::spi::from_pg;
use pgrx::prelude::*;
use pgrx::AnyElement;

#[pg_extern(sql = false)]
fn visitor_payload(
    visitor_id: Option<pgrx::Uuid>,
    shape: Option<&str>,
    account: Option<&str>,
) -> Answer<AnyElement> {
    let shape = shape.map_or(Some(Shape::Bot), Shape::from_name);
    let payload = effective_account(account).and_then(|account| {
        let shape = shape.ok_or(IdentityError::BadOption {
            option: "shape",
            allowed: Shape::NAMES,
        })?;
        let person = person(&account, visitor_id.map(from_pg), None)?;
        match shape {
            Shape::Bot => json_result(&BotMessage::of(&person)),
            Shape::Client => json_result(&Client::of(&person)),
        }
    });
    reported(payload)
}

#[pg_extern(sql = false)]
fn bot_payload(
    chat: Option<AnyElement>,
    messages_of_chat: Option<AnyElement>,
) -> Answer<Option<AnyElement>> {
    let Some(row) = chat else {
        return Ok(None);
    };
    let payload = json_text(messages_of_chat).and_then(|text| {
        let messages =
            messages(text.as_deref().unwrap_or("[]")).map_err(IdentityError::MalformedMessages)?;
        let chat = chat_of_row(row.datum(), row.oid())?;
        let event = NewChat::of(&chat.chat_id, &chat.person, chat.channel.as_ref(), messages);
        json_result(&event)
    });
    reported(payload).map(Some)
}

#[pg_extern(sql = false)]
fn external_user_id(
    visitor_id: Option<pgrx::Uuid>,
    channel_type: Option<&str>,
    account: Option<&str>,
) -> Answer<Option<String>> {
    let channel_type = channel_type.map(trim).filter(|name| !name.is_empty());
    let person = effective_account(account)
        .and_then(|account| person(&account, visitor_id.map(from_pg), channel_type));
    let person = reported(person)?;
    let in_channel = person
        .channel
        .as_ref()
        .and_then(|channel| channel.channel_user_id.as_deref());
    let id = by_the_routers_rule(
        channel_type,
        person.provided_visitor_id.as_deref(),
        in_channel,
    );
    Ok(id.map(str::to_owned))
}
