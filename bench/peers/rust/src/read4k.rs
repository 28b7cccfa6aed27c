//! Random 4 KiB reads of a hot file: fill `depth`, one system call, reap all.
//! The same work as bench/subjects/uring/read4k-annulus.ts.

use crate::meter::Meter;
use crate::pages::{self, ORDER_LENGTH, PAGE_BYTES, PAGE_WORDS};
use crate::{die, options, ring};
use io_uring::{opcode, squeue, types, IoUring};
use std::fs::File;
use std::os::fd::AsRawFd;

/// Pages compared word by word before only both ends are looked at, as in the JavaScript subject.
const THOROUGH_READS: usize = 4096;

/// Memory of one page, where the kernel puts one.
#[repr(C, align(4096))]
#[derive(Clone)]
struct Page([u32; PAGE_WORDS]);

struct Reader {
    file: File,
    fixed: bool,
    depth: usize,
    next: usize,
    memory: Vec<Page>,
    order: Vec<u32>,
}

impl Reader {
    fn page_of(&self, slot: usize) -> u32 {
        self.order[(self.next + slot) & (ORDER_LENGTH - 1)]
    }

    fn entry(&mut self, slot: usize) -> squeue::Entry {
        let fd = types::Fd(self.file.as_raw_fd());
        let position = u64::from(self.page_of(slot)) * PAGE_BYTES as u64;
        let address = self.memory[slot].0.as_mut_ptr().cast();
        let length = PAGE_BYTES as u32;
        let entry = if self.fixed {
            opcode::ReadFixed::new(fd, address, length, 0).offset(position).build()
        } else {
            opcode::Read::new(fd, address, length).offset(position).build()
        };
        entry.user_data(slot as u64)
    }

    fn check(&self, slot: usize, result: i32) {
        if result != PAGE_BYTES as i32 {
            die(format!("read returned {result}, expected {PAGE_BYTES}"));
        }
        let page = self.page_of(slot);
        let words = &self.memory[slot].0;
        let right = if self.next < THOROUGH_READS {
            pages::matches_fully(words, page)
        } else {
            pages::matches(words, page)
        };
        if !right {
            die(format!("slot {slot} does not hold page {page}"));
        }
    }

    fn batch(&mut self, ring: &mut IoUring) {
        {
            let mut queue = ring.submission();
            for slot in 0..self.depth {
                let entry = self.entry(slot);
                // SAFETY: the page outlives the batch, which waits for every read.
                if unsafe { queue.push(&entry) }.is_err() {
                    die(format!("the submission queue is full at {slot} of {}", self.depth));
                }
            }
        }
        match ring.submit_and_wait(self.depth) {
            Ok(submitted) if submitted == self.depth => {}
            other => die(format!("submit_and_wait({}) returned {other:?}", self.depth)),
        }
        let mut reaped = 0;
        while reaped < self.depth {
            for completion in ring.completion() {
                self.check(completion.user_data() as usize, completion.result());
                reaped += 1;
            }
        }
        self.next += self.depth;
    }
}

pub fn run(fixed: bool) {
    let depth = options::number("depth", None) as usize;
    let path = options::text("file", None);
    let file = File::open(&path).unwrap_or_else(|error| die(format!("open {path}: {error}")));
    let mut reader = Reader {
        file,
        fixed,
        depth,
        next: 0,
        memory: vec![Page([0; PAGE_WORDS]); depth],
        order: pages::order(),
    };
    let mut bench = ring::open(depth as u32);
    if fixed {
        let vector = libc::iovec {
            iov_base: reader.memory.as_mut_ptr().cast(),
            iov_len: depth * PAGE_BYTES,
        };
        // SAFETY: the memory lives until the process ends.
        if let Err(error) = unsafe { bench.ring.submitter().register_buffers(&[vector]) } {
            die(format!("register_buffers: {error}"));
        }
    }
    let mut meter = Meter::new(4096);
    let figures = loop {
        reader.batch(&mut bench.ring);
        if let Some(figures) = meter.tick(depth as u64) {
            break figures;
        }
    };
    ring::report(&bench, &figures);
}
