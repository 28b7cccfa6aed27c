//! What the channel cases send; see bench/subjects/support/payload.ts.

use crate::die;

pub const MESSAGE_BYTES: usize = 64;
pub const BLOCK_BYTES: usize = 65536;
const MESSAGE_NUMBERS: usize = MESSAGE_BYTES / 8;
const STAMP_EVERY: usize = 1024;

/// Writes the messages from number `sequence` on into `numbers`; the next number.
pub fn write_messages(numbers: &mut [f64], mut sequence: f64) -> f64 {
    for message in numbers.chunks_exact_mut(MESSAGE_NUMBERS) {
        for (number, i) in message[..MESSAGE_NUMBERS - 1].iter_mut().zip(0u8..) {
            *number = sequence + f64::from(i);
        }
        message[MESSAGE_NUMBERS - 1] = sequence * 7.0 + 21.0;
        sequence += 1.0;
    }
    sequence
}

/// Verifies the messages in `numbers`, of which `sequence` is the first; the next number.
pub fn check_messages(numbers: &[f64], mut sequence: f64) -> f64 {
    for message in numbers.chunks_exact(MESSAGE_NUMBERS) {
        let (a, b) = (message[0] + message[1], message[2] + message[3]);
        let c = message[4] + message[5];
        if message[0] != sequence || a + b + (c + message[6]) != message[7] {
            die(format!("message {sequence} is wrong"));
        }
        sequence += 1.0;
    }
    sequence
}

/// A block; the first word of each page carries its number.
pub struct Block {
    pub words: Vec<u32>,
}

impl Block {
    pub fn new(bytes: usize) -> Block {
        let words = (0..bytes as u32 / 4).map(|i| i.wrapping_mul(0x9e37_79b9)).collect();
        Block { words }
    }

    pub fn stamp(&mut self, sequence: u32) -> &[u32] {
        for word in self.words.iter_mut().step_by(STAMP_EVERY) {
            *word = sequence;
        }
        &self.words
    }

    pub fn check(&mut self, words: &[u32], sequence: u32) {
        if self.stamp(sequence) != words {
            die(format!("block {sequence} is wrong"));
        }
    }
}

/// Bytes of the payload called `name`.
pub fn bytes_of(name: &str) -> usize {
    match name {
        "message64" => MESSAGE_BYTES,
        "message1k" => 1024,
        "message64k" | "bulk" => BLOCK_BYTES,
        other => die(format!("no payload is named \"{other}\"")),
    }
}

/// Reports a one-way case: messages where they are small, bytes where they are large.
pub fn report(per_second: f64, bytes: usize) {
    let (each, unit) = if bytes <= 4096 { (1.0, "msg/s") } else { (bytes as f64, "B/s") };
    println!("{{\"value\":{},\"unit\":\"{unit}\"}}", per_second * each);
}
