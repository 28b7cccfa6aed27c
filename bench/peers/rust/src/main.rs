//! Rust's crates at the work of the subjects: `work=` says which.

#[cfg(feature = "iceoryx2")]
mod iceoryx;
mod meter;
mod nop;
mod options;
mod pages;
mod partner;
mod payload;
mod pool;
mod read4k;
mod ring;
mod round_trips;
mod rtrb;
mod shmem;

fn die(message: String) -> ! {
    eprintln!("{message}");
    std::process::exit(1);
}

fn main() {
    match options::text("work", None).as_str() {
        "nop" => nop::run(),
        "read4k" => read4k::run(false),
        "fixed4k" => read4k::run(true),
        "pool" => pool::run(),
        "rtrb" => rtrb::run(),
        "shmem" => shmem::run(),
        #[cfg(feature = "iceoryx2")]
        "iceoryx2" => iceoryx::run(),
        other => die(format!("no work is named \"{other}\"")),
    }
}
