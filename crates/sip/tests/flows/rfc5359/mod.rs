//! RFC 5359: the services. Our endpoints play the user agents, and the tests the proxies and servers.
//!
//! | section | service | where |
//! | --- | --- | --- |
//! | 2.1 to 2.3 | hold, consultation hold, music on hold | `hold` |
//! | 2.4 to 2.6 | transfer: unattended, attended, by an instant message | `transfer` |
//! | 2.7 to 2.9 | forwarding: unconditional, busy, no answer | `forwarding` |
//! | 2.10, 2.11 | three in a conference: added, joined | `conference` |
//! | 2.12 | find-me | `forwarding`, for to the caller it is forwarding without 181 |
//! | 2.13, 2.14 | screening of incoming and outgoing calls | `screening` |
//! | 2.15 | call park | `park` |
//! | 2.16, 2.17 | pickup, automatic redial | `monitoring` |
//! | 2.18 | click to dial | `dialing` |
//!
//! What is left out of them:
//!
//! - The notifier of the event package `dialog` (§2.11, §2.15 to §2.17): an endpoint subscribes and notifies of nothing but
//!   REFER, so those who are asked for their dialogs are played by the tests.
//! - The focus that mixes (§2.10, §2.11): what it does to media is above an endpoint, which only says `isfocus`.
//! - TLS and `sips` of the figures: transport is tested with the transports.

mod conference;
mod dialing;
mod forwarding;
mod hold;
mod monitoring;
mod park;
mod screening;
mod transfer;

use callwright_sip::EndpointConfig;
use callwright_sip::command::Replaces;
use callwright_sip_message::Message;

use crate::parties::World;
use crate::strangers::Stranger;

/// The type of what a `dialog` NOTIFY carries (RFC 4235).
const DIALOG_INFO: &str = "application/dialog-info+xml";

/// The dialog of a caller as its Replaces says it, from a message with both tags that the caller sent as a request or got as a
/// response.
fn dialog_of_caller(message: &Message, early_only: bool) -> Replaces {
    Replaces {
        call_id: message.call_id().expect("Call-ID").to_string(),
        to_tag: message.from_tag().expect("a tag").to_string(),
        from_tag: message.to_tag().expect("a tag").to_string(),
        early_only,
    }
}

/// A body of the package `dialog` with one dialog, as the notifier sees it.
fn dialog_info(replaces: &Replaces, state: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" state=\"full\" \
         entity=\"sip:bob@10.0.0.2\"><dialog id=\"1\" call-id=\"{}\" local-tag=\"{}\" remote-tag=\"{}\">\
         <state>{state}</state></dialog></dialog-info>",
        replaces.call_id, replaces.from_tag, replaces.to_tag
    )
}

/// What to replace, or join, read out of such a body: the notifier's local tag is the other side's remote one.
fn read_dialog_info(notify: &Message, early_only: bool) -> Replaces {
    let body = String::from_utf8(notify.body().to_vec()).expect("XML");
    let value = |name: &str| {
        let (_, rest) = body.split_once(&format!(" {name}=\"")).expect("an attribute");
        rest.split_once('"').expect("its end").0.to_owned()
    };
    Replaces {
        call_id: value("call-id"),
        to_tag: value("remote-tag"),
        from_tag: value("local-tag"),
        early_only,
    }
}

/// An endpoint that understands the bodies of the package `dialog`.
fn monitor() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.accept.push(DIALOG_INFO.to_owned());
    config
}

/// A notifier answers a SUBSCRIBE and tells the state of its dialogs; `end` is the value of Subscription-State.
fn notify(world: &mut World, notifier: Stranger, subscribe: &Message, cseq: u32, end: &str, body: &str) {
    let more = format!(
        "{}Event: dialog\r\nSubscription-State: {end}\r\n",
        notifier.contact()
    );
    let body = Some((DIALOG_INFO, body)).filter(|(_, body)| !body.is_empty());
    notifier.continues(world, subscribe, "NOTIFY", cseq, &more, body);
    let ok = notifier.takes(world, "SIP/2.0 200");
    assert_eq!(ok.cseq().expect("CSeq").number, cseq);
}
