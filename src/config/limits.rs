//! `[limits]`: how many requests, in windows such as `10/1m` or `2000/15m`.

use serde::{Deserialize, Serialize};

/// `quota` requests in any window of `window_seconds`. Written `10/1m`; units are s, m, h and d; `none` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate {
    pub quota: u64,
    pub window_seconds: i64,
}

impl Rate {
    /// Admits everything.
    pub const NONE: Self = Self {
        quota: u64::MAX,
        window_seconds: 1,
    };

    pub fn is_none(self) -> bool {
        self.quota == u64::MAX
    }
}

impl TryFrom<String> for Rate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::NONE);
        }
        parse(&text)
            .ok_or_else(|| format!("{text:?} is not a limit such as 10/1m, 2000/15m or none"))
    }
}

fn parse(text: &str) -> Option<Rate> {
    let (quota, window) = text.split_once('/')?;
    let unit = match window.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return None,
    };
    let count: i64 = window[..window.len() - 1].parse().ok()?;
    let quota: u64 = quota.parse().ok()?;
    let window_seconds = count.checked_mul(unit)?;
    (quota > 0 && quota <= 1_000_000_000 && (1..=31 * 24 * 60 * 60).contains(&window_seconds))
        .then_some(Rate {
            quota,
            window_seconds,
        })
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        let (quota, seconds) = (rate.quota, rate.window_seconds);
        match seconds {
            _ if rate.is_none() => "none".to_owned(),
            _ if seconds % 86_400 == 0 => format!("{quota}/{}d", seconds / 86_400),
            _ if seconds % 3_600 == 0 => format!("{quota}/{}h", seconds / 3_600),
            _ if seconds % 60 == 0 => format!("{quota}/{}m", seconds / 60),
            _ => format!("{quota}/{seconds}s"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests of one owner in one organization's Sandbox, over all of the owner's keys.
    pub sandbox: Rate,
    /// The same in Production.
    pub production: Rate,
    /// Questions of one credential about itself (`whoami`).
    pub whoami: Rate,
    /// Requests of one caller to the management API.
    pub management: Rate,
    /// Unknown credentials of one client address.
    pub unknown_credentials: Rate,
    /// Wrong secrets of one client or resource server from one address.
    pub client_failures: Rate,
    /// New applications registered from one address, or with one initial access token. A repeated registration is free.
    pub registrations: Rate,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sandbox: Rate {
                quota: 10,
                window_seconds: 60,
            },
            production: Rate {
                quota: 10_000,
                window_seconds: 15 * 60,
            },
            whoami: Rate {
                quota: 60,
                window_seconds: 60,
            },
            management: Rate {
                quota: 600,
                window_seconds: 60,
            },
            unknown_credentials: Rate {
                quota: 300,
                window_seconds: 60,
            },
            client_failures: Rate {
                quota: 30,
                window_seconds: 60,
            },
            registrations: Rate {
                quota: 60,
                window_seconds: 60 * 60,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_survives_its_text() {
        for text in ["10/1m", "2000/15m", "7/90s", "1/2h", "5/1d", "none"] {
            assert_eq!(
                Rate::try_from(text.to_owned()).map(String::from),
                Ok(text.to_owned())
            );
        }
        for text in [
            "",
            "10",
            "0/1m",
            "10/m",
            "10/1w",
            "10/0s",
            "-1/1m",
            "10/99999d",
            "10/1ä",
        ] {
            assert!(Rate::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
