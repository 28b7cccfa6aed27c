//! What the channel cases send; see bench/subjects/support/payload.ts.

use crate::die;

pub const MESSAGE_BYTES: usize = 64;
pub const BLOCK_BYTES: usize = 65536;
const MESSAGE_WORDS: usize = MESSAGE_BYTES / 4;
const STAMP_EVERY: usize = 1024;

/// Writes the messages from number `sequence` on into `words`; the next number.
pub fn write_messages(words: &mut [u32], mut sequence: u32) -> u32 {
    for message in words.chunks_exact_mut(MESSAGE_WORDS) {
        for (word, i) in message[..MESSAGE_WORDS - 1].iter_mut().zip(0u32..) {
            *word = sequence.wrapping_add(i);
        }
        message[MESSAGE_WORDS - 1] = sequence.wrapping_mul(15).wrapping_add(105);
        sequence = sequence.wrapping_add(1);
    }
    sequence
}

/// Verifies the messages in `words`, of which `sequence` is the first; the next number.
pub fn check_messages(words: &[u32], mut sequence: u32) -> u32 {
    for message in words.chunks_exact(MESSAGE_WORDS) {
        let (last, rest) = message.split_last().unwrap();
        let sum = rest.iter().fold(0u32, |sum, word| sum.wrapping_add(*word));
        if rest[0] != sequence || sum != *last {
            die(format!("message {sequence} is wrong"));
        }
        sequence = sequence.wrapping_add(1);
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
