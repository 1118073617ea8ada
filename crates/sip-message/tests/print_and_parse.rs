//! What is printed parses to the same value, for values made of any text and for any text that parses.

use std::fmt::{Debug, Display};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use bytes::Bytes;
use callwright_sip_message::body::{MessageCounts, MessageSummary};
use callwright_sip_message::header::{
    Allow, AuthParams, Event, RAck, Reason, Replaces, RetryAfter, SessionExpires, SubscriptionState,
    Supported, Warning,
};
use callwright_sip_message::{
    Builder, CSeq, Challenge, Contact, Credentials, Host, Limits, MediaType, Message, Method, NameAddr,
    Params, Scheme, SyntaxError, Transport, Uri, Via,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn agrees<T>(value: &T)
where
    T: FromStr<Err = SyntaxError> + Display + PartialEq + Debug,
{
    let printed = value.to_string();
    assert_eq!(printed.parse::<T>().as_ref(), Ok(value), "printed as {printed:?}");
}

fn token() -> impl Strategy<Value = String> {
    "[A-Za-z0-9.!%*_+`'~-]{1,12}"
}

fn host() -> impl Strategy<Value = Host> {
    prop_oneof![
        "[a-z][a-z0-9-]{0,8}(\\.[a-z][a-z0-9-]{0,8}){0,2}".prop_map(|name| name.parse().expect("a host")),
        any::<Ipv4Addr>().prop_map(Host::V4),
        any::<Ipv6Addr>().prop_map(Host::V6),
    ]
}

/// Names are tokens; values any text at all.
fn params() -> impl Strategy<Value = Params> {
    vec((token(), option::of(any::<String>())), 0..4).prop_map(|pairs| {
        let mut params = Params::NONE;
        for (name, value) in pairs {
            match value {
                Some(value) => params.set(&name, value),
                None => params.set_flag(&name),
            }
        }
        params
    })
}

fn uri_params() -> impl Strategy<Value = Vec<(String, Option<String>)>> {
    vec((token(), option::of(token())), 0..3)
}

fn uri() -> impl Strategy<Value = Uri> {
    let headers = vec((any::<String>(), any::<String>()), 0..2);
    (
        any::<bool>(),
        option::of(any::<String>()),
        host(),
        option::of(any::<u16>()),
        uri_params(),
        headers,
    )
        .prop_map(|(secure, user, host, port, params, headers)| {
            let mut uri = Uri::sip(host).with_port(port);
            if secure {
                uri = uri.with_scheme(Scheme::Sips);
            }
            if let Some(user) = user {
                uri = uri.with_user(&user);
            }
            for (name, value) in params {
                uri = match value {
                    Some(value) => uri.with_param(&name, value),
                    None => uri.with_flag(&name),
                };
            }
            for (name, value) in headers {
                uri = uri.with_header(&name, &value);
            }
            uri
        })
}

fn address() -> impl Strategy<Value = NameAddr> {
    (option::of(any::<String>()), uri(), params()).prop_map(|(display, uri, params)| {
        let address = NameAddr {
            params,
            ..NameAddr::new(uri)
        };
        match display {
            Some(display) => address.with_display(&display),
            None => address,
        }
    })
}

fn auth_params() -> impl Strategy<Value = AuthParams> {
    vec((token(), any::<String>(), any::<bool>()), 1..5).prop_map(|pairs| {
        pairs
            .into_iter()
            .fold(AuthParams::default(), |params, (name, value, quoted)| {
                if quoted {
                    params.with_quoted(&name, &value)
                } else {
                    params.with_token(&name, &value)
                }
            })
    })
}

proptest! {
    #[test]
    fn a_uri_of_any_user_and_headers(uri in uri()) {
        agrees(&uri);
        prop_assert!(uri.equivalent(&uri.to_string().parse().expect("a URI")));
    }

    #[test]
    fn a_user_is_unescaped_to_what_it_was_made_of(user in any::<String>(), host in host()) {
        let uri = Uri::sip(host).with_user(&user);
        prop_assert_eq!(uri.user_unescaped().unwrap_or_default(), user);
    }

    #[test]
    fn an_address_of_any_display_name_and_parameters(address in address()) {
        agrees(&address);
        agrees(&Contact::Address(address));
    }

    #[test]
    fn a_parameter_is_unquoted_to_what_it_was_set_to(params in params(), name in token(), value in any::<String>()) {
        // A text that begins and ends as a quoted string does is taken for one.
        prop_assume!(!value.starts_with('"'));
        let mut params = params;
        params.set(&name, &value);
        let found = params.unquoted(&name);
        prop_assert_eq!(found.as_deref(), Some(value.as_str()));
        agrees(&params);
    }

    #[test]
    fn a_via(host in host(), port in option::of(any::<u16>()), branch in token(), params in params(),
             received in option::of(any::<IpAddr>()), rport in option::of(option::of(any::<u16>())), transport in token()) {
        let mut via = Via::new(Transport::from(transport.as_str()), host, port, &branch);
        for (name, value) in &params {
            match value {
                Some(value) => via.params.set(name, value),
                None => via.params.set_flag(name),
            }
        }
        if let Some(address) = received {
            via.set_received(address);
            prop_assert_eq!(via.received(), received);
        }
        if let Some(port) = rport {
            via.set_rport(port);
            prop_assert_eq!(via.rport(), rport);
        }
        agrees(&via);
    }

    #[test]
    fn numbers_and_methods(number in any::<u32>(), other in any::<u32>(), method in token()) {
        let method = Method::from(method.as_str());
        agrees(&CSeq::new(number, method.clone()));
        agrees(&RAck { rseq: number, cseq: other, method: method.clone() });
        agrees(&Allow(vec![method, Method::Invite]));
        agrees(&SessionExpires::new(number).with_refresher("uac"));
    }

    #[test]
    fn tokens_with_parameters(token in token(), params in params(), cause in any::<u16>(), text in any::<String>()) {
        agrees(&Event { package: token.as_str().into(), params: params.clone() });
        agrees(&SubscriptionState { state: token.as_str().into(), params: params.clone() });
        agrees(&MediaType { params, ..MediaType::new(&token, &token) });
        agrees(&Supported(vec![token.as_str().into(); 3]));
        let reason = Reason::new(&token, cause, &text);
        agrees(&reason);
        prop_assert_eq!(reason.cause(), Some(cause));
        let found = reason.text();
        prop_assert_eq!(found.as_deref().unwrap_or(""), text.as_str());
    }

    #[test]
    fn replaces_and_warning(call_id in "[!-:<-~]{1,20}", to in token(), from in token(), code in 100u16..1000, text in any::<String>()) {
        agrees(&Replaces::new(&call_id, &to, &from));
        agrees(&Warning { code, agent: "host.example:5060".into(), text: text.into() });
    }

    #[test]
    fn challenges_and_credentials(scheme in token(), params in auth_params(), other in auth_params()) {
        agrees(&Challenge::new(&scheme, params.clone()));
        agrees(&Credentials::new(&scheme, params.clone()));
        let both = [Challenge::new(&scheme, params), Challenge::new("Digest", other)];
        let joined = format!("{}, {}", both[0], both[1]);
        prop_assert_eq!(Challenge::parse_all(&joined), Ok(both.to_vec()));
    }

    #[test]
    fn a_message_summary(waiting in any::<bool>(), new in any::<u32>(), old in any::<u32>(), urgent in option::of(any::<(u32, u32)>())) {
        let counts = vec![("Voice-Message".into(), MessageCounts { new, old, urgent })];
        agrees(&MessageSummary { waiting, account: Some("sip:alice@example.com".into()), counts });
    }

    #[test]
    fn a_built_message_is_indexed_as_it_parses(
        headers in vec((token(), any::<String>()), 0..8), body in vec(any::<u8>(), 0..64), uri in uri(),
    ) {
        let mut builder = Builder::request(Method::Message, &uri);
        for (name, value) in &headers {
            builder = builder.header(name.as_str(), value);
        }
        let built = builder.body("application/octet-stream", body.clone()).finish();
        let parsed = Message::parse(built.raw().clone(), &Limits::default()).expect("it parses");
        prop_assert_eq!(parsed.raw(), built.raw());
        prop_assert_eq!(parsed.body(), Bytes::from(body));
        let fields = |message: &Message| message.all_headers().map(|(n, v)| (n.into_owned(), v.into_owned())).collect::<Vec<_>>();
        prop_assert_eq!(fields(&parsed), fields(&built));
    }

    #[test]
    fn retry_after_of_any_comment(seconds in any::<u32>(), comment in option::of("\\([a-z ,;']{0,9}(\\([a-z]{0,3}\\))?\\)"), params in params()) {
        agrees(&RetryAfter { seconds, comment: comment.map(Into::into), params });
    }
}
