//! What the top level of a file can reach: the functions that are called from it, directly or through others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rhai::{ASTNode, Expr, Stmt};

use crate::{imports, source};

/// The functions that a file calls from its top level, its closures and the functions reached from there; those of
/// imported files too. A file that only defines functions reaches nothing.
pub(crate) fn calls(path: &Path, ast: &rhai::AST) -> BTreeSet<String> {
    let mut reached = Reached {
        scenario: path.to_owned(),
        ..Reached::default()
    };
    reached.files.insert(path.to_owned(), File::of(ast));
    reached.open(path, TOP);
    reached.follow();
    reached.calls
}

/// Those of `libraries` that none of `scenarios` imports, directly or through others.
pub fn unused(scenarios: &[PathBuf], libraries: &[PathBuf]) -> Vec<PathBuf> {
    let known = |path: &PathBuf| std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    let used: BTreeSet<PathBuf> = scenarios
        .iter()
        .flat_map(|file| imported(file))
        .map(|file| known(&file))
        .collect();
    libraries
        .iter()
        .filter(|library| !used.contains(&known(library)))
        .cloned()
        .collect()
}

/// The files that a file imports, and those that they import.
pub(crate) fn imported(path: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![path.to_owned()];
    while let Some(file) = open.pop() {
        let Some(ast) = compiled(&file) else {
            continue;
        };
        let mut names = Names::default();
        ast.walk(&mut |nodes| names.see(nodes));
        for name in names.imports {
            if let Some(import) = imports::find(Some(&file), Some(path), &name)
                && found.insert(import.clone())
            {
                open.push(import);
            }
        }
    }
    found
}

fn compiled(path: &Path) -> Option<rhai::AST> {
    let text = source(path).ok()?;
    crate::language::engine().compile(text).ok()
}

/// The name of what stands outside of all functions.
const TOP: &str = "";

#[derive(Default)]
struct Reached {
    scenario: PathBuf,
    calls: BTreeSet<String>,
    files: BTreeMap<PathBuf, File>,
    /// Bodies that were reached, and those among them that were not looked at.
    seen: BTreeSet<(PathBuf, String)>,
    open: Vec<(PathBuf, String)>,
}

/// A file, and what its reached bodies name.
#[derive(Default)]
struct File {
    bodies: BTreeMap<String, Names>,
    imports: BTreeSet<PathBuf>,
    qualified: BTreeSet<String>,
}

impl File {
    fn of(ast: &rhai::AST) -> Self {
        let mut bodies: BTreeMap<String, Names> = BTreeMap::new();
        for (_, _, name, _, definition) in ast.shared_lib().iter_script_fn_info() {
            // Functions of one name differ in the number of their parameters: a call may mean any.
            bodies
                .entry(name.to_owned())
                .or_default()
                .add(Names::of_function(definition));
        }
        let mut top = Names::default();
        for statement in ast.statements() {
            statement.walk(&mut Vec::new(), &mut |nodes| top.see(nodes));
        }
        bodies.insert(TOP.to_owned(), top);
        File {
            bodies,
            ..File::default()
        }
    }
}

impl Reached {
    fn open(&mut self, path: &Path, body: &str) {
        let exists = self
            .files
            .get(path)
            .is_some_and(|file| file.bodies.contains_key(body));
        let body = (path.to_owned(), body.to_owned());
        if exists && self.seen.insert(body.clone()) {
            self.open.push(body);
        }
    }

    fn follow(&mut self) {
        while let Some((path, body)) = self.open.pop() {
            let Some(names) = self.files.get(&path).and_then(|file| file.bodies.get(&body)) else {
                continue;
            };
            let names = names.clone();
            for call in names.calls {
                self.open(&path, &call);
                self.calls.insert(call);
            }
            for import in &names.imports {
                self.import(&path, import);
            }
            // What stands before the call and what is imported may be in different bodies: each name that is called
            // of any module is looked for in all that were imported.
            let Some(file) = self.files.get_mut(&path) else {
                continue;
            };
            file.qualified.extend(names.qualified);
            let (imports, qualified) = (file.imports.clone(), file.qualified.clone());
            for import in &imports {
                for name in &qualified {
                    self.open(import, name);
                }
            }
        }
    }

    fn import(&mut self, importing: &Path, name: &str) {
        let Some(path) = imports::find(Some(importing), Some(&self.scenario), name) else {
            return;
        };
        if !self.files.contains_key(&path) {
            let Some(ast) = compiled(&path) else {
                return;
            };
            self.files.insert(path.clone(), File::of(&ast));
        }
        self.open(&path, TOP);
        if let Some(file) = self.files.get_mut(importing) {
            file.imports.insert(path);
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
    fn of_function(definition: &rhai::Shared<rhai::ScriptFuncDef>) -> Names {
        let mut names = Names::default();
        crate::language::alone(definition).walk(&mut |nodes| names.see(nodes));
        names
    }

    fn add(&mut self, other: Names) {
        self.calls.extend(other.calls);
        self.qualified.extend(other.qualified);
        self.imports.extend(other.imports);
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
                // `Fn("name")`
                if call.name == "Fn"
                    && let [Expr::StringConstant(name, _)] = call.args.as_slice()
                {
                    self.calls.insert(name.to_string());
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
            Some(ASTNode::Stmt(Stmt::Return(Some(_), flags, _))) if flags.contains(rhai::ASTFlags::BREAK) => {
                self.calls.insert("throw".to_owned());
            }
            _ => {}
        }
        true
    }
}
