//! The child process: its answer is the stamp's, its death is a refusal, and the parent goes on.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign::pdf::{Limits, Refusal, Stamper};
use tokio::task::JoinSet;

use super::build::{FONT, File, LETTER, text};
use super::{mark, stamped};

const PROGRAM: &str = env!("CARGO_BIN_EXE_countersign");

fn stamper(limits: Limits) -> Stamper {
    Stamper::new(PathBuf::from(PROGRAM), limits)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(future)
}

fn code(stamper: &Stamper, input: Vec<u8>) -> &'static str {
    let answer = run(stamper.stamp(input, &mark()));
    answer.map_or_else(|refusal| refusal.code(), |_| "stamped")
}

#[test]
fn the_child_process_answers_what_the_stamp_answers() {
    let stamper = stamper(Limits::default());
    let files = [
        File::hello().bytes(),
        b"not a PDF".to_vec(),
        File::hello().with(2, "<< >>").bytes(),
    ];
    for input in files {
        assert_eq!(run(stamper.stamp(input.clone(), &mark())), stamped(&input));
    }
}

#[test]
fn a_thousand_pages_fit_the_default_limits() {
    let contents: Vec<String> = (0..1_000)
        .map(|page| text(&format!("Page {page}")))
        .collect();
    let file = File::pages(&format!("{LETTER} {FONT}"), &contents).bytes();
    assert_eq!(code(&stamper(Limits::default()), file), "stamped");
}

#[test]
fn a_bomb_dies_in_the_child_and_the_next_document_is_stamped() {
    let limits = Limits {
        memory_bytes: 128 << 20,
        ..Limits::default()
    };
    let stamper = stamper(limits);
    let bomb = bomb(60 << 20, 4);
    assert!(bomb.len() < 1 << 20);
    assert_eq!(code(&stamper, bomb), "pdf_limit_exceeded");
    assert_eq!(code(&stamper, File::hello().bytes()), "stamped");
}

#[test]
fn one_stream_that_inflates_beyond_measure_is_refused() {
    assert_eq!(
        code(&stamper(Limits::default()), bomb(65 << 20, 2)),
        "pdf_limit_exceeded"
    );
}

#[test]
fn processor_time_is_limited() {
    let limits = Limits {
        cpu_seconds: 1,
        ..Limits::default()
    };
    assert_eq!(code(&stamper(limits), slow(500)), "pdf_limit_exceeded");
}

#[test]
fn what_is_too_large_is_refused_before_and_after() {
    let file = File::hello().bytes();
    let small = Limits {
        max_input_bytes: file.len() as u64 - 1,
        ..Limits::default()
    };
    assert_eq!(code(&stamper(small), file.clone()), "pdf_too_large");
    let small = Limits {
        max_output_bytes: file.len() as u64,
        ..Limits::default()
    };
    assert_eq!(code(&stamper(small), file), "pdf_too_large");
}

#[test]
fn too_many_pages_are_refused_by_the_child() {
    let limits = Limits {
        max_pages: 1,
        ..Limits::default()
    };
    let file = File::pages(LETTER, &[String::new(), String::new()]).bytes();
    assert_eq!(code(&stamper(limits), file), "pdf_too_many_pages");
}

#[test]
fn a_child_that_never_answers_is_killed_when_its_time_is_up() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let limits = Limits {
        wall_seconds: 1,
        ..Limits::default()
    };
    let stamper = Stamper::new(sleeper(directory.path()), limits);
    assert_eq!(code(&stamper, File::hello().bytes()), "pdf_limit_exceeded");
}

#[test]
fn a_child_without_an_answer_is_a_failure_and_never_a_document() {
    for program in ["/bin/false", "/bin/true", "/bin/echo", "/no/such/program"] {
        let stamper = Stamper::new(PathBuf::from(program), Limits::default());
        assert_eq!(
            code(&stamper, File::hello().bytes()),
            "stamp_failed",
            "{program}"
        );
    }
}

#[test]
fn a_full_waiting_line_is_busy() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let limits = Limits {
        wall_seconds: 1,
        concurrency: 1,
        ..Limits::default()
    };
    let stamper = Arc::new(Stamper::new(sleeper(directory.path()), limits));
    let answers = run(async move {
        let mut requests = JoinSet::new();
        for _ in 0..6 {
            let stamper = Arc::clone(&stamper);
            requests.spawn(async move { stamper.stamp(File::hello().bytes(), &mark()).await });
        }
        requests.join_all().await
    });
    let busy = answers
        .iter()
        .filter(|answer| **answer == Err(Refusal::Busy))
        .count();
    let limited = answers
        .iter()
        .filter(|answer| **answer == Err(Refusal::ResourceLimit))
        .count();
    assert!(
        busy >= 1 && limited >= 1 && busy + limited == 6,
        "{answers:?}"
    );
}

/// A page whose `streams` inflate to `size_bytes` each.
pub fn bomb(size_bytes: usize, streams: u32) -> Vec<u8> {
    let blanks = deflated_blanks(size_bytes);
    let ids: String = (10..10 + streams).map(|id| format!("{id} 0 R ")).collect();
    let page = format!("<< /Type /Page /Parent 2 0 R {LETTER} /Contents [{ids}] >>");
    let mut file = File::hello().with(3, page);
    for id in 10..10 + streams {
        file.stream(id, "/Filter /FlateDecode", &blanks);
    }
    file.bytes()
}

/// Every one of `count` pages joins and compresses 32 MB of content, though a small file holds it.
pub fn slow(count: usize) -> Vec<u8> {
    let mut file = File::pages(LETTER, &vec![String::new(); count]);
    file.stream(4, "/Filter /FlateDecode", &deflated_blanks(16 << 20));
    for page in file
        .objects
        .values_mut()
        .filter(|body| body.starts_with(b"<< /Type /Page /"))
    {
        *page = format!("<< /Type /Page /Parent 2 0 R {LETTER} /Contents [4 0 R 4 0 R] >>")
            .into_bytes();
    }
    file.bytes()
}

fn deflated_blanks(size_bytes: usize) -> Vec<u8> {
    let mut stream = lopdf::Stream::new(lopdf::Dictionary::new(), vec![b' '; size_bytes]);
    stream.compress().expect("compressing blanks");
    stream.content
}

fn sleeper(directory: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let program = directory.join("sleeper");
    std::fs::write(&program, "#!/bin/sh\nexec /bin/sleep 600\n").expect("a script");
    let permissions = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(&program, permissions).expect("an executable script");
    program
}
