//! §2.2 to §2.4: the list of contacts at the registrar.

use std::time::Duration;

use callwright_sip::Event;
use callwright_sip::command::{Addressing, OutsideRequest, Registration};
use callwright_sip::event::RegistrationState;
use callwright_sip_message::{Contact, HeaderName, Message, Method};

use crate::parties::uri;
use crate::script::{Script, header};

const CHALLENGE: &str = "WWW-Authenticate: Digest realm=\"home\", nonce=\"n1\", qop=\"auth\", algorithm=MD5";

/// Alice is registered; the REGISTER that did it.
fn registered(script: &mut Script) -> Message {
    let registration = Registration::new(script.identity);
    script.act(|node, now| node.register(now, registration, None).expect("registers"));
    let first = script.expect("REGISTER ");
    script.respond(&first, 401, "registrar", CHALLENGE, None);
    let second = script.expect("REGISTER ");
    let contact = header(&second, "Contact");
    script.respond(
        &second,
        200,
        "registrar",
        &format!("Contact: {contact};expires=3600"),
        None,
    );
    script.told(|event| matches!(event, Event::Registration { .. }).then_some(()));
    second
}

/// A REGISTER that binds nothing of this endpoint's own.
fn ask(script: &mut Script, more: Vec<(HeaderName, String)>) -> Message {
    // RFC 3261 §10.2: To is the address-of-record, the Request-URI the registrar.
    let mut headers = vec![(HeaderName::To, "<sip:alice@10.0.0.2>".to_owned())];
    headers.extend(more);
    let request = OutsideRequest {
        addressing: Addressing::default(),
        identity: script.identity,
        method: Method::Register,
        target: uri("sip:10.0.0.2"),
        body: None,
        headers,
    };
    script.act(|node, now| node.send_request(now, request, None).expect("asks"));
    script.expect("REGISTER sip:10.0.0.2 ")
}

fn answer(script: &mut Script) -> Message {
    script.told(|event| match event {
        Event::Response { message, .. } => Some(message.clone()),
        _ => None,
    })
}

#[test]
fn a_contact_is_added_to_the_list() {
    // §2.2: a mailbox beside the telephone, with the credentials that are known.
    let mut script = Script::new();
    let first = registered(&mut script);
    let mailbox = Registration {
        expires: Duration::from_secs(7200),
        headers: vec![(HeaderName::Contact, "<mailto:alice@mail.example>".to_owned())],
        ..Registration::new(script.identity)
    };
    script.act(|node, now| node.register(now, mailbox, None).expect("registers"));
    let second = script.expect("REGISTER sip:10.0.0.2 ");
    assert_eq!(header(&second, "To"), "<sip:alice@10.0.0.2>");
    assert_eq!(second.headers(HeaderName::Contact).count(), 1);
    assert_eq!(header(&second, "Contact"), "<mailto:alice@mail.example>");
    let credentials = header(&second, "Authorization");
    assert!(credentials.contains("nonce=\"n1\"") && credentials.contains("nc=00000002"));
    let telephone = header(&first, "Contact");
    let list =
        format!("Contact: {telephone};expires=3000\r\nContact: <mailto:alice@mail.example>;expires=7200");
    script.respond(&second, 200, "registrar", &list, None);
    let state = script.told(|event| match event {
        Event::Registration { state, .. } => Some(state.clone()),
        _ => None,
    });
    let RegistrationState::Registered {
        expires, bindings, ..
    } = state
    else {
        panic!("not registered: {state:?}")
    };
    assert_eq!(expires, Duration::from_secs(7200));
    let bindings: Vec<_> = bindings
        .iter()
        .map(|binding| {
            (
                binding.contact.to_string(),
                binding.expires.as_secs(),
                binding.own,
            )
        })
        .collect();
    let telephone = telephone.trim_matches(['<', '>']).to_owned();
    assert_eq!(
        bindings,
        [
            (telephone, 3000, false),
            ("mailto:alice@mail.example".to_owned(), 7200, true)
        ]
    );
}

#[test]
fn the_list_of_contacts_is_asked_for_without_changing_it() {
    // §2.3: no Contact, no Expires.
    let mut script = Script::new();
    registered(&mut script);
    let asked = ask(&mut script, vec![]);
    assert_eq!(header(&asked, "To"), "<sip:alice@10.0.0.2>");
    assert!(asked.from_tag().is_some() && asked.to_tag().is_none());
    assert!(!asked.has_header("Contact") && !asked.has_header("Expires"));
    assert!(header(&asked, "Authorization").contains("nc=00000002"));
    let list =
        "Contact: <sip:alice@10.0.0.1>;expires=3000\r\nContact: <mailto:alice@mail.example>;expires=7200";
    script.respond(&asked, 200, "registrar", list, None);
    let contacts: Vec<_> = answer(&mut script)
        .contacts()
        .filter_map(|contact| {
            let contact = contact.expect("a contact");
            let expires = contact.expires();
            Some((contact.into_address()?.uri.to_string(), expires))
        })
        .collect();
    assert_eq!(
        contacts,
        [
            ("sip:alice@10.0.0.1".to_owned(), Some(3000)),
            ("mailto:alice@mail.example".to_owned(), Some(7200))
        ]
    );
    // The binding of the registration lives on as it was.
    script.peer.expect_silence(3_239_999);
    script.peer.wait(1);
    script.expect("REGISTER ");
}

#[test]
fn every_contact_is_removed_by_a_star() {
    // §2.4.
    let mut script = Script::new();
    registered(&mut script);
    let all = vec![
        (HeaderName::Contact, "*".to_owned()),
        (HeaderName::Expires, "0".to_owned()),
    ];
    let last = ask(&mut script, all);
    let contacts: Vec<_> = last.contacts().collect();
    assert_eq!(contacts, [Ok(Contact::Star)]);
    assert_eq!(last.expires(), Ok(Some(0)));
    assert!(header(&last, "Authorization").contains("nonce=\"n1\""));
    script.respond(&last, 200, "registrar", "", None);
    let answer = answer(&mut script);
    assert_eq!((answer.status(), answer.contacts().count()), (Some(200), 0));
}
