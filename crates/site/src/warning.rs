//! A warning: what was noticed, and what ends it. The only way to make one is to name both.

use serde::{Serialize, Serializer};
use std::fmt::{self, Display, Formatter};
use std::path::Path;

/// Something that a person should know although nothing failed, as one line: what was noticed, and what ends it. That is
/// a command, an option or a correction, or what the next run does by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Warning {
    notice: String,
    remedy: String,
}

impl Warning {
    /// What was noticed, and what ends the warning.
    pub fn new(notice: impl Display, remedy: impl Display) -> Warning {
        Warning { notice: notice.to_string(), remedy: remedy.to_string() }
    }

    /// What ends it.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    /// The same warning about a file, named by its path from a folder on.
    #[must_use]
    pub fn within(self, folder: &Path) -> Warning {
        Warning { notice: folder.join(self.notice).display().to_string(), ..self }
    }

    /// The same warning, which says where it comes from.
    #[must_use]
    pub fn about(self, place: impl Display) -> Warning {
        Warning { notice: format!("{place}: {}", self.notice), ..self }
    }
}

impl Display for Warning {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}; {}", self.notice, self.remedy)
    }
}

impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_one_line_that_ends_with_what_ends_it() {
        let warning = Warning::new("no file matches /old/*", "remove the rule").about("_headers:3");
        assert_eq!(warning.to_string(), "_headers:3: no file matches /old/*; remove the rule");
        assert_eq!(serde_json::to_value(&warning).unwrap(), "_headers:3: no file matches /old/*; remove the rule");
        assert_eq!(warning.remedy(), "remove the rule");
    }
}
