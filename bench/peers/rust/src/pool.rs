//! Runs of frozen-core's pool: allocate, touch, release. The last version that has the pool.
//! The same work as bench/subjects/pool/allocate-annulus.ts.

use crate::meter::Meter;
use crate::options;
use frozen_core::bufpool::{BufPool, BufPoolCfg};
use frozen_core::utils::BufferSize;

const BUFFERS: usize = 4096;
const BUFFER_BYTES: usize = 4096;

pub fn run() {
    let length = options::number("buffers", None) as usize;
    let pool = BufPool::new(BufPoolCfg {
        buffer_size: BufferSize::S4096,
        max_memory: BUFFERS * BUFFER_BYTES,
    });
    let mut meter = Meter::new(4096);
    let figures = loop {
        let run = pool.allocate(length);
        // SAFETY: the pool returns memory of that many bytes, which is ours until the drop.
        unsafe { std::ptr::write_volatile(run.first(), 1) };
        drop(run);
        if let Some(figures) = meter.tick(1) {
            break figures;
        }
    };
    println!(
        "{{\"value\":{},\"unit\":\"op/s\",\"nanoseconds\":{}}}",
        figures.per_second,
        (1e9 / figures.per_second).round()
    );
}
