//! The crate iceoryx2: publish and subscribe between two processes, in memory that is lent.
//!
//! Messages of 64 bytes go 256 to a sample, as the other subjects publish them in batches; larger
//! ones are a sample each. Both sides poll: waiting takes a second service, of events.

use crate::meter::Meter;
use crate::payload::{self, Block};
use crate::{die, options, partner, round_trips};
use iceoryx2::port::update_connections::UpdateConnections;
use iceoryx2::port::{publisher::Publisher, subscriber::Subscriber};
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::publish_subscribe::PortFactory as PublishSubscribe;
use std::hint::spin_loop;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Words of a sample of small messages.
const BATCH: usize = (1 << 14) / 4;

/// Samples that are published and not taken, at most: those of 64 KiB are the ring of the others.
const SAMPLES: usize = 4;

type Sends = Publisher<ipc::Service, [u32], ()>;
type Factory = PublishSubscribe<ipc::Service, [u32], ()>;
type Takes = Subscriber<ipc::Service, [u32], ()>;

pub fn run() {
    set_log_level(LogLevel::Fatal);
    prefix();
    match options::text("payload", None).as_str() {
        "ping" => ping(),
        "message64" => message64(),
        name => blocks(payload::bytes_of(name)),
    }
    clean_up();
}

/// A direction between two processes.
struct Way {
    name: &'static str,
    words: usize,
}

/// An end, and what keeps it alive.
struct End<P> {
    port: P,
    _node: Node<ipc::Service>,
}

fn or_die<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| die(format!("iceoryx2: {error:?}")))
}

/// Files of this run have its number in their names: it is chosen before the fork.
fn prefix() -> &'static str {
    static PREFIX: OnceLock<String> = OnceLock::new();
    PREFIX.get_or_init(|| format!("annulus-bench-{}-", std::process::id()))
}

fn folder() -> PathBuf {
    std::env::temp_dir().join(prefix())
}

fn config() -> Config {
    let mut config = Config::default();
    config.global.prefix = or_die(FileName::new(prefix().as_bytes()));
    let root = or_die(Path::new(folder().as_os_str().as_encoded_bytes()));
    config.global.set_root_path(&root);
    config
}

/// Removes what a killed partner leaves behind, and what iceoryx2 keeps for the next to come.
fn clean_up() {
    let _ = std::fs::remove_dir_all(folder());
    let Ok(files) = std::fs::read_dir("/dev/shm") else { return };
    for file in files.flatten() {
        if file.file_name().as_encoded_bytes().starts_with(prefix().as_bytes()) {
            let _ = std::fs::remove_file(file.path());
        }
    }
}

impl Way {
    fn new(name: &'static str, words: usize) -> Way {
        Way { name, words }
    }

    fn open<P>(&self, port: impl FnOnce(&Factory) -> P) -> End<P> {
        let node = or_die(NodeBuilder::new().config(&config()).create::<ipc::Service>());
        let service = node
            .service_builder(&or_die(self.name.try_into()))
            .publish_subscribe::<[u32]>()
            .subscriber_max_buffer_size(SAMPLES)
            .enable_safe_overflow(false)
            .open_or_create();
        End { port: port(&or_die(service)), _node: node }
    }

    fn sender(&self) -> End<Sends> {
        let end = self.open(|service| {
            let publisher = service
                .publisher_builder()
                .initial_max_slice_len(self.words)
                .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
            or_die(publisher.create())
        });
        // What is published before somebody listens is lost.
        let mut listens = false;
        while !listens {
            listens =
                self.open(|service| service.dynamic_config().number_of_subscribers()).port > 0;
        }
        or_die(end.port.update_connections());
        end
    }

    fn receiver(&self) -> End<Takes> {
        self.open(|service| or_die(service.subscriber_builder().create()))
    }
}

/// Lends memory for `words` words, has them written, and publishes them.
fn send(end: &End<Sends>, words: usize, fill: impl FnOnce(&mut [u32])) {
    let mut sample = or_die(end.port.loan_slice(words));
    fill(sample.payload_mut());
    or_die(sample.send());
}

fn receive<T>(end: &End<Takes>, take: impl FnOnce(&[u32]) -> T) -> T {
    loop {
        if let Some(sample) = or_die(end.port.receive()) {
            return take(sample.payload());
        }
        spin_loop();
    }
}

fn message64() {
    let way = Way::new("there", BATCH);
    partner::fork(|| {
        let end = way.sender();
        let mut sequence = 0;
        loop {
            send(&end, BATCH, |words| sequence = payload::write_messages(words, sequence));
        }
    });
    let end = way.receiver();
    let mut meter = Meter::new(4096);
    let mut sequence = 0;
    loop {
        sequence = receive(&end, |words| payload::check_messages(words, sequence));
        if let Some(figures) = meter.tick((BATCH * 4 / payload::MESSAGE_BYTES) as u64) {
            return payload::report(figures.per_second, payload::MESSAGE_BYTES);
        }
    }
}

fn blocks(bytes: usize) {
    let way = Way::new("there", bytes / 4);
    partner::fork(|| {
        let end = way.sender();
        let mut source = Block::new(bytes);
        for sequence in 0.. {
            send(&end, bytes / 4, |words| words.copy_from_slice(source.stamp(sequence)));
        }
    });
    let end = way.receiver();
    let mut meter = Meter::new(64);
    let mut expected = Block::new(bytes);
    let mut sink = vec![0; bytes / 4];
    for sequence in 0.. {
        receive(&end, |words| sink.copy_from_slice(words));
        expected.check(&sink, sequence);
        if let Some(figures) = meter.tick(1) {
            return payload::report(figures.per_second, bytes);
        }
    }
}

fn ping() {
    let (there, back) = (Way::new("there", 2), Way::new("back", 2));
    partner::fork(|| {
        let takes = there.receiver();
        let sends = back.sender();
        for expected in 1u32.. {
            receive(&takes, |words| assert_eq!(words, [expected, !expected]));
            send(&sends, 2, |words| words.copy_from_slice(&[expected, !expected]));
        }
    });
    let takes = back.receiver();
    let sends = there.sender();
    let mut sequence = 0u32;
    round_trips::measure(1024, || {
        sequence = sequence.wrapping_add(1);
        send(&sends, 2, |words| words.copy_from_slice(&[sequence, !sequence]));
        receive(&takes, |words| assert_eq!(words, [sequence, !sequence]));
    });
}
