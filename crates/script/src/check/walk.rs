//! What stands in a script: its calls, properties, map keys, imports.

use std::collections::{BTreeMap, BTreeSet};

use callwright_scenario::Value;
use rhai::{AST, ASTNode, Expr, FnCallExpr, Position, Stmt};

use super::functions::Functions;
use crate::convert::to_value;
use crate::entry::Kind;
use crate::language;

/// A call.
pub(super) struct Called {
    pub(super) name: String,
    pub(super) at: Position,
    /// The literals among the arguments; the object of a method call is not one of them.
    pub(super) arguments: Vec<Argument>,
    /// It stands behind a dot.
    pub(super) is_method: bool,
    /// The type of the object of a method, where it is certain.
    pub(super) object: Option<&'static str>,
    /// The variable before the dot.
    pub(super) variable: Option<String>,
    /// A closure among the arguments captures the variable before the dot.
    pub(super) races: bool,
}

/// An argument as far as it is known.
#[derive(Clone, Debug)]
pub(super) enum Argument {
    /// A literal.
    Literal(Value, Position),
    /// A map: its keys and where they stand, and the values that are literals.
    Map(Vec<(String, Position, Option<Value>)>),
    /// Anything else.
    Unknown,
}

/// A property that is read of something whose type is certain.
pub(super) struct Property {
    pub(super) name: String,
    pub(super) at: Position,
    pub(super) object: &'static str,
}

/// `import "path" as alias`.
pub(super) struct Import {
    pub(super) path: String,
    /// Empty without one.
    pub(super) alias: String,
    pub(super) at: Position,
}

/// `module::name(…)`.
pub(super) struct Qualified {
    pub(super) module: String,
    pub(super) name: String,
    pub(super) at: Position,
    pub(super) given: usize,
}

/// What stands in a script.
pub(super) struct Walked {
    pub(super) file: String,
    pub(super) functions: Functions,
    pub(super) calls: Vec<Called>,
    pub(super) properties: Vec<Property>,
    /// Keys of all maps: what looks like a method may be a closure in one.
    pub(super) keys: BTreeSet<String>,
    pub(super) imports: Vec<Import>,
    /// Calls of functions of modules.
    pub(super) qualified: Vec<Qualified>,
    /// What is read of `State`.
    pub(super) states: Vec<(String, Position)>,
    /// Names of variables and functions of which the script asks whether they are there.
    pub(super) asked: BTreeSet<String>,
    /// Keys are computed, or the path of a module is: what is in maps is not known.
    pub(super) is_open: bool,
    /// From where to where a `try` goes.
    tries: Vec<(Position, Position)>,
    kinds: BTreeMap<String, Option<&'static str>>,
}

/// What calls give whose type is certain, unless the script has a function of the name.
const RESULTS: [(&str, &str); 4] = [
    ("agent", "Agent"),
    ("mock_server", "HttpMock"),
    ("http", "HttpResponse"),
    ("assert", "Assertion"),
];

impl Walked {
    pub(super) fn new(file: &str, ast: &AST) -> Self {
        Walked {
            file: file.to_owned(),
            functions: Functions::of(ast),
            calls: Vec::new(),
            properties: Vec::new(),
            keys: BTreeSet::new(),
            imports: Vec::new(),
            qualified: Vec::new(),
            states: Vec::new(),
            asked: BTreeSet::new(),
            is_open: false,
            tries: Vec::new(),
            kinds: BTreeMap::new(),
        }
    }

    pub(super) fn walk(&mut self, ast: &AST) {
        ast.walk(&mut |nodes| {
            self.variable(nodes);
            true
        });
        // Parameters hide variables of the same name, so nothing is certain about those; captured ones are the variables.
        let captures = captures_of(ast);
        for (_, _, name, _, definition) in ast.shared_lib().iter_script_fn_info() {
            let captured = captures.get(name).copied().unwrap_or(0);
            for parameter in definition.params.iter().skip(captured) {
                self.kinds.insert(parameter.to_string(), None);
            }
        }
        let mut inside = BTreeSet::new();
        ast.walk(&mut |nodes| {
            self.node(nodes, &mut inside);
            true
        });
    }

    /// Whether a place stands in a `try`.
    pub(super) fn is_tried(&self, at: &callwright_scenario::Position) -> bool {
        let place = |at: &Position| {
            let number = |number: Option<usize>| number.and_then(|number| u32::try_from(number).ok());
            (number(at.line()), number(at.position()))
        };
        let at = (Some(at.line), Some(at.column));
        self.tries
            .iter()
            .any(|(start, end)| place(start) <= at && at < place(end))
    }

    /// `let x = agent(…)`: the type of `x`, unless the name has two meanings.
    fn variable(&mut self, nodes: &[ASTNode<'_>]) {
        match nodes.last() {
            Some(ASTNode::Stmt(Stmt::Var(variable, ..))) => {
                let kind = self.kind_of_call(&variable.1);
                let name = variable.0.name.to_string();
                self.kinds
                    .entry(name)
                    .and_modify(|known| *known = known.filter(|known| Some(*known) == kind))
                    .or_insert(kind);
            }
            Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => {
                if let Expr::Variable(variable, ..) = &assignment.1.lhs {
                    self.kinds.insert(variable.1.to_string(), None);
                }
            }
            Some(ASTNode::Stmt(Stmt::For(a_loop, _))) => {
                self.kinds.insert(a_loop.0.name.to_string(), None);
                if let Some(counter) = &a_loop.1 {
                    self.kinds.insert(counter.name.to_string(), None);
                }
            }
            Some(ASTNode::Stmt(Stmt::TryCatch(flow, _))) => {
                self.tries.push((flow.body.position(), flow.body.end_position()));
                if let Expr::Variable(variable, ..) = &flow.expr {
                    self.kinds.insert(variable.1.to_string(), None);
                }
            }
            _ => {}
        }
    }

    fn node(&mut self, nodes: &[ASTNode<'_>], inside: &mut BTreeSet<Position>) {
        match nodes.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, at)) | ASTNode::Stmt(Stmt::FnCall(call, at))) => {
                self.call(call, *at, false, None);
            }
            Some(ASTNode::Expr(Expr::MethodCall(call, at))) if !inside.contains(at) => {
                self.call(call, *at, true, None);
            }
            Some(ASTNode::Expr(Expr::Map(map, _))) => {
                self.keys
                    .extend(map.0.iter().map(|(key, _)| key.name.to_string()));
            }
            Some(ASTNode::Expr(Expr::DynamicConstant(constant, _))) => {
                if let Some(map) = constant.read_lock::<rhai::Map>() {
                    self.keys.extend(map.keys().map(ToString::to_string));
                }
            }
            Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => {
                let was_open = self.is_open;
                self.assigned(&assignment.1.lhs);
                if !may_be_closure(&assignment.1.rhs) {
                    self.is_open = was_open;
                }
            }
            Some(ASTNode::Stmt(Stmt::Import(import, _))) => {
                if let Expr::StringConstant(name, at) = &import.0 {
                    self.imports.push(Import {
                        path: name.to_string(),
                        alias: import.1.name.to_string(),
                        at: *at,
                    });
                } else {
                    self.is_open = true;
                }
            }
            Some(ASTNode::Expr(Expr::Variable(variable, _, at))) => {
                if let [module] = variable.2.path.as_slice()
                    && module.name == "State"
                {
                    self.states.push((variable.1.to_string(), *at));
                }
            }
            Some(ASTNode::Expr(Expr::Dot(pair, ..))) => {
                let object = self.kind_of(&pair.lhs);
                self.behind_dot(&pair.rhs, object, inside);
                self.on_variable(&pair.lhs, &pair.rhs);
            }
            _ => {}
        }
    }

    /// `x.f(…)`; and `x.f(|| x)`: the method borrows the variable that the closure shares.
    fn on_variable(&mut self, object: &Expr, step: &Expr) {
        let (Expr::Variable(variable, ..), Expr::MethodCall(call, at)) = (object, first(step)) else {
            return;
        };
        if !variable.2.path.is_empty() {
            return;
        }
        let name = variable.1.as_str();
        if let Some(called) = self.calls.iter_mut().rev().find(|called| called.at == *at) {
            called.races = call.args.iter().any(|argument| captures(argument, name));
            called.variable = Some(name.to_owned());
        }
    }

    /// `x.key = …` and `x["key"] = …` make a key.
    fn assigned(&mut self, target: &Expr) {
        match target {
            Expr::Dot(pair, ..) => {
                self.assigned(&pair.lhs);
                self.assigned(&pair.rhs);
            }
            Expr::Index(pair, ..) => {
                self.assigned(&pair.lhs);
                match &pair.rhs {
                    Expr::StringConstant(key, _) => {
                        self.keys.insert(key.to_string());
                    }
                    Expr::IntegerConstant(..) => {}
                    Expr::Dot(..) | Expr::Index(..) => {
                        self.is_open = true;
                        self.assigned(&pair.rhs);
                    }
                    _ => self.is_open = true,
                }
            }
            Expr::Property(property, _) => {
                self.keys.insert(property.2.to_string());
            }
            _ => {}
        }
    }

    /// What stands behind a dot, step by step, as long as the type of the object is certain.
    fn behind_dot(&mut self, step: &Expr, object: Option<&'static str>, inside: &mut BTreeSet<Position>) {
        match step {
            Expr::Dot(pair, ..) => {
                self.behind_dot(&pair.lhs, object, inside);
                let next = after(&pair.lhs, object);
                self.behind_dot(&pair.rhs, next, inside);
            }
            Expr::MethodCall(call, at) if inside.insert(*at) => self.call(call, *at, true, object),
            Expr::Property(property, at) => {
                if let Some(object) = object
                    && inside.insert(*at)
                {
                    self.properties.push(Property {
                        name: property.2.to_string(),
                        at: *at,
                        object,
                    });
                }
            }
            _ => {}
        }
    }

    fn kind_of(&self, expression: &Expr) -> Option<&'static str> {
        match expression {
            // What a module exports has nothing to do with a variable of that name here.
            Expr::Variable(variable, ..) if !variable.2.path.is_empty() => None,
            Expr::Variable(variable, ..) => self.kinds.get(variable.1.as_str()).copied().flatten(),
            other => self.kind_of_call(other),
        }
    }

    fn kind_of_call(&self, expression: &Expr) -> Option<&'static str> {
        match expression {
            Expr::FnCall(call, _) if call.namespace.is_empty() && !self.functions.has(&call.name) => RESULTS
                .iter()
                .find(|(name, _)| *name == call.name.as_str())
                .map(|(_, kind)| *kind),
            _ => None,
        }
    }

    fn call(&mut self, call: &FnCallExpr, at: Position, is_method: bool, object: Option<&'static str>) {
        if call.op_token.is_some() {
            return;
        }
        match call.namespace.path.as_slice() {
            [] => {}
            [module] => {
                self.qualified.push(Qualified {
                    module: module.name.to_string(),
                    name: call.name.to_string(),
                    at,
                    given: call.args.len(),
                });
                return;
            }
            _ => return,
        }
        if ["is_def_var", "is_def_fn"].contains(&call.name.as_str())
            && let Some(Expr::StringConstant(name, _)) = call.args.first()
        {
            self.asked.insert(name.to_string());
        }
        self.calls.push(Called {
            name: call.name.to_string(),
            at,
            arguments: call.args.iter().map(argument).collect(),
            is_method,
            object,
            variable: None,
            races: false,
        });
    }
}

/// The type of what a step gives, where it is certain.
fn after(step: &Expr, object: Option<&'static str>) -> Option<&'static str> {
    let (name, kind) = match step {
        Expr::MethodCall(call, _) => (call.name.as_str(), Kind::Function),
        Expr::Property(property, _) => (property.2.as_str(), Kind::Getter),
        _ => return None,
    };
    let mut results = language::entries_of(object?)
        .filter(|entry| entry.kind == kind && entry.name == name)
        .map(|entry| entry.returns.as_str());
    let result = results.next()?;
    // Types of Rhai itself, as `array`, have more functions than the table knows; their names are in lower case.
    let is_ours = result.starts_with(char::is_uppercase) && language::entries_of(result).next().is_some();
    (is_ours && results.all(|other| other == result)).then_some(result)
}

/// Whether an argument is a closure that captures a variable, or holds one. One that is called while the argument is
/// computed has ended before the method begins.
fn captures(argument: &Expr, name: &str) -> bool {
    match argument {
        Expr::Stmt(block) => block.iter().any(|statement| match statement {
            Stmt::Share(shared) => shared.iter().any(|(variable, _)| variable.name == name),
            _ => false,
        }),
        Expr::Array(items, _) => items.iter().any(|item| captures(item, name)),
        Expr::Map(map, _) => map.0.iter().any(|(_, value)| captures(value, name)),
        _ => false,
    }
}

/// How many variables each closure captures: they are the first of its parameters.
fn captures_of(ast: &AST) -> BTreeMap<String, usize> {
    let mut captures = BTreeMap::new();
    ast.walk(&mut |nodes| {
        if let Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) =
            nodes.last()
            && call.name == "curry"
            && let [Expr::DynamicConstant(constant, _), captured @ ..] = call.args.as_slice()
            && let Some(pointer) = constant.read_lock::<rhai::FnPtr>()
        {
            captures.insert(pointer.fn_name().to_owned(), captured.len());
        }
        true
    });
    captures
}

/// Whether a value may be something to be called.
fn may_be_closure(value: &Expr) -> bool {
    match value {
        Expr::FnCall(call, _) => call.op_token.is_none(),
        Expr::InterpolatedString(..) | Expr::And(..) | Expr::Or(..) => false,
        Expr::DynamicConstant(..) => true,
        other => other.get_literal_value(None).is_none(),
    }
}

/// The first of the steps behind a dot.
fn first(step: &Expr) -> &Expr {
    match step {
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => first(&pair.lhs),
        other => other,
    }
}

fn argument(expression: &Expr) -> Argument {
    match expression {
        Expr::Map(map, _) => Argument::Map(
            map.0
                .iter()
                .map(|(key, value)| {
                    (
                        key.name.to_string(),
                        key.pos,
                        value.get_literal_value(None).map(|value| to_value(&value)),
                    )
                })
                .collect(),
        ),
        Expr::DynamicConstant(constant, at) => match constant.read_lock::<rhai::Map>() {
            Some(map) => Argument::Map(
                map.iter()
                    .map(|(key, value)| (key.to_string(), *at, Some(to_value(value))))
                    .collect(),
            ),
            None => Argument::Unknown,
        },
        other => other.get_literal_value(None).map_or(Argument::Unknown, |value| {
            Argument::Literal(to_value(&value), other.position())
        }),
    }
}
