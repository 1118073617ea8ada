//! The configuration of an agent: a map from keys to values.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use callwright_sip::digest::Password;
use callwright_sip_message::Uri;
use callwright_wire::Transport;

use crate::phone::{AudioCodec, DtmfMode, LocalAddress, MediaEncryption, PhoneSpec};
use crate::{Fault, Value, nearest, span};

/// A key of an agent.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it means, for the reference.
    pub meaning: &'static str,
}

const fn key(name: &'static str, meaning: &'static str) -> Key {
    Key { name, meaning }
}

/// Every key that an agent can have.
pub const KEYS: &[Key] = &[
    key("username", "The user part of the address-of-record. Required."),
    key(
        "domain",
        "The host part of the address-of-record, maybe with a port. Required.",
    ),
    key("password", "The password for authentication."),
    key(
        "auth_user",
        "The user name for authentication, when it is not `username`.",
    ),
    key("display_name", "The name in From and Contact."),
    key("transport", "`\"udp\"` (default), `\"tcp\"` or `\"tls\"`."),
    key("outbound", "The URI of an outbound proxy."),
    key("stun_server", "Not supported yet."),
    key(
        "media_enc",
        "`\"none\"` (default), `\"srtp\"` (offered), `\"srtp-mand\"` or `\"srtp-mandf\"` (required).",
    ),
    key(
        "regint",
        "Seconds between registrations, default 3600; 0 disables.",
    ),
    key("mwi", "`true` subscribes to message waiting."),
    key(
        "dtmf_mode",
        "`\"rtpevent\"` or `\"rtp\"` (RFC 4733, default); `\"info\"`; `\"auto\"`: RFC 4733, else INFO; `\"inband\"`: tones, sent and heard.",
    ),
    key(
        "headers",
        "A map of extra headers on INVITE; an array repeats the header.",
    ),
    key(
        "delayed_offer",
        "`true`: INVITE has no session description; the callee offers in its 200, and the ACK answers.",
    ),
    key("deflect_to", "Answer calls with 302 to this target."),
    key("metadata", "A free map, read back as `agent.metadata`."),
    key(
        "codecs",
        "An array, in order of preference: `\"PCMU\"`, `\"PCMA\"`.",
    ),
    key("auto_answer", "`true`, or a duration to ring first."),
    key("backend", "`\"embedded\"` (default)."),
    key("local", "The address, or `address:port`, to bind."),
    key(
        "tls_verify",
        "`false` accepts any certificate, with a warning in every report.",
    ),
];

/// Reads a configuration: the phone. The metadata is the front end's to keep.
pub(super) fn read(name: &str, config: &Value) -> Result<PhoneSpec, Fault> {
    let Value::Map(map) = config else {
        return Err(Fault::script(format!(
            "agent {name:?}: the configuration is a map, #{{ … }}, not {config}"
        )));
    };
    for key in map.keys() {
        if !KEYS.iter().any(|known| known.name == key) {
            let near = nearest::question(key, KEYS.iter().map(|key| key.name));
            return Err(Fault::script(format!(
                "agent {name:?}: unknown key `{key}`{near}"
            )));
        }
    }
    let reader = Reader { agent: name, map };
    let mut spec = PhoneSpec::new(name, &reader.required("username")?, &reader.required("domain")?);
    reader.check_address(&spec)?;
    spec.password = reader.password()?;
    spec.auth_user = reader.text("auth_user")?;
    spec.display_name = reader.text("display_name")?;
    spec.transport = reader.transport()?;
    spec.outbound = reader.outbound()?;
    spec.media_encryption = reader.media_encryption()?;
    spec.registration_interval = reader.registration_interval()?;
    spec.mwi = reader.flag("mwi")?.unwrap_or(false);
    spec.dtmf_mode = reader.dtmf_mode()?;
    spec.headers = reader.headers()?;
    spec.delayed_offer = reader.flag("delayed_offer")?.unwrap_or(false);
    spec.deflect_to = reader.deflect_to(&spec.domain)?;
    spec.codecs = reader.codecs()?;
    spec.auto_answer = reader.auto_answer()?;
    spec.local = reader.local()?;
    spec.tls_verify = reader.flag("tls_verify")?.unwrap_or(true);
    reader.refuse_what_does_not_exist_yet()?;
    match reader.given("metadata") {
        None | Some(Value::Map(_)) => Ok(spec),
        Some(other) => Err(reader.wrong("metadata", "a map", other)),
    }
}

struct Reader<'a> {
    agent: &'a str,
    map: &'a BTreeMap<String, Value>,
}

impl Reader<'_> {
    fn given(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| **value != Value::Absent)
    }

    fn fault(&self, key: &str, text: impl std::fmt::Display) -> Fault {
        Fault::script(format!("agent {:?}: `{key}`: {text}", self.agent))
    }

    fn wrong(&self, key: &str, wanted: &str, value: &Value) -> Fault {
        self.fault(key, format!("expected {wanted}, not {value}"))
    }

    fn not_yet(&self, what: &str) -> Fault {
        Fault::script(format!("agent {:?}: {what} is not supported yet", self.agent))
    }

    fn text(&self, key: &str) -> Result<Option<String>, Fault> {
        match self.given(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text.clone())),
            Some(other) => Err(self.wrong(key, "a string", other)),
        }
    }

    /// A password in another form, such as a number, is one all the same: the fault does not repeat it.
    fn password(&self) -> Result<Option<Password>, Fault> {
        match self.given("password") {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text.as_str().into())),
            Some(_) => Err(self.fault("password", "expected a string: write it in quotes")),
        }
    }

    fn flag(&self, key: &str) -> Result<Option<bool>, Fault> {
        match self.given(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.wrong(key, "true or false", other)),
        }
    }

    fn required(&self, key: &str) -> Result<String, Fault> {
        match self.text(key)? {
            Some(text) if !text.is_empty() => Ok(text),
            Some(_) => Err(self.fault(key, "is empty")),
            None => Err(Fault::script(format!(
                "agent {:?}: the key `{key}` is missing",
                self.agent
            ))),
        }
    }

    fn check_address(&self, spec: &PhoneSpec) -> Result<(), Fault> {
        let aor = spec.aor();
        let reads_back = aor
            .parse::<Uri>()
            .is_ok_and(|uri| uri.user() == Some(&spec.username));
        if reads_back {
            return Ok(());
        }
        let hint =
            "`domain` is a host, maybe with a port; special characters in `username` are written as %XX";
        Err(Fault::script(format!("agent {:?}: {aor} is no address-of-record", self.agent)).hint(hint))
    }

    fn transport(&self) -> Result<Transport, Fault> {
        match self
            .text("transport")?
            .as_deref()
            .map(str::to_lowercase)
            .as_deref()
        {
            None | Some("udp") => Ok(Transport::Udp),
            Some("tcp") => Ok(Transport::Tcp),
            Some("tls") => Ok(Transport::Tls),
            Some(socket @ ("ws" | "wss")) => Err(self.not_yet(&format!("transport {socket:?}"))),
            Some(other) => Err(self.fault(
                "transport",
                format!("{other:?} is not one of \"udp\", \"tcp\", \"tls\""),
            )),
        }
    }

    fn outbound(&self) -> Result<Option<String>, Fault> {
        let Some(text) = self.text("outbound")? else {
            return Ok(None);
        };
        let uri = if text.to_lowercase().starts_with("sip") {
            text
        } else {
            format!("sip:{text}")
        };
        match uri.parse::<Uri>() {
            Ok(parsed) if parsed.is_sip() => Ok(Some(uri)),
            _ => Err(self.fault("outbound", format!("{uri:?} is no SIP URI"))),
        }
    }

    fn media_encryption(&self) -> Result<MediaEncryption, Fault> {
        match self.text("media_enc")?.as_deref() {
            None | Some("none" | "") => Ok(MediaEncryption::None),
            Some("srtp") => Ok(MediaEncryption::Srtp),
            Some("srtp-mand") => Ok(MediaEncryption::SrtpMandatory),
            Some("srtp-mandf") => Ok(MediaEncryption::SrtpMandatoryProfile),
            Some("dtls_srtp") => Err(self.not_yet("media_enc \"dtls_srtp\"")),
            Some("zrtp") => {
                Err(self.fault("media_enc", "\"zrtp\" is not supported; use \"srtp-mand\" (SDES)"))
            }
            Some(other) => Err(self.fault(
                "media_enc",
                format!("{other:?} is not one of \"none\", \"srtp\", \"srtp-mand\", \"srtp-mandf\""),
            )),
        }
    }

    fn registration_interval(&self) -> Result<Duration, Fault> {
        match self.given("regint") {
            None => Ok(Duration::from_secs(3600)),
            Some(Value::Int(seconds)) => u32::try_from(*seconds)
                .map(|seconds| Duration::from_secs(seconds.into()))
                .map_err(|_| self.fault("regint", "seconds, 0 or more")),
            Some(other) => Err(self.wrong("regint", "whole seconds", other)),
        }
    }

    fn dtmf_mode(&self) -> Result<DtmfMode, Fault> {
        match self.text("dtmf_mode")?.as_deref() {
            None | Some("rtpevent" | "rtp") => Ok(DtmfMode::Rtp),
            Some("info") => Ok(DtmfMode::Info),
            Some("auto") => Ok(DtmfMode::Auto),
            Some("inband") => Ok(DtmfMode::Inband),
            Some(other) => Err(self.fault(
                "dtmf_mode",
                format!("{other:?} is not one of \"rtpevent\", \"rtp\", \"info\", \"auto\", \"inband\""),
            )),
        }
    }

    fn headers(&self) -> Result<Vec<(String, String)>, Fault> {
        match self.given("headers") {
            None => Ok(Vec::new()),
            Some(value) => headers(value).map_err(|error| self.fault("headers", error)),
        }
    }

    fn deflect_to(&self, domain: &str) -> Result<Option<String>, Fault> {
        self.text("deflect_to")?
            .map(|text| super::Target::Text(text).uri(domain))
            .transpose()
            .map_err(|fault| self.fault("deflect_to", fault))
    }

    fn codecs(&self) -> Result<Vec<AudioCodec>, Fault> {
        let items = match self.given("codecs") {
            None => return Ok(vec![AudioCodec::Pcmu, AudioCodec::Pcma]),
            Some(Value::Array(items)) if !items.is_empty() => items,
            Some(other) => return Err(self.wrong("codecs", "an array of names", other)),
        };
        let codec = |item: &Value| match item.text().to_uppercase().as_str() {
            "PCMU" => Ok(AudioCodec::Pcmu),
            "PCMA" => Ok(AudioCodec::Pcma),
            "OPUS" | "G722" | "G729" | "GSM" | "SPEEX" | "L16" | "ILBC" => {
                Err(self.not_yet(&format!("codec {item}")))
            }
            _ => Err(self.fault(
                "codecs",
                format!("{item} is not a codec; known are \"PCMU\" and \"PCMA\""),
            )),
        };
        items.iter().map(codec).collect()
    }

    fn auto_answer(&self) -> Result<Option<Duration>, Fault> {
        match self.given("auto_answer") {
            None | Some(Value::Bool(false)) => Ok(None),
            Some(Value::Bool(true)) => Ok(Some(Duration::ZERO)),
            Some(Value::Text(text)) => span::parse(text)
                .map(Some)
                .map_err(|error| self.fault("auto_answer", error)),
            Some(other) => Err(self.wrong("auto_answer", "true or a duration", other)),
        }
    }

    fn local(&self) -> Result<Option<LocalAddress>, Fault> {
        let Some(text) = self.text("local")? else {
            return Ok(None);
        };
        let local = match text.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(ip) => LocalAddress { ip, port: None },
            Err(_) => {
                let address: std::net::SocketAddr = text.parse().map_err(|_| {
                    self.fault("local", format!("{text:?} is no IP address, nor address:port"))
                })?;
                LocalAddress {
                    ip: address.ip(),
                    port: (address.port() != 0).then_some(address.port()),
                }
            }
        };
        // It would stand in Contact and in session descriptions, where it means "nowhere" (RFC 3264 §8.4).
        if local.ip.is_unspecified() {
            let detail =
                format!("{text:?} is no address that a peer can send to: name one address of this host");
            return Err(self.fault("local", detail));
        }
        Ok(Some(local))
    }

    fn refuse_what_does_not_exist_yet(&self) -> Result<(), Fault> {
        if self.text("stun_server")?.is_some_and(|server| !server.is_empty()) {
            return Err(self.not_yet("`stun_server`"));
        }
        match self.text("backend")?.as_deref() {
            None | Some("embedded") => Ok(()),
            Some("baresip") => Err(self.not_yet("backend \"baresip\"")),
            Some(other) => Err(self.fault("backend", format!("{other:?} is not \"embedded\""))),
        }
    }
}

/// A map of header fields; an array repeats one.
pub(crate) fn headers(value: &Value) -> Result<Vec<(String, String)>, String> {
    let Value::Map(map) = value else {
        return Err(format!("expected a map of headers, not {value}"));
    };
    let mut headers = Vec::new();
    for (name, value) in map {
        let token = |c: char| c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c);
        if name.is_empty() || !name.chars().all(token) {
            return Err(format!("{name:?} is no header name"));
        }
        let values = match value {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        for value in values {
            if *value == Value::Absent {
                return Err(format!("the value of {name} is (): nothing is there to send"));
            }
            let text = value.text();
            if text.contains(['\r', '\n', '\0']) {
                return Err(format!(
                    "the value of {name} has characters that no header can have: {text:?}"
                ));
            }
            headers.push((name.clone(), text));
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(password: Value) -> Result<PhoneSpec, Fault> {
        let text = |text: &str| Value::Text(text.to_owned());
        let entries = [
            ("username", text("alice")),
            ("domain", text("example.com")),
            ("password", password),
        ];
        let map = entries.map(|(key, value)| (key.to_owned(), value));
        read("A", &Value::Map(map.into_iter().collect()))
    }

    #[test]
    fn a_phone_does_not_show_its_password() {
        let spec = given(Value::Text("open-sesame".to_owned())).expect("an agent");
        let password = spec.password.as_ref().map(Password::reveal);
        assert_eq!(password, Some("open-sesame"));
        let shown = format!("{spec:?}");
        assert!(!shown.contains("open-sesame"), "{shown}");
    }

    #[test]
    fn a_password_that_is_no_string_is_not_repeated() {
        let fault = given(Value::Int(8_154_711)).expect_err("it is a number");
        let text = format!("{fault:?}");
        assert!(text.contains("write it in quotes"), "{text}");
        assert!(!text.contains("4711"), "{text}");
    }
}
