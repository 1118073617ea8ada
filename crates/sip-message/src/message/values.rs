//! Iterators over the values of one header.

use std::borrow::Cow;

use super::{Field, Message};
use crate::grammar::Elements;
use crate::name::{HeaderName, NameId};

/// The values of all fields of one name, see [`Message::headers`].
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    message: &'a Message,
    fields: std::slice::Iter<'a, Field>,
    id: NameId,
    name: HeaderName,
}

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a Message, name: HeaderName) -> Self {
        Fields {
            message,
            fields: message.index().fields.iter(),
            id: name.id(),
            name,
        }
    }

    /// The header whose fields these are.
    pub fn name(&self) -> &HeaderName {
        &self.name
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Cow<'a, str>;

    fn next(&mut self) -> Option<Cow<'a, str>> {
        let (message, id, name) = (self.message, self.id, &self.name);
        let field = self.fields.find(|field| message.is_named(field, id, name))?;
        Some(message.value(field))
    }
}

/// The elements of all fields of one name, see [`Message::values`].
#[derive(Debug, Clone)]
pub struct Values<'a> {
    fields: Fields<'a>,
    current: Current<'a>,
}

#[derive(Debug, Clone)]
enum Current<'a> {
    /// Of a field that could be borrowed.
    Borrowed(Elements<'a>),
    /// Of a field that was folded or no UTF-8.
    Owned(std::vec::IntoIter<String>),
}

impl<'a> Values<'a> {
    pub(super) fn new(fields: Fields<'a>) -> Self {
        Values {
            fields,
            current: Current::Borrowed(Elements::of("")),
        }
    }

    /// The header whose values these are.
    pub fn name(&self) -> &HeaderName {
        &self.fields.name
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Cow<'a, str>;

    fn next(&mut self) -> Option<Cow<'a, str>> {
        loop {
            let element = match &mut self.current {
                Current::Borrowed(elements) => elements.next().map(Cow::Borrowed),
                Current::Owned(elements) => elements.next().map(Cow::Owned),
            };
            if element.is_some() {
                return element;
            }
            self.current = match self.fields.next()? {
                Cow::Borrowed(value) => Current::Borrowed(Elements::of(value)),
                Cow::Owned(value) => {
                    let elements: Vec<String> = Elements::of(&value).map(str::to_owned).collect();
                    Current::Owned(elements.into_iter())
                }
            };
        }
    }
}
