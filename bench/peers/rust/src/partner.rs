//! The second thread or process of a pair.

use crate::{die, options};

/// Moves the calling thread to the second of the CPUs that `cpus=` names.
pub fn pin_to_second() {
    let cpus = options::text("cpus", Some(""));
    let Some((_, second)) = cpus.split_once(',') else { return };
    let cpu: usize = second.parse().unwrap_or_else(|_| die(format!("no CPU is \"{second}\"")));
    // SAFETY: all zeros is an empty set, and the kernel only reads it.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    };
    if result < 0 {
        die(format!("sched_setaffinity {cpu}: {}", std::io::Error::last_os_error()));
    }
}

/// Runs `work` in a child process, which ends with this one. Call it while there is one thread.
pub fn fork(work: impl FnOnce()) {
    // SAFETY: there is one thread, so the child has all that this process has.
    match unsafe { libc::fork() } {
        -1 => die(format!("fork: {}", std::io::Error::last_os_error())),
        0 => {
            // SAFETY: takes numbers only.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            pin_to_second();
            work();
            std::process::exit(0);
        }
        _ => {}
    }
}
