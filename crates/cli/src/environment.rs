//! The process environment: read here, once, and nowhere else.

use std::collections::BTreeMap;

/// What the process was started with. Names and values that are not UTF-8 are left out: scripts have none.
pub(crate) fn process() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// True when http(…) was told by the environment to accept any certificate. The second name is that of the founding
/// tool, whose scripts run unchanged.
pub(crate) fn insecure_http(environment: &BTreeMap<String, String>) -> bool {
    ["CALLWRIGHT_INSECURE_HTTP", "RINGO_FLOW_INSECURE_HTTP"]
        .iter()
        .any(|name| is_on(environment, name))
}

/// True when the environment says that no [[server]] is to be started.
pub(crate) fn no_servers(environment: &BTreeMap<String, String>) -> bool {
    is_on(environment, "CALLWRIGHT_NO_SERVERS")
}

fn is_on(environment: &BTreeMap<String, String>, name: &str) -> bool {
    environment
        .get(name)
        .is_some_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}
