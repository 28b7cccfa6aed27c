//! The crate rtrb: a ring between two threads, which poll it. It knows no other waiting.

use crate::meter::Meter;
use crate::partner::pin_to_second;
use crate::payload::{self, Block};
use crate::{options, round_trips};
use ::rtrb::{Consumer, Producer, RingBuffer};
use std::hint::spin_loop;

/// The ring of bulk64k-annulus.ts and message64-annulus.ts, in words.
const CAPACITY: usize = (1 << 18) / 4;

/// Messages are handed over by the batch, as there, in numbers.
const BATCH: usize = (1 << 14) / 8;

pub fn run() {
    match options::text("payload", None).as_str() {
        "ping" => ping(),
        "message64" => message64(),
        name => blocks(payload::bytes_of(name)),
    }
}

fn ping() {
    let (mut there, mut from_there) = RingBuffer::<u64>::new(512);
    let (mut back, mut from_back) = RingBuffer::<u64>::new(512);
    std::thread::spawn(move || {
        pin_to_second();
        for expected in 1.. {
            assert_eq!(pop(&mut from_there), expected);
            back.push(!expected).unwrap();
        }
    });
    let mut sequence = 0;
    round_trips::measure(1024, || {
        sequence += 1;
        there.push(sequence).unwrap();
        assert_eq!(pop(&mut from_back), !sequence);
    });
}

fn pop(consumer: &mut Consumer<u64>) -> u64 {
    loop {
        match consumer.pop() {
            Ok(value) => return value,
            Err(_) => spin_loop(),
        }
    }
}

fn message64() {
    let (producer, mut consumer) = RingBuffer::<f64>::new(CAPACITY / 2);
    std::thread::spawn(move || send_messages(producer));
    let mut meter = Meter::new(4096);
    let mut sequence = 0.0;
    loop {
        let count = consumer.slots().min(BATCH);
        if count == 0 {
            spin_loop();
            continue;
        }
        let chunk = consumer.read_chunk(count).unwrap();
        let (first, second) = chunk.as_slices();
        sequence = payload::check_messages(first, sequence);
        sequence = payload::check_messages(second, sequence);
        chunk.commit_all();
        if let Some(figures) = meter.tick((count * 8 / payload::MESSAGE_BYTES) as u64) {
            return payload::report(figures.per_second, payload::MESSAGE_BYTES);
        }
    }
}

fn send_messages(mut producer: Producer<f64>) {
    pin_to_second();
    let mut sequence = 0.0;
    loop {
        let count = producer.slots().min(BATCH);
        if count == 0 {
            spin_loop();
            continue;
        }
        let mut chunk = producer.write_chunk(count).unwrap();
        let (first, second) = chunk.as_mut_slices();
        sequence = payload::write_messages(first, sequence);
        sequence = payload::write_messages(second, sequence);
        chunk.commit_all();
    }
}

fn blocks(bytes: usize) {
    let (producer, mut consumer) = RingBuffer::<u32>::new(CAPACITY);
    std::thread::spawn(move || send_blocks(producer, bytes));
    let mut meter = Meter::new(64);
    let mut expected = Block::new(bytes);
    let mut sink = vec![0; bytes / 4];
    for sequence in 0.. {
        while consumer.pop_entire_slice(&mut sink).is_err() {
            spin_loop();
        }
        expected.check(&sink, sequence);
        if let Some(figures) = meter.tick(1) {
            return payload::report(figures.per_second, bytes);
        }
    }
}

fn send_blocks(mut producer: Producer<u32>, bytes: usize) {
    pin_to_second();
    let mut source = Block::new(bytes);
    for sequence in 0.. {
        let words = source.stamp(sequence);
        while producer.push_entire_slice(words).is_err() {
            spin_loop();
        }
    }
}
