//! Rust's crates at the work of the subjects: `work=nop|read4k|fixed4k|pool` says which.

mod meter;
mod nop;
mod options;
mod pages;
mod pool;
mod read4k;
mod ring;

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
        other => die(format!("no work is named \"{other}\"")),
    }
}
