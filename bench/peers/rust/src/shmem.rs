//! The crate shmem-ipc: a ring in a memfd between two processes, with an eventfd for each edge.

use crate::meter::Meter;
use crate::payload::{self, Block};
use crate::{die, options, partner, round_trips};
use shmem_ipc::sharedring::{Receiver, Sender};
use std::fs::File;
use std::hint::spin_loop;

/// The ring of bulk64k-annulus.ts and message64-annulus.ts, in words.
const CAPACITY: usize = (1 << 18) / 4;

/// Messages are handed over by the batch, as there, in numbers.
const BATCH: usize = (1 << 14) / 8;

/// Empty polls before sleeping, as in bench/subjects/support/poll-then-wait.ts.
const POLLS: usize = 500;

pub fn run() {
    match options::text("payload", None).as_str() {
        "ping" => ping(),
        "message64" => message64(),
        name => blocks(payload::bytes_of(name)),
    }
}

fn cloned(file: &File) -> File {
    file.try_clone().unwrap()
}

/// Shared memory and signals before the fork; each process makes its end of them after it.
struct Offer {
    capacity: usize,
    files: [File; 3],
}

impl Offer {
    fn new<T: Copy + zerocopy::FromBytes>(capacity: usize) -> Offer {
        let receiver: Receiver<T> = Receiver::new(capacity).unwrap();
        let memfd = cloned(receiver.memfd().as_file());
        Offer {
            capacity,
            files: [memfd, cloned(receiver.empty_signal()), cloned(receiver.full_signal())],
        }
    }

    fn sender<T: Copy + zerocopy::AsBytes>(&self) -> Sender<T> {
        let [memfd, empty, full] = self.files.each_ref().map(cloned);
        Sender::open(self.capacity, memfd, empty, full).unwrap()
    }

    fn receiver<T: Copy + zerocopy::FromBytes>(&self) -> Receiver<T> {
        let [memfd, empty, full] = self.files.each_ref().map(cloned);
        Receiver::open(self.capacity, memfd, empty, full).unwrap()
    }
}

fn wait_readable<T: Copy + zerocopy::FromBytes>(receiver: &mut Receiver<T>) {
    let mut polls = 0;
    while receiver.receiver_mut().read_count().unwrap() == 0 {
        polls += 1;
        if polls > POLLS {
            receiver.block_until_readable().unwrap();
        } else {
            spin_loop();
        }
    }
}

fn wait_writable<T: Copy + zerocopy::AsBytes>(sender: &mut Sender<T>) {
    let mut polls = 0;
    while sender.sender_mut().write_count().unwrap() == 0 {
        polls += 1;
        if polls > POLLS {
            sender.block_until_writable().unwrap();
        } else {
            spin_loop();
        }
    }
}

fn message64() {
    let offer = Offer::new::<f64>(CAPACITY / 2);
    partner::fork(|| send_messages(offer.sender()));
    let mut receiver = offer.receiver::<f64>();
    let mut meter = Meter::new(4096);
    let mut sequence = 0.0;
    loop {
        wait_readable(&mut receiver);
        let mut taken = 0;
        let take = |words: &[f64]| {
            taken = words.len().min(BATCH);
            sequence = payload::check_messages(&words[..taken], sequence);
            taken
        };
        // SAFETY: both processes are this program.
        unsafe { receiver.receive_trusted(take).unwrap() };
        if let Some(figures) = meter.tick((taken * 8 / payload::MESSAGE_BYTES) as u64) {
            return payload::report(figures.per_second, payload::MESSAGE_BYTES);
        }
    }
}

fn send_messages(mut sender: Sender<f64>) {
    let mut sequence = 0.0;
    loop {
        wait_writable(&mut sender);
        let fill = |words: &mut [f64]| {
            let count = words.len().min(BATCH);
            sequence = payload::write_messages(&mut words[..count], sequence);
            count
        };
        // SAFETY: both processes are this program.
        unsafe { sender.send_trusted(fill).unwrap() };
    }
}

/// Blocks cross the end of this ring, which is not mirrored: they are copied piece by piece.
fn blocks(bytes: usize) {
    let offer = Offer::new::<u32>(CAPACITY);
    partner::fork(|| send_blocks(offer.sender(), bytes));
    let mut receiver = offer.receiver::<u32>();
    let mut meter = Meter::new(64);
    let mut expected = Block::new(bytes);
    let mut sink = vec![0; bytes / 4];
    for sequence in 0.. {
        let mut done = 0;
        while done < sink.len() {
            wait_readable(&mut receiver);
            let left = &mut sink[done..];
            let take = |words: &[u32]| {
                let count = words.len().min(left.len());
                left[..count].copy_from_slice(&words[..count]);
                done += count;
                count
            };
            // SAFETY: both processes are this program.
            unsafe { receiver.receive_trusted(take).unwrap() };
        }
        expected.check(&sink, sequence);
        if let Some(figures) = meter.tick(1) {
            return payload::report(figures.per_second, bytes);
        }
    }
}

fn send_blocks(mut sender: Sender<u32>, bytes: usize) {
    let mut source = Block::new(bytes);
    for sequence in 0.. {
        let mut left = source.stamp(sequence);
        while !left.is_empty() {
            wait_writable(&mut sender);
            let fill = |words: &mut [u32]| {
                let count = words.len().min(left.len());
                words[..count].copy_from_slice(&left[..count]);
                left = &left[count..];
                count
            };
            // SAFETY: both processes are this program.
            unsafe { sender.send_trusted(fill).unwrap() };
        }
    }
}

/// With `wait=yes` both sides block on the eventfds; otherwise they poll, and signal nothing.
fn ping() {
    let (there, back) = (Offer::new::<u64>(511), Offer::new::<u64>(511));
    let waits = options::text("wait", Some("no")) == "yes";
    partner::fork(|| {
        let (mut receiver, mut sender) = (there.receiver::<u64>(), back.sender::<u64>());
        for expected in 1u64.. {
            take(&mut receiver, expected, waits);
            put(&mut sender, !expected, waits);
        }
    });
    let (mut sender, mut receiver) = (there.sender::<u64>(), back.receiver::<u64>());
    let mut sequence = 0u64;
    round_trips::measure(if waits { 16 } else { 1024 }, || {
        sequence += 1;
        put(&mut sender, sequence, waits);
        take(&mut receiver, !sequence, waits);
    });
}

fn put(sender: &mut Sender<u64>, value: u64, signal: bool) {
    let fill = |place: *mut u64, room: usize| {
        assert!(room > 0);
        // SAFETY: there is room, and both processes are this program.
        unsafe { place.write(value) };
        1
    };
    if signal {
        sender.send_raw(fill).unwrap();
    } else {
        sender.sender_mut().send(fill).unwrap();
    }
}

fn take(receiver: &mut Receiver<u64>, expected: u64, sleeps: bool) {
    if sleeps {
        receiver.block_until_readable().unwrap();
    } else {
        while receiver.receiver_mut().read_count().unwrap() == 0 {
            spin_loop();
        }
    }
    let check = |place: *const u64, _: usize| {
        // SAFETY: something is there, and both processes are this program.
        let value = unsafe { place.read() };
        if value != expected {
            die(format!("expected ping {expected}, got {value}"));
        }
        1
    };
    if sleeps {
        receiver.receive_raw(check).unwrap();
    } else {
        receiver.receiver_mut().recv(check).unwrap();
    }
}
