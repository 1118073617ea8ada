//! Where a native function is called from: the scene and the place in the script.

use std::sync::Arc;

use callwright_scenario::world::Time;
use callwright_scenario::{Fault, Position, Scene, Value, context, label};
use rhai::{Dynamic, EvalAltResult, NativeCallContext};

use crate::convert::{to_dynamic, to_value};

/// What native functions of the language return.
pub(crate) type Outcome<T> = Result<T, Box<EvalAltResult>>;

/// The scene and the place of a call.
pub(crate) struct Here {
    pub(crate) scene: Arc<Scene>,
    pub(crate) at: Position,
}

impl Here {
    pub(crate) fn of(context: &NativeCallContext<'_>) -> Outcome<Here> {
        let scene = context::scene().ok_or_else(|| {
            raise(
                Fault::script("this cannot be called outside of a scenario"),
                context,
            )
        })?;
        let at = place(&scene, context.call_source(), context.call_position());
        Ok(Here { scene, at })
    }

    /// Remembers what a getter gave, so that an assertion on the same line is labelled by it.
    pub(crate) fn read(&self, label: &str, value: impl Into<Value>) -> Dynamic {
        let value = value.into();
        label::read(label, &value, &self.at);
        to_dynamic(&value)
    }

    /// The same of a value that is more than a plain one: its length and its elements are labelled by it as well.
    pub(crate) fn read_whole(&self, label: &str, value: Dynamic) -> Dynamic {
        label::read_whole(label, &to_value(&value), &self.at);
        value
    }

    /// The same for what says something of audio sent and heard since then: a generator that was late since then makes
    /// an assertion on it worthless.
    pub(crate) fn read_of_audio(&self, label: &str, value: impl Into<Value>, since: Time) -> Dynamic {
        let value = value.into();
        label::read_of_audio(label, &value, &self.at, since);
        to_dynamic(&value)
    }

    /// A fault as the engine carries it, at this place unless it has one.
    pub(crate) fn raise(&self, fault: Fault) -> Box<EvalAltResult> {
        into_error(fault.at(&self.at))
    }

    pub(crate) fn check<T>(&self, outcome: Result<T, Fault>) -> Outcome<T> {
        outcome.map_err(|fault| self.raise(fault))
    }
}

/// A place in a script.
pub(crate) fn place(scene: &Scene, source: Option<&str>, position: rhai::Position) -> Position {
    let file = source
        .filter(|source| !source.is_empty())
        .map_or_else(|| scene.file().display().to_string(), str::to_owned);
    let number = |number: Option<usize>| number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
    Position::new(file, number(position.line()), number(position.position()))
}

/// A fault as the engine carries it. One that ends the scenario cannot be caught by the script.
pub(crate) fn into_error(fault: Fault) -> Box<EvalAltResult> {
    let position = fault.parts().at.as_ref().map_or(rhai::Position::NONE, |at| {
        let number = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
        if at.line == 0 {
            rhai::Position::NONE
        } else {
            rhai::Position::new(number(at.line), number(at.column))
        }
    });
    if fault.is_final() {
        EvalAltResult::ErrorTerminated(Dynamic::from(fault), position).into()
    } else {
        EvalAltResult::ErrorRuntime(Dynamic::from(fault), position).into()
    }
}

fn raise(fault: Fault, context: &NativeCallContext<'_>) -> Box<EvalAltResult> {
    EvalAltResult::ErrorRuntime(Dynamic::from(fault), context.call_position()).into()
}
