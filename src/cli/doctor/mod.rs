//! `countersign doctor`: what is wrong with this installation, and what to do about it. Changes nothing; works beside a
//! running server, and when nothing runs.

mod data;
mod secrets;
mod settings;

use std::fmt::Write as _;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::json;

use super::{ConfigArguments, Failure, output};
use crate::config::Config;
use crate::store::{self, Database, HealthError};
use crate::types::time::Clock;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Warning,
    Problem,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One line.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    message: String,
    /// What to do; nothing when it is well.
    advice: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            check,
            state: State::Ok,
            message: message.into(),
            advice: None,
        }
    }

    fn warning(check: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            check,
            state: State::Warning,
            message: message.into(),
            advice: Some(advice.into()),
        }
    }

    fn problem(check: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            check,
            state: State::Problem,
            message: message.into(),
            advice: Some(advice.into()),
        }
    }
}

/// Fails when there is a problem; warnings are no failure.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let findings = arguments
        .config
        .load()
        .map_or_else(|error| vec![unreadable(&error)], |config| examine(&config));
    let count = |state| {
        findings
            .iter()
            .filter(|finding| finding.state == state)
            .count()
    };
    let (problems, warnings) = (count(State::Problem), count(State::Warning));
    if arguments.json {
        let worst = findings
            .iter()
            .map(|finding| finding.state)
            .max()
            .unwrap_or(State::Ok);
        let found = json!({ "state": worst, "problems": problems, "warnings": warnings, "findings": findings });
        output::print(format!("{found}\n"))?;
    } else {
        let mut text = String::new();
        for finding in &findings {
            writeln!(
                text,
                "{:<9}{}: {}",
                finding.state.as_str(),
                finding.check,
                finding.message
            )?;
            if let Some(advice) = &finding.advice {
                writeln!(text, "{:9}-> {advice}", "")?;
            }
        }
        writeln!(
            text,
            "{}, {}",
            counted(problems, "problem"),
            counted(warnings, "warning")
        )?;
        output::print(text)?;
    }
    Ok(if problems == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

fn unreadable(error: &Failure) -> Finding {
    Finding::problem(
        "configuration",
        error.to_string(),
        "Correct it; nothing else was looked at.",
    )
}

fn examine(config: &Config) -> Vec<Finding> {
    let now = Clock::System.now();
    let mut findings = settings::check(config);
    let database: Result<Database, _> = config.database.url.parse();
    let health = match &database {
        Ok(database) => store::examine(database),
        Err(error) => Err(HealthError::Query(error.to_string())),
    };
    findings.extend(data::check(config, database.as_ref().ok(), &health, now));
    findings.extend(secrets::check(
        config,
        database.as_ref().ok(),
        health.as_ref().ok(),
        now,
    ));
    findings.extend(settings::weak(config));
    findings
}
