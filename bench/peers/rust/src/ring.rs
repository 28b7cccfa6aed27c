//! A ring with the flags that annulus asks for, or the most of them this kernel takes.

use crate::die;
use crate::meter::Figures;
use io_uring::{Builder, IoUring};

type Step = (&'static str, fn(&mut Builder));

/// In the order in which they are given up, the last first.
const FLAGS: [Step; 5] = [
    ("SUBMIT_ALL", |builder| {
        builder.setup_submit_all();
    }),
    ("COOP_TASKRUN", |builder| {
        builder.setup_coop_taskrun();
    }),
    ("TASKRUN_FLAG", |builder| {
        builder.setup_taskrun_flag();
    }),
    ("SINGLE_ISSUER", |builder| {
        builder.setup_single_issuer();
    }),
    ("NO_SQARRAY", |builder| {
        builder.setup_no_sqarray();
    }),
];

/// The ring, and the names of its flags.
pub struct BenchRing {
    pub ring: IoUring,
    flags: String,
}

pub fn open(depth: u32) -> BenchRing {
    let entries = depth.max(8);
    for taken in (0..=FLAGS.len()).rev() {
        let mut builder = IoUring::builder();
        builder.setup_cqsize(entries * 4);
        let mut names = vec!["CQSIZE"];
        for (name, set) in &FLAGS[..taken] {
            set(&mut builder);
            names.push(name);
        }
        match builder.build(entries) {
            Ok(ring) => return BenchRing { ring, flags: names.join("|") },
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)) => {
                println!("{{\"skip\": \"io_uring is refused: {error}\"}}");
                std::process::exit(0);
            }
            Err(error) => die(format!("io_uring_setup: {error}")),
        }
    }
    die("io_uring_setup refuses every set of flags".to_owned())
}

/// The one line by which a subject reports to the harness.
pub fn report(bench: &BenchRing, figures: &Figures) {
    println!(
        "{{\"value\": {:.3}, \"unit\": \"op/s\", \"cpu\": {:.3}, \"flags\": \"{}\"}}",
        figures.per_second, figures.cpu_nanoseconds_each, bench.flags
    );
}
