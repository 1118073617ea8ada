//! Closures of scripts, called later or from other tasks.

use std::collections::BTreeMap;

use rhai::{Dynamic, Engine, FnPtr, GlobalRuntimeState, NativeCallContext};

use crate::here::Outcome;

/// A closure with everything that it needs to be called when the function that took it has returned.
#[derive(Clone)]
pub(crate) struct Closure {
    pointer: FnPtr,
    global: GlobalRuntimeState,
    position: rhai::Position,
    source: Option<String>,
    parameters: Option<usize>,
}

impl Closure {
    /// Keeps a closure.
    pub(crate) fn keep(context: &NativeCallContext<'_>, pointer: &FnPtr) -> Self {
        Closure {
            pointer: pointer.clone(),
            global: context.global_runtime_state().clone(),
            position: context.call_position(),
            source: context.call_source().map(str::to_owned),
            parameters: parameters(context, pointer),
        }
    }

    /// The same with captured variables of its own.
    #[must_use]
    pub(crate) fn copy(&self, copier: &mut Copier) -> Closure {
        Closure {
            pointer: copier.pointer(&self.pointer),
            ..self.clone()
        }
    }

    /// Calls it with as many of the arguments as it has parameters.
    pub(crate) fn call(&self, engine: &Engine, arguments: &[Dynamic]) -> Outcome<Dynamic> {
        let count = self.parameters.unwrap_or(arguments.len()).min(arguments.len());
        let context = NativeCallContext::new_with_all_fields(
            engine,
            "",
            self.source.as_deref(),
            &self.global,
            self.position,
        );
        self.pointer.call_raw(&context, None, arguments[..count].to_vec())
    }
}

/// How many parameters a closure has beside the variables that it captured; `None` for a native function.
fn parameters(context: &NativeCallContext<'_>, pointer: &FnPtr) -> Option<usize> {
    let captured = pointer.curry().len();
    context
        .iter_namespaces()
        .flat_map(rhai::Module::iter_script_fn_info)
        .filter(|(_, _, name, ..)| *name == pointer.fn_name())
        .map(|(_, _, _, parameters, _)| parameters)
        .find(|parameters| *parameters >= captured)
        .map(|parameters| parameters - captured)
}

/// Copies values so that nothing is shared with the original, but everything that was shared among them still is.
#[derive(Default)]
pub(crate) struct Copier {
    copies: BTreeMap<usize, Dynamic>,
}

impl Copier {
    /// A copy of a closure.
    pub(crate) fn pointer(&mut self, pointer: &FnPtr) -> FnPtr {
        let mut copy = pointer.clone();
        for captured in copy.iter_curry_mut() {
            *captured = self.value(captured);
        }
        copy
    }

    /// A copy of a value. Handles, as of agents, mean the same thing as before.
    pub(crate) fn value(&mut self, value: &Dynamic) -> Dynamic {
        if value.is_shared() {
            return self.shared(value);
        }
        if let Some(items) = value.read_lock::<rhai::Array>() {
            return items
                .iter()
                .map(|item| self.value(item))
                .collect::<rhai::Array>()
                .into();
        }
        if let Some(map) = value.read_lock::<rhai::Map>() {
            let map: rhai::Map = map
                .iter()
                .map(|(key, item)| (key.clone(), self.value(item)))
                .collect();
            return map.into();
        }
        if let Some(pointer) = value.read_lock::<FnPtr>() {
            return Dynamic::from(self.pointer(&pointer));
        }
        value.clone()
    }

    fn shared(&mut self, value: &Dynamic) -> Dynamic {
        let (address, inner) = {
            let Some(guard) = value.read_lock::<Dynamic>() else {
                return value.clone();
            };
            (std::ptr::from_ref::<Dynamic>(&guard).addr(), guard.clone())
        };
        if let Some(copy) = self.copies.get(&address) {
            return copy.clone();
        }
        // The new cell is known before its content is copied: a closure may have captured itself.
        let mut copy = Dynamic::UNIT.into_shared();
        self.copies.insert(address, copy.clone());
        let content = self.value(&inner);
        if let Some(mut cell) = copy.write_lock::<Dynamic>() {
            *cell = content;
        }
        copy
    }
}
