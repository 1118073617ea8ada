//! The engine: one for all threads.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use callwright_scenario::phone::CallState;
use callwright_scenario::{Fault, context, span};
use rhai::{AST, Dynamic, Engine, FuncInfo, Module, OptimizationLevel, Scope, ScriptFuncDef, Shared, Token};

use crate::entry::{Api, Entry, Kind};
use crate::here::{Here, Outcome, into_error};
use crate::{api, imports};

/// How many operations one call of a closure, or one top level, may take.
pub(crate) const OPERATIONS: u64 = 100_000_000;

/// How deeply functions may call each other.
pub(crate) const CALL_LEVELS: usize = 64;

/// How many characters a string may have.
pub(crate) const STRING_SIZE: usize = 16 * 1024 * 1024;

/// How many elements an array or a map may have.
pub(crate) const COLLECTION_SIZE: usize = 1_000_000;

/// How often a running script looks whether it has to end, in operations.
const CHECK_EVERY: u64 = 4096;

struct Language {
    engine: Engine,
    entries: Vec<Entry>,
    /// Names of functions that the engine itself brings.
    builtin: BTreeSet<String>,
}

fn language() -> &'static Language {
    static LANGUAGE: OnceLock<Language> = OnceLock::new();
    LANGUAGE.get_or_init(build)
}

/// The engine.
pub(crate) fn engine() -> &'static Engine {
    &language().engine
}

/// Evaluates a script.
pub(crate) fn evaluate(ast: &AST) -> Outcome<Module> {
    let engine = engine();
    let mut global = engine.new_global_runtime_state();
    // Closures that stand in the first library are called without a look at the file in which they stand, so that
    // errors in them would name the file of the caller. In an empty one stands none.
    global.lib.push(Module::new().into());
    Module::eval_ast_as_new_raw(engine, &mut Scope::new(), &mut global, ast)
}

/// A function without the others of its file, to walk through its body.
pub(crate) fn alone(function: &Shared<ScriptFuncDef>) -> AST {
    let mut library = Module::new();
    library.set_script_fn(function.clone());
    AST::new([], library)
}

/// An engine that refuses variables and modules that are not defined, but for these modules; for checks only.
pub(crate) fn strict_engine(modules: &BTreeSet<String>) -> Engine {
    let mut engine = Engine::new_raw();
    grammar(&mut engine);
    engine.set_strict_variables(true);
    for name in modules.iter().map(String::as_str).chain(["State"]) {
        engine.register_static_module(name, Module::new().into());
    }
    engine
}

/// Everything that scripts can use beside what Rhai itself brings, in the order of the reference.
pub fn entries() -> &'static [Entry] {
    &language().entries
}

/// All functions that can be called by name.
pub(crate) fn function_names() -> impl Iterator<Item = &'static str> {
    let own = entries()
        .iter()
        .filter(|entry| entry.kind == Kind::Function)
        .map(|entry| entry.name.as_str());
    let builtin = language().builtin.iter().map(String::as_str);
    // Operators are functions of Rhai too, and nobody means them.
    own.chain(builtin.filter(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_')))
}

/// The functions that Rhai itself brings.
pub(crate) fn is_builtin(name: &str) -> bool {
    language().builtin.contains(name)
}

/// The constants.
pub(crate) fn constants() -> impl Iterator<Item = &'static str> {
    let own = entries()
        .iter()
        .filter(|entry| entry.kind == Kind::Constant)
        .map(|entry| entry.name.as_str());
    own.chain(["State"])
}

/// The signatures of a function.
pub(crate) fn signatures(name: &str) -> Vec<String> {
    let named = entries()
        .iter()
        .filter(|entry| entry.kind == Kind::Function && entry.name == name);
    named.map(Entry::signature).collect()
}

/// What can follow the dot after a value of a type.
pub(crate) fn members_of(kind: &str) -> impl Iterator<Item = &'static str> {
    entries_of(kind).map(|entry| entry.name.as_str())
}

/// The functions and getters of a type.
pub(crate) fn entries_of(kind: &str) -> impl Iterator<Item = &'static Entry> {
    entries().iter().filter(move |entry| {
        let first = entry.parameters.first();
        first.is_some_and(|first| first.kind.split('|').any(|one| one.trim() == kind))
    })
}

/// Whether a getter has this name, and nothing else.
pub(crate) fn is_getter(name: &str) -> bool {
    let mut named = entries().iter().filter(|entry| entry.name == name).peekable();
    named.peek().is_some() && named.all(|entry| entry.kind == Kind::Getter)
}

fn build() -> Language {
    let mut engine = Engine::new();
    engine
        .set_max_operations(OPERATIONS)
        .set_max_call_levels(CALL_LEVELS)
        .set_max_string_size(STRING_SIZE)
        .set_max_array_size(COLLECTION_SIZE)
        .set_max_map_size(COLLECTION_SIZE)
        .set_module_resolver(imports::Resolver);
    grammar(&mut engine);
    let bare = names(&engine);
    engine.on_print(|text| {
        if let Some(scene) = context::scene() {
            scene.print(text);
        }
    });
    engine.on_debug(|text, _, _| {
        if let Some(scene) = context::scene() {
            scene.print(text);
        }
    });
    engine.on_progress(|operations| {
        if !operations.is_multiple_of(CHECK_EVERY) {
            return None;
        }
        let fault = context::scene()?.check().err()?;
        Some(Dynamic::from(fault))
    });
    constants_of_the_run(&mut engine);
    states(&mut engine);
    clock(&mut engine);
    engine.register_type_with_name::<Fault>("Error");
    engine.register_fn("to_string", |fault: &mut Fault| fault.to_string());
    engine.register_fn("to_debug", |fault: &mut Fault| fault.to_string());
    let mut table = Api::new(engine);
    api::register(&mut table);
    Language {
        engine: table.engine,
        entries: table.entries,
        builtin: bare,
    }
}

/// What parses.
fn grammar(engine: &mut Engine) {
    // Without optimization every literal keeps its place, and nothing is left out of a check.
    engine
        .set_optimization_level(OptimizationLevel::None)
        .set_max_expr_depths(64, 64)
        .disable_symbol("eval");
    // `mwi.new`: Rhai keeps the word for itself, and uses it nowhere.
    #[expect(
        deprecated,
        reason = "Rhai marks it so because it is volatile, not because it will go"
    )]
    engine.on_parse_token(|token, _, _| match token {
        Token::Reserved(word) if &*word == "new" => Token::Identifier(word),
        other => other,
    });
}

fn names(engine: &Engine) -> BTreeSet<String> {
    let name = |info: FuncInfo<'_>| Some(info.metadata.name.to_string());
    let all = engine.collect_fn_metadata(None, name, true);
    let words = [
        "print",
        "debug",
        "type_of",
        "Fn",
        "call",
        "curry",
        "is_shared",
        "is_def_var",
        "is_def_fn",
    ];
    let mut names: BTreeSet<String> = all.into_iter().filter(|name| !name.contains('$')).collect();
    names.extend(words.map(str::to_owned));
    names.remove("eval");
    names
}

/// `worker`, and what `--set` gave: visible everywhere, also inside `fn`.
fn constants_of_the_run(engine: &mut Engine) {
    #[expect(
        deprecated,
        reason = "Rhai marks it so because it is volatile, not because it will go"
    )]
    engine.on_var(|name, index, _| {
        if index > 0 {
            return Ok(None);
        }
        let Some(scene) = context::scene() else {
            return Ok(None);
        };
        if name == "worker" {
            return Ok(Some(Dynamic::from(
                i64::try_from(scene.worker()).unwrap_or(i64::MAX),
            )));
        }
        let constants = &scene.run().settings().constants;
        let set = constants.iter().rev().find(|(key, _)| key == name);
        Ok(set.map(|(_, value)| Dynamic::from(value.clone())))
    });
}

/// `State::Idle` and its like.
fn states(engine: &mut Engine) {
    engine.register_type_with_name::<CallState>("State");
    engine.register_fn("==", |a: CallState, b: CallState| a == b);
    engine.register_fn("!=", |a: CallState, b: CallState| a != b);
    engine.register_fn("to_string", |state: &mut CallState| state.to_string());
    engine.register_fn("to_debug", |state: &mut CallState| state.to_string());
    let mut module = Module::new();
    for state in CallState::ALL {
        module.set_var(state.name(), Dynamic::from(state));
    }
    engine.register_static_module("State", module.into());
}

/// `sleep` and `timestamp` follow the clock of the world.
fn clock(engine: &mut Engine) {
    fn sleep(seconds: f64) -> Outcome<()> {
        let Some(scene) = context::scene() else {
            return Ok(());
        };
        let span = std::time::Duration::try_from_secs_f64(seconds.max(0.0))
            .map_err(|_| into_error(Fault::script("sleep: that is too long")))?;
        scene.sleep(span).map_err(into_error)
    }
    engine.register_fn("sleep", |seconds: i64| sleep(whole(seconds)));
    engine.register_fn("sleep", sleep);
    engine.register_fn("sleep", |text: &str| {
        let span = span::parse(text).map_err(|error| into_error(Fault::script(error.to_string())))?;
        sleep(span.as_secs_f64())
    });
    engine.register_type_with_name::<Moment>("timestamp");
    engine.register_fn(
        "timestamp",
        |context: rhai::NativeCallContext<'_>| -> Outcome<Moment> {
            let here = Here::of(&context)?;
            context::reads_without_event();
            Ok(Moment::of(here.scene.world().now()))
        },
    );
    engine.register_fn("elapsed", Moment::elapsed);
    engine.register_get("elapsed", Moment::elapsed);
    engine.register_fn("-", |a: Moment, b: Moment| a.0 - b.0);
    engine.register_fn("<", |a: Moment, b: Moment| a.0 < b.0);
    engine.register_fn("<=", |a: Moment, b: Moment| a.0 <= b.0);
    engine.register_fn(">", |a: Moment, b: Moment| a.0 > b.0);
    engine.register_fn(">=", |a: Moment, b: Moment| a.0 >= b.0);
    engine.register_fn("==", |a: Moment, b: Moment| a == b);
    engine.register_fn("!=", |a: Moment, b: Moment| a != b);
    engine.register_fn("+", |a: Moment, seconds: f64| Moment(a.0 + seconds));
    engine.register_fn("-", |a: Moment, seconds: f64| Moment(a.0 - seconds));
    engine.register_fn("+=", |a: &mut Moment, seconds: f64| a.0 += seconds);
    engine.register_fn("-=", |a: &mut Moment, seconds: f64| a.0 -= seconds);
    engine.register_fn("+", |a: Moment, seconds: i64| Moment(a.0 + whole(seconds)));
    engine.register_fn("-", |a: Moment, seconds: i64| Moment(a.0 - whole(seconds)));
    engine.register_fn("+=", |a: &mut Moment, seconds: i64| a.0 += whole(seconds));
    engine.register_fn("-=", |a: &mut Moment, seconds: i64| a.0 -= whole(seconds));
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a test are far below 2^53")]
fn whole(seconds: i64) -> f64 {
    seconds as f64
}

/// A point in the world's time, in seconds since its start: scripts reckon with points before that too.
#[derive(Clone, Copy, PartialEq)]
struct Moment(f64);

impl Moment {
    fn of(time: callwright_scenario::world::Time) -> Self {
        Moment(time.as_secs_f64())
    }

    fn elapsed(&mut self) -> f64 {
        context::reads_without_event();
        context::scene().map_or(0.0, |scene| Moment::of(scene.world().now()).0 - self.0)
    }
}
