//! What dialogs need of a message, read once.

use std::sync::Arc;

use callwright_sip_message::{CSeq, HeaderError, HeaderName, Message, NameAddr, SmolStr, Uri};

/// The header fields that every dialog looks at.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) from: NameAddr,
    pub(crate) to: NameAddr,
    pub(crate) call_id: Arc<str>,
    pub(crate) cseq: CSeq,
    /// The first Contact.
    pub(crate) contact: Option<Uri>,
    /// Record-Route from top to bottom.
    pub(crate) record_routes: Vec<Uri>,
}

impl Head {
    /// Reads them. A broken Contact or Record-Route counts as absent.
    ///
    /// # Errors
    ///
    /// When From, To, Call-ID or CSeq is missing or broken.
    pub(crate) fn of(message: &Message) -> Result<Head, HeaderError> {
        Ok(Head {
            from: message.from()?,
            to: message.to()?,
            call_id: message.call_id()?.as_str().into(),
            cseq: message.cseq()?,
            contact: message.contact().map(|contact| contact.uri),
            record_routes: message
                .record_routes()
                .filter_map(Result::ok)
                .map(|route| route.uri)
                .collect(),
        })
    }

    pub(crate) fn tag_in_to(&self) -> Arc<str> {
        self.to.tag().unwrap_or_default().into()
    }

    pub(crate) fn tag_in_from(&self) -> Arc<str> {
        self.from.tag().unwrap_or_default().into()
    }
}

/// The tag of a From or To without parsing all of it; `None` when there is none.
pub(crate) fn tag_of(message: &Message, name: HeaderName) -> Option<SmolStr> {
    let typed = |message: &Message| {
        if name == HeaderName::To {
            message.to_tag()
        } else {
            message.from_tag()
        }
    };
    let value = message.header(name.clone())?;
    // Without brackets, or with quotes after them, the grammar decides.
    let Some((_, params)) = value.rsplit_once('>').filter(|(_, params)| !params.contains('"')) else {
        return typed(message);
    };
    params.split(';').find_map(|param| {
        let (name, value) = param.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("tag")
            .then(|| SmolStr::new(value.trim()))
    })
}
