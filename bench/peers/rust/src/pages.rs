//! Content of the hot data file and the order in which its pages are read.
//! The same as bench/subjects/support/pages.ts, word by word.

pub const PAGE_BYTES: usize = 4096;
pub const PAGE_WORDS: usize = PAGE_BYTES / 4;
const PAGES: u32 = ((64 << 20) / PAGE_BYTES) as u32;
pub const ORDER_LENGTH: usize = 1 << 16;

fn word_of(page: u32, index: usize) -> u32 {
    if index == 0 {
        page
    } else if index == PAGE_WORDS - 1 {
        !page
    } else {
        (page ^ (index as u32).wrapping_mul(0x9e37_79b1)).wrapping_mul(0x85eb_ca6b)
    }
}

pub fn matches(words: &[u32], page: u32) -> bool {
    words[0] == page && words[PAGE_WORDS - 1] == !page
}

pub fn matches_fully(words: &[u32], page: u32) -> bool {
    words.iter().enumerate().all(|(index, &word)| word == word_of(page, index))
}

pub fn order() -> Vec<u32> {
    let mut state: u32 = 0x9e37_79b9;
    (0..ORDER_LENGTH)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state % PAGES
        })
        .collect()
}
