//! Measures round trips; see bench/subjects/support/round-trips.ts.

use crate::meter::Meter;
use std::time::{Duration, Instant};

const TIMED: Duration = Duration::from_millis(250);

/// Calls `trip` for the timed windows and reports.
pub fn measure(stride: u64, mut trip: impl FnMut()) {
    let mut meter = Meter::new(stride);
    let figures = loop {
        trip();
        if let Some(figures) = meter.tick(1) {
            break figures;
        }
    };
    let mut times = Vec::with_capacity(1 << 20);
    let mut last = Instant::now();
    let until = last + TIMED;
    while last < until && times.len() < times.capacity() {
        trip();
        let now = Instant::now();
        times.push((now - last).as_secs_f64());
        last = now;
    }
    let all = corrected(times);
    let at = |part: f64| all[(all.len() as f64 * part) as usize] * 1e6;
    println!(
        "{{\"value\":{},\"unit\":\"us\",\"p50\":{:.4},\"p99\":{:.4},\"p999\":{:.4}}}",
        1e6 / figures.per_second,
        at(0.5),
        at(0.99),
        at(0.999)
    );
}

/// Coordinated omission corrected: adds the round trips that a late one kept from beginning.
fn corrected(mut times: Vec<f64>) -> Vec<f64> {
    times.sort_by(f64::total_cmp);
    let interval = times[times.len() / 2];
    let mut missing = Vec::new();
    for time in &times {
        let mut late = time - interval;
        while late >= interval {
            missing.push(late);
            late -= interval;
        }
    }
    times.append(&mut missing);
    times.sort_by(f64::total_cmp);
    times
}
