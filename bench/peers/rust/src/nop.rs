//! Requests that do nothing: fill `depth`, one system call, reap all.
//! The same work as bench/subjects/uring/nop-annulus.ts.

use crate::meter::Meter;
use crate::{die, options, ring};
use io_uring::{opcode, IoUring};

fn batch(ring: &mut IoUring, depth: u64) {
    {
        let mut queue = ring.submission();
        for token in 0..depth {
            let entry = opcode::Nop::new().build().user_data(token);
            // SAFETY: a nop names no memory.
            if unsafe { queue.push(&entry) }.is_err() {
                die(format!("the submission queue is full at {token} of {depth}"));
            }
        }
    }
    match ring.submit_and_wait(depth as usize) {
        Ok(submitted) if submitted as u64 == depth => {}
        other => die(format!("submit_and_wait({depth}) returned {other:?}")),
    }
    let (mut reaped, mut tokens) = (0, 0);
    while reaped < depth {
        for completion in ring.completion() {
            if completion.result() != 0 {
                die(format!("nop completed with {}, expected 0", completion.result()));
            }
            tokens += completion.user_data();
            reaped += 1;
        }
    }
    if tokens != depth * (depth - 1) / 2 {
        die("a token is missing or doubled".to_owned());
    }
}

pub fn run() {
    let depth = options::number("depth", None) as u64;
    let mut bench = ring::open(depth as u32);
    let mut meter = Meter::new(4096);
    let figures = loop {
        batch(&mut bench.ring, depth);
        if let Some(figures) = meter.tick(depth) {
            break figures;
        }
    };
    ring::report(&bench, &figures);
}
