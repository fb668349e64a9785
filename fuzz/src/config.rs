//! Configurations: any text is either read, and then means the same after it was printed and read again, or refused in one line
//! that has a place.

use socket_patterns::config::{Memory, Settings};
use std::{collections::BTreeMap, path::Path};

/// Panics if a rule is broken. The bytes are a file; what follows a zero is a second one, which the first may include.
pub fn judge(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let mut files = BTreeMap::new();
    for name in ["proxy.toml", "more.toml"] {
        let Ok(text) = std::str::from_utf8(parts.next().unwrap_or_default()) else { return };
        files.insert(name.to_owned(), text.to_owned());
    }
    let variables = BTreeMap::from([("NAME".to_owned(), "a.test".to_owned())]);
    match read(&Memory { files, variables: variables.clone() }) {
        Err(error) => {
            assert!(!error.contains('\n'), "{error}: one line");
            assert!(error.starts_with("proxy.toml:") || error.starts_with("more.toml:"), "{error}: no place");
        }
        Ok(settings) => {
            let printed = settings.print();
            let files = BTreeMap::from([("proxy.toml".to_owned(), printed.clone())]);
            let again = read(&Memory { files, variables }).unwrap_or_else(|error| panic!("{error}\n{printed}"));
            assert_eq!(again.print(), printed);
            // Fields of probes are hidden when they are printed.
            let changed = settings.diff(&again);
            assert!(changed.iter().all(|line| line.contains("health.headers")), "{changed:?}\n{printed}");
        }
    }
}

fn read(world: &Memory) -> Result<Settings, String> {
    Settings::read(Path::new("proxy.toml"), world)
}
