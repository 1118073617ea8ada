//! Closures of scripts, called later or from other tasks.

use std::collections::BTreeMap;
use std::sync::Arc;

use callwright_scenario::{Position, Scene};
use rhai::{
    ASTNode, Caches, Dynamic, Engine, EvalAltResult, EvalContext, Expr, Expression, FnPtr,
    GlobalRuntimeState, ImmutableString, NativeCallContext, Scope, ScriptFuncDef, Shared, Stmt, StmtBlock,
};

use crate::here::{Outcome, place};
use crate::language;

/// A closure with everything that it needs to be called when the function that took it has returned.
#[derive(Clone)]
pub(crate) struct Closure {
    pointer: FnPtr,
    global: GlobalRuntimeState,
    position: rhai::Position,
    definition: Option<Definition>,
}

/// How a closure is written.
#[derive(Clone)]
struct Definition {
    parameters: Vec<ImmutableString>,
    body: Arc<Expr>,
    /// The file in which it stands.
    source: Option<ImmutableString>,
}

impl Closure {
    /// Keeps a closure.
    pub(crate) fn keep(context: &NativeCallContext<'_>, pointer: &FnPtr) -> Self {
        Closure {
            pointer: pointer.clone(),
            global: context.global_runtime_state().clone(),
            position: context.call_position(),
            definition: Definition::find(context, pointer),
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

    /// Where it was handed over.
    pub(crate) fn at(&self, scene: &Scene) -> Position {
        place(scene, self.global.source(), self.position)
    }

    /// Calls it with as many of the arguments as it has parameters.
    pub(crate) fn call(&self, engine: &Engine, arguments: &[Dynamic]) -> Outcome<Dynamic> {
        let captured = self.pointer.curry();
        let wanted = self.definition.as_ref().map_or(arguments.len(), |definition| {
            definition.parameters.len() - captured.len()
        });
        let arguments = &arguments[..wanted.min(arguments.len())];
        match &self.definition {
            Some(definition) if wanted == arguments.len() => {
                let values = captured.iter().chain(arguments).cloned();
                definition.evaluate(engine, &self.global, values)
            }
            _ => {
                let context =
                    NativeCallContext::new_with_all_fields(engine, "", None, &self.global, self.position);
                self.pointer.call_raw(&context, None, arguments.to_vec())
            }
        }
    }
}

impl Definition {
    /// `None` for a native function.
    fn find(context: &NativeCallContext<'_>, pointer: &FnPtr) -> Option<Definition> {
        let captured = pointer.curry().len();
        context.namespaces().iter().rev().find_map(|library| {
            let (.., function) = library
                .iter_script_fn_info()
                .filter(|(_, _, name, ..)| *name == pointer.fn_name())
                .find(|(_, _, _, parameters, _)| *parameters >= captured)?;
            Some(Definition {
                parameters: function.params.to_vec(),
                body: Arc::new(body(function)),
                source: library.id().map(ImmutableString::from),
            })
        })
    }

    /// Evaluates the body as the engine does for a call from a script. The engine itself would forget where in the body
    /// a limit was exceeded.
    fn evaluate(
        &self,
        engine: &Engine,
        global: &GlobalRuntimeState,
        values: impl Iterator<Item = Dynamic>,
    ) -> Outcome<Dynamic> {
        let mut global = global.clone();
        global.level += 1;
        global.source.clone_from(&self.source);
        let mut scope = Scope::new();
        for (name, value) in self.parameters.iter().zip(values) {
            scope.push_dynamic(name.clone(), value);
        }
        let mut caches = Caches::new();
        let mut context = EvalContext::new(engine, &mut global, &mut caches, &mut scope, None);
        match context.eval_expression_tree(&Expression::from(&*self.body)) {
            Err(error) => match *error {
                EvalAltResult::Return(value, _) => Ok(value),
                error => Err(EvalAltResult::ErrorInFunctionCall(
                    String::new(),
                    self.source.as_deref().unwrap_or_default().to_owned(),
                    error.into(),
                    rhai::Position::NONE,
                )
                .into()),
            },
            done => done,
        }
    }
}

/// The statements of a function, as an expression.
fn body(function: &Shared<ScriptFuncDef>) -> Expr {
    let mut statements: Vec<Stmt> = Vec::new();
    language::alone(function).walk(&mut |nodes| {
        if let [ASTNode::Stmt(statement)] = nodes {
            statements.push((*statement).clone());
        }
        true
    });
    let start = function.body.start_position();
    Expr::Stmt(Box::new(StmtBlock::new(
        statements,
        start,
        function.body.end_position(),
    )))
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
