//! Arguments: `key=value` pairs, as the harness passes them.

use crate::die;

/// The option `name`; without `fallback` it is required.
pub fn text(name: &str, fallback: Option<&str>) -> String {
    let found = std::env::args().skip(1).find_map(|argument| {
        let (key, value) = argument.split_once('=')?;
        (key == name).then(|| value.to_owned())
    });
    match found.or_else(|| fallback.map(str::to_owned)) {
        Some(value) => value,
        None => die(format!("the option {name}=... is missing")),
    }
}

/// The option `name` as a number; without `fallback` it is required.
pub fn number(name: &str, fallback: Option<&str>) -> f64 {
    let value = text(name, fallback);
    value.parse().unwrap_or_else(|_| {
        die(format!("the option {name} must be a number, got \"{value}\""))
    })
}
