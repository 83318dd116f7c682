//! Code flows and refreshes, fully durable, beside what the same disk and the same store can commit, in one run. Started by
//! `benches/run flows`.
//!
//! A code flow is GET authorize, POST consent (unless the consent is remembered) and POST token; a refresh is POST token.
//! Each person has a session, an organization and an application of their own, so that no two wait for one row.
//! `PERSONS` (32), `SECONDS_EACH` (10) and `TOGETHER=1` (all persons in one organization) change it.
#![expect(
    clippy::print_stdout,
    clippy::panic,
    reason = "its output is what it is for, and a flow that fails ends it"
)]

mod client;
mod limit;
mod person;
mod seed;
mod server;

use std::path::Path;
use std::time::{Duration, Instant};

use person::{Flow, Person};
use server::{Processor, Server};

/// `[database] connections`: as the product comes.
const CONNECTIONS: usize = 4;

struct Plan {
    persons: usize,
    time: Duration,
    together: bool,
}

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [binary, folder, url] => measure(Path::new(binary), Path::new(folder), url),
        // `cargo bench` without arguments, and `cargo test --benches`
        _ => println!(
            "Run `benches/run flows`: it needs the server's binary, a folder and a database."
        ),
    }
}

fn measure(binary: &Path, folder: &Path, url: &str) {
    let number = |name: &str, default: usize| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let plan = Plan {
        persons: number("PERSONS", 32),
        time: Duration::from_secs(number("SECONDS_EACH", 10) as u64),
        together: number("TOGETHER", 0) == 1,
    };
    let kind = url.split(':').next().unwrap_or_default();
    let organizations = if plan.together { 1 } else { plan.persons };
    println!(
        "{kind}: {} persons at once, {organizations} organizations, {} s each",
        plan.persons,
        plan.time.as_secs()
    );

    let planted = seed::plant(url, folder, plan.persons, plan.together);
    let database = limit::database(url, folder);
    let syncs = limit::syncs_a_second(folder, plan.time / 2);
    let before = limit::commits_a_second(&database, plan.persons, plan.time / 2);
    let server = Server::start(binary, folder, url);
    let mut persons: Vec<Person> = planted
        .into_iter()
        .map(|credentials| Person::new(server.address, credentials))
        .collect();
    let codes = load(&mut persons, plan.time, &server, Person::code_flow);
    let refreshes = load(&mut persons, plan.time, &server, Person::refresh);
    server.stop();
    let after = limit::commits_a_second(&database, plan.persons, plan.time / 2);
    // right before and behind, so that a drift of the machine shows
    let limit = (before + after) / 2.0;
    println!("  disk                 {syncs:9.0}/s  4 KiB written and synced, one after the other");
    println!(
        "  store                {limit:9.0}/s  single-row commits at the same concurrency ({before:.0} before, {after:.0} after)"
    );
    codes.print("code flow", limit, syncs);
    refreshes.print("refresh", limit, syncs);
}

/// What one kind of flow came to.
struct Load {
    flows: Vec<Flow>,
    seconds: f64,
    server: f64,
    client: f64,
}

/// Everybody does one flow after the other, on a thread of their own, until the time is over.
fn load(
    persons: &mut [Person],
    time: Duration,
    server: &Server,
    flow: fn(&mut Person) -> Flow,
) -> Load {
    persons.iter_mut().for_each(|person| drop(flow(person))); // warm
    let (ours, theirs) = (Processor::of_self(), server.processor());
    let start = Instant::now();
    let flows = std::thread::scope(|scope| {
        let threads: Vec<_> = persons
            .iter_mut()
            .map(|person| scope.spawn(move || repeat(person, flow, start, time)))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("every flow succeeds"))
            .collect()
    });
    let seconds = start.elapsed().as_secs_f64();
    Load {
        flows,
        seconds,
        server: server.processor().since(theirs),
        client: Processor::of_self().since(ours),
    }
}

fn repeat(
    person: &mut Person,
    flow: fn(&mut Person) -> Flow,
    start: Instant,
    time: Duration,
) -> Vec<Flow> {
    let mut flows = Vec::new();
    while start.elapsed() < time {
        flows.push(flow(person));
    }
    flows
}

impl Load {
    fn print(&self, name: &str, limit: f64, syncs: f64) {
        let rate = self.flows.len() as f64 / self.seconds;
        let commits = rate * self.flows.iter().map(|flow| flow.commits).sum::<usize>() as f64
            / self.flows.len().max(1) as f64;
        let [p50, p99] = percentiles(
            self.flows
                .iter()
                .map(|flow| flow.steps.iter().sum())
                .collect(),
        );
        println!(
            "  {name:<12}         {rate:9.0}/s  p50 {p50}  p99 {p99} | {commits:.0} commits/s: {:.2} of the store's, {:.2} of the disk's",
            commits / limit,
            commits / syncs
        );
        let steps = self
            .flows
            .iter()
            .map(|flow| flow.steps.len())
            .max()
            .unwrap_or(0);
        for step in 0..steps {
            let [p50, p99] = percentiles(
                self.flows
                    .iter()
                    .filter_map(|flow| flow.steps.get(step).copied())
                    .collect(),
            );
            println!("    request {}          p50 {p50}  p99 {p99}", step + 1);
        }
        let each = |seconds: f64| 1000.0 * seconds / self.flows.len().max(1) as f64;
        println!(
            "    processor          server {:.2} cores, {:.2} ms a flow; this client {:.2} cores, {:.2} ms a flow",
            self.server / self.seconds,
            each(self.server),
            self.client / self.seconds,
            each(self.client)
        );
    }
}

fn percentiles(mut times: Vec<Duration>) -> [String; 2] {
    times.sort_unstable();
    [0.5, 0.99].map(|part| {
        let index = ((times.len() as f64 * part) as usize).min(times.len().saturating_sub(1));
        times.get(index).map_or_else(
            || "-".to_owned(),
            |time| format!("{:7.2} ms", time.as_secs_f64() * 1000.0),
        )
    })
}
