//! What stands in a script: its calls, properties, map keys, imports.

use std::collections::{BTreeMap, BTreeSet};

use callwright_scenario::Value;
use rhai::{AST, ASTNode, Expr, FnCallExpr, Position, Stmt};

use super::functions::Functions;
use crate::convert::to_value;

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
    /// The variable before the dot, when a closure among the arguments captures it.
    pub(super) races: Option<String>,
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
    kinds: BTreeMap<String, Option<&'static str>>,
}

/// What calls give whose type is certain.
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
            kinds: BTreeMap::new(),
        }
    }

    pub(super) fn walk(&mut self, ast: &AST) {
        ast.walk(&mut |nodes| {
            self.variable(nodes);
            true
        });
        // Parameters hide variables of the same name, so nothing is certain about those.
        for (_, _, _, _, definition) in ast.shared_lib().iter_script_fn_info() {
            let captured = definition.name.starts_with("anon$");
            for parameter in &definition.params {
                if !captured {
                    self.kinds.insert(parameter.to_string(), None);
                }
            }
        }
        let mut inside = BTreeSet::new();
        ast.walk(&mut |nodes| {
            self.node(nodes, &mut inside);
            true
        });
    }

    /// `let x = agent(…)`: the type of `x`, unless the name has two meanings.
    fn variable(&mut self, nodes: &[ASTNode<'_>]) {
        match nodes.last() {
            Some(ASTNode::Stmt(Stmt::Var(variable, ..))) => {
                let kind = kind_of_call(&variable.1);
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
            Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => self.assigned(&assignment.1.lhs),
            Some(ASTNode::Stmt(Stmt::Import(import, _))) => {
                if let Expr::StringConstant(name, at) = &import.0 {
                    self.imports.push(Import {
                        path: name.to_string(),
                        alias: import.1.name.to_string(),
                        at: *at,
                    });
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
                self.race(&pair.lhs, &pair.rhs);
            }
            _ => {}
        }
    }

    /// `x.f(|| x)`: the method borrows the variable that the closure shares.
    fn race(&mut self, object: &Expr, step: &Expr) {
        let (Expr::Variable(variable, ..), Expr::MethodCall(call, at)) = (object, step) else {
            return;
        };
        let name = variable.1.as_str();
        if call.args.iter().any(|argument| captures(argument, name))
            && let Some(called) = self.calls.iter_mut().rev().find(|called| called.at == *at)
        {
            called.races = Some(name.to_owned());
        }
    }

    /// `x.key = …` makes a key.
    fn assigned(&mut self, target: &Expr) {
        if let Expr::Dot(pair, ..) = target {
            self.assigned(&pair.rhs);
            if let Expr::Property(property, _) = &pair.rhs {
                self.keys.insert(property.2.to_string());
            }
        } else if let Expr::Property(property, _) = target {
            self.keys.insert(property.2.to_string());
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
            Expr::Variable(variable, ..) => self.kinds.get(variable.1.as_str()).copied().flatten(),
            other => kind_of_call(other),
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
        self.calls.push(Called {
            name: call.name.to_string(),
            at,
            arguments: call.args.iter().map(argument).collect(),
            is_method,
            object,
            races: None,
        });
    }
}

/// The type of what a step gives, where it is certain: matchers chain.
fn after(step: &Expr, object: Option<&'static str>) -> Option<&'static str> {
    match (step, object) {
        (Expr::MethodCall(call, _), Some("Assertion")) if call.name != "value" => Some("Assertion"),
        _ => None,
    }
}

/// Whether a closure in an expression captures a variable.
fn captures(expression: &Expr, name: &str) -> bool {
    let mut found = false;
    expression.walk(&mut Vec::new(), &mut |nodes| {
        if let Some(ASTNode::Stmt(Stmt::Share(shared))) = nodes.last() {
            found |= shared.iter().any(|(variable, _)| variable.name == name);
        }
        !found
    });
    found
}

fn kind_of_call(expression: &Expr) -> Option<&'static str> {
    let Expr::FnCall(call, _) = expression else {
        return None;
    };
    RESULTS
        .iter()
        .find(|(name, _)| *name == call.name.as_str())
        .map(|(_, kind)| *kind)
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
