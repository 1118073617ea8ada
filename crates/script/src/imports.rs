//! `import`: relative to the importing file, else to the scenario's folder.

use std::path::{Path, PathBuf};

use callwright_scenario::context;
use rhai::{Engine, EvalAltResult, Module, ModuleResolver, Position, Shared};

use crate::here::into_error;
use crate::language;

/// Finds and evaluates modules, anew for each import: a module's variables belong to the scenario that imports it.
pub(crate) struct Resolver;

impl ModuleResolver for Resolver {
    fn resolve(
        &self,
        engine: &Engine,
        source: Option<&str>,
        path: &str,
        position: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let scenario = context::scene().map(|scene| scene.file().to_owned());
        let Some(file) = find(source.map(Path::new), scenario.as_deref(), path) else {
            return Err(EvalAltResult::ErrorModuleNotFound(path.to_owned(), position).into());
        };
        let text = crate::source(&file).map_err(|error| into_error(error.fault()))?;
        let name = file.display().to_string();
        let mut ast = engine.compile(text).map_err(|error| {
            let inner = Box::new(EvalAltResult::ErrorParsing(*error.0, error.1));
            EvalAltResult::ErrorInModule(name.clone(), inner, position)
        })?;
        ast.set_source(name.as_str());
        let mut module = language::evaluate(&ast)
            .map_err(|error| EvalAltResult::ErrorInModule(name.clone(), error, position))?;
        module.set_id(name.as_str());
        Ok(module.into())
    }
}

/// The file behind an import.
pub(crate) fn find(importing: Option<&Path>, scenario: Option<&Path>, path: &str) -> Option<PathBuf> {
    let folders = [importing, scenario]
        .into_iter()
        .flatten()
        .filter_map(Path::parent);
    folders
        .flat_map(|folder| {
            let plain = folder.join(path);
            let mut named = plain.clone().into_os_string();
            named.push(".rhai");
            [PathBuf::from(named), plain]
        })
        .find(|candidate| candidate.is_file())
}
