//! What the top level of a file can reach: the functions that are called from it, directly or through others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rhai::{ASTNode, Expr, Stmt};

use crate::imports;

/// The functions that a file calls from its top level, its closures and the functions reached from there; those of
/// imported files too. A file that only defines functions reaches nothing.
pub(crate) fn calls(path: &Path, ast: &rhai::AST) -> BTreeSet<String> {
    let mut reached = Reached::default();
    reached.file(path, path, ast);
    reached.calls
}

#[derive(Default)]
struct Reached {
    calls: BTreeSet<String>,
    files: BTreeSet<PathBuf>,
}

impl Reached {
    fn file(&mut self, path: &Path, scenario: &Path, ast: &rhai::AST) {
        self.files.insert(path.to_owned());
        let bodies: BTreeMap<String, Names> = ast
            .shared_lib()
            .iter_script_fn_info()
            .map(|(_, _, name, _, definition)| (name.to_owned(), Names::of_function(ast, definition)))
            .collect();
        let mut top = Names::default();
        for statement in ast.statements() {
            statement.walk(&mut Vec::new(), &mut |nodes| top.see(nodes));
        }
        let mut open = vec![top];
        let mut seen = BTreeSet::new();
        while let Some(names) = open.pop() {
            for import in names.imports {
                self.import(path, scenario, &import, &names.qualified);
            }
            for call in names.calls {
                if seen.insert(call.clone())
                    && let Some(body) = bodies.get(&call)
                {
                    open.push(body.clone());
                }
                self.calls.insert(call);
            }
        }
    }

    /// Functions of a module count when any of them is called: which, only a run can tell.
    fn import(&mut self, importing: &Path, scenario: &Path, name: &str, qualified: &BTreeSet<String>) {
        let Some(file) = imports::find(Some(importing), Some(scenario), name) else {
            return;
        };
        if self.files.contains(&file) {
            return;
        }
        let Some(ast) = std::fs::read_to_string(&file)
            .ok()
            .and_then(|text| crate::language::engine().compile(text).ok())
        else {
            return;
        };
        self.file(&file, scenario, &ast);
        let functions: Vec<_> = ast
            .shared_lib()
            .iter_script_fn_info()
            .map(|(_, _, name, ..)| name.to_owned())
            .collect();
        if functions.iter().any(|function| qualified.contains(function)) {
            let mut names = Names::default();
            ast.walk(&mut |nodes| names.see(nodes));
            self.calls.extend(names.calls);
        }
    }
}

/// The names in a piece of a script.
#[derive(Clone, Default)]
struct Names {
    calls: BTreeSet<String>,
    qualified: BTreeSet<String>,
    imports: BTreeSet<String>,
}

impl Names {
    fn of_function(ast: &rhai::AST, definition: &rhai::ScriptFuncDef) -> Names {
        let mut names = Names::default();
        let only = ast.clone_functions_only_filtered(|_, _, _, name, _| name == definition.name);
        only.walk(&mut |nodes| names.see(nodes));
        names
    }

    fn see(&mut self, nodes: &[ASTNode<'_>]) -> bool {
        match nodes.last() {
            Some(
                ASTNode::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _))
                | ASTNode::Stmt(Stmt::FnCall(call, _)),
            ) => {
                if call.namespace.is_empty() {
                    self.calls.insert(call.name.to_string());
                } else {
                    self.qualified.insert(call.name.to_string());
                }
            }
            Some(ASTNode::Expr(Expr::DynamicConstant(constant, _))) => {
                if let Some(pointer) = constant.read_lock::<rhai::FnPtr>() {
                    self.calls.insert(pointer.fn_name().to_owned());
                }
            }
            Some(ASTNode::Stmt(Stmt::Import(import, _))) => {
                if let Expr::StringConstant(name, _) = &import.0 {
                    self.imports.insert(name.to_string());
                }
            }
            _ => {}
        }
        true
    }
}
