//! Assertions and matchers.

use callwright_scenario::{Assertion, Fault, Matcher};
use rhai::{Array, Dynamic, NativeCallContext};

use crate::convert::to_value;
use crate::entry::{Api, Section};
use crate::here::{Here, Outcome};

/// A value under assertion, and the value as the script had it.
#[derive(Clone)]
struct Asserted {
    assertion: Assertion,
    value: Dynamic,
    /// A matcher was asked.
    is_matched: bool,
}

/// Refuses an assertion that no matcher was asked of, as the value of a closure: it would pass whatever it is about.
pub(crate) fn refuse_unmatched(value: &Dynamic) -> Result<(), Fault> {
    let is_unmatched = value
        .read_lock::<Asserted>()
        .is_some_and(|asserted| !asserted.is_matched);
    if is_unmatched {
        return Err(Fault::script(
            "the closure gives an assertion without a matcher: it passes whatever the value is",
        )
        .hint("write assert(…).is_true(), or another matcher, as .equals(…)"));
    }
    Ok(())
}

pub(super) fn register(api: &mut Api) {
    api.engine.register_type_with_name::<Asserted>("Assertion");
    api.section(Section::Assertions);
    api.add(
        "assert(value: ?) -> Assertion",
        "An assertion on a value; matchers chain: `assert(res.status).at_least(200).at_most(299)`. What a getter gave \
         labels itself, as in `Caller state`.",
        |context: NativeCallContext<'_>, value: Dynamic| -> Outcome<Asserted> {
            let here = Here::of(&context)?;
            Ok(Asserted { assertion: Assertion::new(to_value(&value), &here.at), value, is_matched: false })
        },
    );
    api.add(
        "describe(assertion: Assertion, label: string) -> Assertion",
        "Labels the assertion.",
        |asserted: &mut Asserted, label: &str| Asserted {
            assertion: asserted.assertion.clone().describe(label),
            value: asserted.value.clone(),
            is_matched: asserted.is_matched,
        },
    );
    api.add(
        "value(assertion: Assertion) -> ?",
        "The verified value: `let id = await_until(|| assert(b.header(\"X-Id\")).is_present().value());`.",
        |asserted: &mut Asserted| asserted.value.clone(),
    );
    plain(api, "is_true", "The value is `true`.", Matcher::IsTrue);
    plain(api, "is_false", "The value is `false`.", Matcher::IsFalse);
    plain(api, "is_present", "The value is not `()`.", Matcher::IsPresent);
    plain(api, "is_absent", "The value is `()`.", Matcher::IsAbsent);
    plain(
        api,
        "is_empty",
        "The string, array or map is empty.",
        Matcher::IsEmpty,
    );
    plain(
        api,
        "is_not_empty",
        "The string, array or map is not empty.",
        Matcher::IsNotEmpty,
    );
    with_value(
        api,
        "equals",
        "expected: ?",
        "The same value; a number never equals a string.",
        |value| Matcher::Equals(to_value(value)),
    );
    with_value(api, "not_equals", "unexpected: ?", "Another value.", |value| {
        Matcher::NotEquals(to_value(value))
    });
    with_value(
        api,
        "contains",
        "part: ?",
        "The value's text contains this.",
        |value| Matcher::Contains(to_value(value).text()),
    );
    with_value(
        api,
        "matches",
        "pattern: string",
        "The value's text has a match of this regular expression.",
        |value| Matcher::Matches(to_value(value).text()),
    );
    with_value(
        api,
        "starts_with",
        "start: string",
        "The value's text starts with this.",
        |value| Matcher::StartsWith(to_value(value).text()),
    );
    with_value(
        api,
        "greater_than",
        "limit: int|float",
        "More than this.",
        |value| Matcher::GreaterThan(to_value(value)),
    );
    with_value(api, "less_than", "limit: int|float", "Less than this.", |value| {
        Matcher::LessThan(to_value(value))
    });
    with_value(api, "at_least", "limit: int|float", "This or more.", |value| {
        Matcher::AtLeast(to_value(value))
    });
    with_value(api, "at_most", "limit: int|float", "This or less.", |value| {
        Matcher::AtMost(to_value(value))
    });
    api.add(
        "between(assertion: Assertion, low: int|float, high: int|float) -> Assertion",
        "From `low` to `high`, both included.",
        |context: NativeCallContext<'_>, asserted: &mut Asserted, low: Dynamic, high: Dynamic| {
            asserted.check(&context, &Matcher::Between(to_value(&low), to_value(&high)))
        },
    );
    api.add(
        "one_of(assertion: Assertion, values: array) -> Assertion",
        "One of these values.",
        |context: NativeCallContext<'_>, asserted: &mut Asserted, values: Array| {
            asserted.check(&context, &Matcher::OneOf(values.iter().map(to_value).collect()))
        },
    );
}

impl Asserted {
    fn check(&self, context: &NativeCallContext<'_>, matcher: &Matcher) -> Outcome<Asserted> {
        let here = Here::of(context)?;
        here.check(self.assertion.check(&here.scene, matcher, &here.at))?;
        Ok(Asserted {
            is_matched: true,
            ..self.clone()
        })
    }
}

fn plain(api: &mut Api, name: &str, doc: &str, matcher: Matcher) {
    let signature = format!("{name}(assertion: Assertion) -> Assertion");
    api.add(
        &signature,
        doc,
        move |context: NativeCallContext<'_>, asserted: &mut Asserted| asserted.check(&context, &matcher),
    );
}

fn with_value(api: &mut Api, name: &str, parameter: &str, doc: &str, matcher: fn(&Dynamic) -> Matcher) {
    let signature = format!("{name}(assertion: Assertion, {parameter}) -> Assertion");
    api.add(
        &signature,
        doc,
        move |context: NativeCallContext<'_>, asserted: &mut Asserted, value: Dynamic| {
            asserted.check(&context, &matcher(&value))
        },
    );
}
