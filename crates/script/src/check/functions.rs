//! The functions that a script defines itself.

use std::collections::BTreeMap;

use rhai::AST;

/// Functions by name: the names of the parameters of each.
pub(super) struct Functions(BTreeMap<String, Vec<Vec<String>>>);

impl Functions {
    pub(super) fn of(ast: &AST) -> Self {
        let mut functions: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
        for (_, _, name, _, definition) in ast.shared_lib().iter_script_fn_info() {
            let parameters = definition.params.iter().map(ToString::to_string);
            functions
                .entry(name.to_owned())
                .or_default()
                .push(parameters.collect());
        }
        Functions(functions)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether one takes so many arguments.
    pub(super) fn takes(&self, name: &str, given: usize) -> bool {
        self.0
            .get(name)
            .is_some_and(|all| all.iter().any(|parameters| parameters.len() == given))
    }

    /// All but closures.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.0.keys().map(String::as_str);
        names.filter(|name| !name.starts_with("anon$"))
    }

    /// `f(a, b)`, one for each function of the name.
    pub(super) fn signatures(&self, name: &str) -> Vec<String> {
        let all = self.0.get(name).into_iter().flatten();
        all.map(|parameters| format!("{name}({})", parameters.join(", ")))
            .collect()
    }
}
