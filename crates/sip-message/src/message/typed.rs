//! Typed access to headers.

use std::borrow::Cow;
use std::str::FromStr;

use super::Message;
use crate::grammar::{self, Elements};
use crate::header::{
    Allow, CSeq, CallId, Challenge, Contact, ContentType, Credentials, Event, Expires, Header, HeaderError,
    MaxForwards, MediaType, NameAddr, Reason, Shape, Via,
};
use crate::name::HeaderName;

impl Message {
    /// The header of type `T`, if there is one: of a list its first element, of a header that joins its fields all of them.
    ///
    /// # Errors
    ///
    /// When the value does not follow its grammar.
    pub fn typed<T: Header>(&self) -> Result<Option<T>, HeaderError> {
        let name = &T::NAME;
        let text = match T::SHAPE {
            Shape::Single => self.first(name),
            Shape::Elements => self.first_element(name),
            Shape::Joined => {
                let mut fields = self.headers(name);
                match (fields.next(), fields.next()) {
                    (first, None) => first,
                    _ => Some(self.headers(name).collect::<Vec<_>>().join(",").into()),
                }
            }
        };
        match text {
            Some(text) => parse(name, &text).map(Some),
            None => Ok(None),
        }
    }

    /// Every value of the header of type `T` in order; a broken one is an error among the others.
    pub fn typed_all<T: Header>(&self) -> impl Iterator<Item = Result<T, HeaderError>> {
        let elements = (T::SHAPE == Shape::Elements).then(|| self.values(T::NAME));
        let fields = (T::SHAPE != Shape::Elements).then(|| self.headers(T::NAME));
        elements
            .into_iter()
            .flatten()
            .chain(fields.into_iter().flatten())
            .map(|text| parse(&T::NAME, &text))
    }

    /// Every address of a header that is a list of them: `Route`, `P-Asserted-Identity`, …
    pub fn addresses(
        &self,
        name: impl Into<HeaderName>,
    ) -> impl Iterator<Item = Result<NameAddr, HeaderError>> {
        let values = self.values(name);
        let name = values.name().clone();
        values.map(move |text| parse(&name, &text))
    }

    /// The topmost Via.
    pub fn via(&self) -> Result<Via, HeaderError> {
        self.required()
    }

    /// Every Via, topmost first.
    pub fn vias(&self) -> impl Iterator<Item = Result<Via, HeaderError>> {
        self.typed_all()
    }

    /// From.
    pub fn from(&self) -> Result<NameAddr, HeaderError> {
        self.required_value(HeaderName::From)
    }

    /// To.
    pub fn to(&self) -> Result<NameAddr, HeaderError> {
        self.required_value(HeaderName::To)
    }

    /// The tag of From; `None` when there is none or From is malformed.
    #[expect(clippy::wrong_self_convention, reason = "From is the header")]
    pub fn from_tag(&self) -> Option<smol_str::SmolStr> {
        self.from().ok()?.tag().map(smol_str::SmolStr::new)
    }

    /// The tag of To; `None` when there is none or To is malformed.
    pub fn to_tag(&self) -> Option<smol_str::SmolStr> {
        self.to().ok()?.tag().map(smol_str::SmolStr::new)
    }

    /// Call-ID.
    pub fn call_id(&self) -> Result<CallId, HeaderError> {
        self.required()
    }

    /// CSeq.
    pub fn cseq(&self) -> Result<CSeq, HeaderError> {
        self.required()
    }

    /// Every Contact.
    pub fn contacts(&self) -> impl Iterator<Item = Result<Contact, HeaderError>> {
        self.typed_all()
    }

    /// The first Contact, if it is an address.
    pub fn contact(&self) -> Option<NameAddr> {
        self.contacts().next()?.ok()?.into_address()
    }

    /// Every Route in order.
    pub fn routes(&self) -> impl Iterator<Item = Result<NameAddr, HeaderError>> {
        self.addresses(HeaderName::Route)
    }

    /// Every Record-Route in order.
    pub fn record_routes(&self) -> impl Iterator<Item = Result<NameAddr, HeaderError>> {
        self.addresses(HeaderName::RecordRoute)
    }

    /// Max-Forwards.
    pub fn max_forwards(&self) -> Result<Option<u8>, HeaderError> {
        Ok(self.typed::<MaxForwards>()?.map(|max| max.0))
    }

    /// Expires, seconds.
    pub fn expires(&self) -> Result<Option<u32>, HeaderError> {
        Ok(self.typed::<Expires>()?.map(|expires| expires.0))
    }

    /// Content-Type.
    pub fn content_type(&self) -> Result<Option<MediaType>, HeaderError> {
        Ok(self.typed::<ContentType>()?.map(|kind| kind.0))
    }

    /// Whether the body has this media type (`application/sdp`), whatever its parameters.
    pub fn has_content_type(&self, essence: &str) -> bool {
        matches!(self.content_type(), Ok(Some(kind)) if kind.is(essence))
    }

    /// The methods of Allow; `None` when there is no readable Allow.
    pub fn allow(&self) -> Option<Allow> {
        self.typed().ok().flatten()
    }

    /// Whether Supported has the option tag.
    pub fn supports(&self, option: &str) -> bool {
        self.lists(HeaderName::Supported, option)
    }

    /// Whether Require has the option tag.
    pub fn requires(&self, option: &str) -> bool {
        self.lists(HeaderName::Require, option)
    }

    /// Event.
    pub fn event(&self) -> Result<Option<Event>, HeaderError> {
        self.typed()
    }

    /// Every Reason (RFC 3326).
    pub fn reasons(&self) -> impl Iterator<Item = Result<Reason, HeaderError>> {
        self.typed_all()
    }

    /// Every challenge of `WwwAuthenticate` or `ProxyAuthenticate`, over all fields and several in one field.
    pub fn challenges(&self, name: impl Into<HeaderName>) -> Vec<Result<Challenge, HeaderError>> {
        self.schemes(name.into(), Challenge::parse_all)
    }

    /// Every credentials of `Authorization` or `ProxyAuthorization`.
    pub fn credentials(&self, name: impl Into<HeaderName>) -> Vec<Result<Credentials, HeaderError>> {
        self.schemes(name.into(), Credentials::parse_all)
    }

    fn schemes<T>(
        &self,
        name: HeaderName,
        parse_all: impl Fn(&str) -> Result<Vec<T>, crate::SyntaxError>,
    ) -> Vec<Result<T, HeaderError>> {
        let mut schemes = Vec::new();
        for field in self.headers(name.clone()) {
            match parse_all(&field) {
                Ok(parsed) => schemes.extend(parsed.into_iter().map(Ok)),
                Err(error) => schemes.push(Err(HeaderError::Malformed {
                    name: name.clone(),
                    error,
                })),
            }
        }
        schemes
    }

    /// Whether a list of tokens has one of them, in any case. A list with anything but tokens in it has none.
    fn lists(&self, name: HeaderName, token: &str) -> bool {
        let mut found = false;
        for element in self.values(name) {
            if !grammar::is_token(&element) {
                return false;
            }
            found |= element.eq_ignore_ascii_case(token);
        }
        found
    }

    fn first_element(&self, name: &HeaderName) -> Option<Cow<'_, str>> {
        if let Some(Cow::Borrowed(value)) = self.first(name)
            && let Some(element) = Elements::of(value).next()
        {
            return Some(Cow::Borrowed(element));
        }
        self.values(name).next()
    }

    fn required<T: Header>(&self) -> Result<T, HeaderError> {
        self.typed()?.ok_or(HeaderError::Missing { name: T::NAME })
    }

    fn required_value<T: FromStr<Err = crate::SyntaxError>>(
        &self,
        name: HeaderName,
    ) -> Result<T, HeaderError> {
        match self.first(&name) {
            Some(text) => parse(&name, &text),
            None => Err(HeaderError::Missing { name }),
        }
    }
}

fn parse<T: FromStr<Err = crate::SyntaxError>>(name: &HeaderName, text: &str) -> Result<T, HeaderError> {
    text.parse().map_err(|error| HeaderError::Malformed {
        name: name.clone(),
        error,
    })
}
