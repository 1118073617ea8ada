//! Assertions that nothing is asked of: `assert(a == b);` passes whatever `a` and `b` are.

use rhai::{ASTNode, Expr, FnCallExpr, FnPtr, Position, Shared, Stmt};

use super::{File, position};
use crate::diagnostic::Diagnostic;
use crate::language;

/// Functions that call closures and do not look at what they give.
const CALLERS: [&str; 8] = [
    "await_until",
    "parallel",
    "scenario",
    "scenario_each",
    "setup",
    "setup_file",
    "teardown",
    "teardown_file",
];

/// The assertions without a matcher whose value nobody can use.
pub(super) fn assertions(file: &File) -> Vec<Diagnostic> {
    if file.walked.functions.has("assert") {
        return Vec::new();
    }
    let mut places = Vec::new();
    block(file.ast.statements(), false, &mut places);
    let mut ignored: Vec<String> = Vec::new();
    file.ast.walk(&mut |nodes| {
        if let Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) =
            nodes.last()
            && call.namespace.is_empty()
            && CALLERS.contains(&call.name.as_str())
        {
            ignored.extend(call.args.iter().flat_map(closures));
        }
        // Blocks in expressions: `let x = { … }`.
        if let Some(ASTNode::Expr(Expr::Stmt(inner))) = nodes.last() {
            block(inner.statements(), true, &mut places);
        }
        true
    });
    for (_, _, name, _, function) in file.ast.shared_lib().iter_script_fn_info() {
        let is_used = !ignored.iter().any(|closure| closure == name);
        block(&statements(function), is_used, &mut places);
    }
    places.sort_by_key(|at| (at.line(), at.position()));
    places.dedup();
    let report = |at| {
        Diagnostic::error(
            position(&file.name, at),
            6,
            "this assertion has no matcher: it passes whatever the value is".to_owned(),
        )
        .hint("write assert(…).is_true(), or another matcher, as .equals(…)")
    };
    places.into_iter().map(report).collect()
}

fn statements(function: &Shared<rhai::ScriptFuncDef>) -> Vec<Stmt> {
    let mut statements = Vec::new();
    language::alone(function).walk(&mut |nodes| {
        if let [ASTNode::Stmt(statement)] = nodes {
            statements.push((*statement).clone());
        }
        true
    });
    statements
}

/// The names of the closures that an argument is, or that stand in an array.
fn closures(argument: &Expr) -> Vec<String> {
    match argument {
        Expr::DynamicConstant(constant, _) => constant
            .read_lock::<FnPtr>()
            .map(|pointer| pointer.fn_name().to_owned())
            .into_iter()
            .collect(),
        Expr::Array(items, _) => items.iter().flat_map(closures).collect(),
        // With captured variables: a block that ends with `curry(closure, …)`.
        Expr::Stmt(inner) => match inner.statements().last() {
            Some(Stmt::Expr(last)) => closures(last),
            Some(Stmt::FnCall(call, _)) => curried(call),
            _ => Vec::new(),
        },
        Expr::FnCall(call, _) => curried(call),
        _ => Vec::new(),
    }
}

fn curried(call: &FnCallExpr) -> Vec<String> {
    match call.args.as_slice() {
        [closure, ..] if call.name == "curry" => closures(closure),
        _ => Vec::new(),
    }
}

/// A block; the last statement is its value.
fn block(statements: &[Stmt], is_used: bool, places: &mut Vec<Position>) {
    for (number, one) in statements.iter().enumerate() {
        statement(one, is_used && number + 1 == statements.len(), places);
    }
}

fn statement(statement: &Stmt, is_used: bool, places: &mut Vec<Position>) {
    match statement {
        Stmt::FnCall(call, at) if !is_used && is_assert(call) => places.push(*at),
        Stmt::Expr(expression) if !is_used => places.extend(unmatched(expression)),
        Stmt::If(flow, _) | Stmt::TryCatch(flow, _) => {
            block(flow.body.statements(), is_used, places);
            block(flow.branch.statements(), is_used, places);
        }
        Stmt::While(flow, _) | Stmt::Do(flow, ..) => block(flow.body.statements(), false, places),
        Stmt::For(a_loop, _) => block(a_loop.2.body.statements(), false, places),
        Stmt::Block(inner) => block(inner.statements(), is_used, places),
        _ => {}
    }
}

fn is_assert(call: &FnCallExpr) -> bool {
    call.name == "assert" && call.namespace.is_empty() && call.args.len() == 1
}

/// `assert(…)`, and `assert(…).describe(…)`.
fn unmatched(expression: &Expr) -> Option<Position> {
    match expression {
        Expr::FnCall(call, at) if is_assert(call) => Some(*at),
        Expr::Dot(pair, ..) if only_described(&pair.rhs) => unmatched(&pair.lhs),
        Expr::Stmt(inner) => match inner.statements() {
            [Stmt::FnCall(call, at)] if is_assert(call) => Some(*at),
            [Stmt::Expr(expression)] => unmatched(expression),
            _ => None,
        },
        _ => None,
    }
}

fn only_described(step: &Expr) -> bool {
    match step {
        Expr::MethodCall(call, _) => call.name == "describe",
        Expr::Dot(pair, ..) => only_described(&pair.lhs) && only_described(&pair.rhs),
        _ => false,
    }
}
