//! The operator's pages, all under `/operator`.

pub mod applications;
pub mod organizations;
pub mod resource_servers;

use askama::Template;

use crate::web::page::Shell;

/// What waits, and the ways on.
#[derive(Template)]
#[template(path = "operator/home.html")]
pub struct HomePage {
    pub shell: Shell,
    /// Requests for approval.
    pub waiting: usize,
    /// Requests for Production.
    pub production: usize,
    pub resource_servers: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::page::promises::assert_kept;
    use crate::web::page::samples::operator;

    #[test]
    fn the_home_page_keeps_the_promises() {
        for waiting in [0, 1, 14] {
            assert_kept(
                "operator-home",
                &HomePage {
                    shell: operator("Operator"),
                    waiting,
                    production: waiting,
                    resource_servers: waiting,
                },
            );
        }
    }
}
