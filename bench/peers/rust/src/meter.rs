//! Counts work inside a timed window after a warm-up; see bench/subjects/support/meter.ts.

use crate::options::number;
use std::time::{Duration, Instant};

enum Phase {
    Idle,
    WarmUp { until: Instant },
    Window { since: Instant, cpu: f64, count: u64 },
}

pub struct Meter {
    stride: u64,
    count: u64,
    next_look: u64,
    phase: Phase,
    warmup: Duration,
    window: Duration,
}

/// What the window held.
pub struct Figures {
    pub per_second: f64,
    /// User and system time of the process.
    pub cpu_nanoseconds_each: f64,
}

impl Meter {
    pub fn new(stride: u64) -> Meter {
        Meter {
            stride,
            count: 0,
            next_look: 0,
            phase: Phase::Idle,
            warmup: Duration::from_secs_f64(number("warmup", Some("0.3"))),
            window: Duration::from_secs_f64(number("window", Some("0.5"))),
        }
    }

    /// Counts `units`; the figures when the window is over.
    pub fn tick(&mut self, units: u64) -> Option<Figures> {
        self.count += units;
        if self.count < self.next_look {
            return None;
        }
        self.next_look = self.count + self.stride;
        let now = Instant::now();
        match self.phase {
            Phase::Idle => self.phase = Phase::WarmUp { until: now + self.warmup },
            Phase::WarmUp { until } if now >= until => {
                let (cpu, count) = (cpu_seconds(), self.count);
                self.phase = Phase::Window { since: now, cpu, count };
            }
            Phase::Window { since, cpu, count } if now >= since + self.window => {
                let units = (self.count - count) as f64;
                return Some(Figures {
                    per_second: units / (now - since).as_secs_f64(),
                    cpu_nanoseconds_each: (cpu_seconds() - cpu) * 1e9 / units,
                });
            }
            _ => {}
        }
        None
    }
}

fn cpu_seconds() -> f64 {
    // SAFETY: all zeros is a valid rusage, and the call only writes into it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 * 1e-6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
