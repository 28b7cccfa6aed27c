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
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Numbers of a sample of small messages.
const BATCH: usize = (1 << 14) / 8;

/// Samples that are published and not taken, at most: those of 64 KiB are the ring of the others.
const SAMPLES: usize = 4;

type Sends<T> = Publisher<ipc::Service, [T], ()>;
type Factory<T> = PublishSubscribe<ipc::Service, [T], ()>;
type Takes<T> = Subscriber<ipc::Service, [T], ()>;

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
struct Way<T> {
    name: &'static str,
    /// Items of the longest sample.
    items: usize,
    payload: PhantomData<T>,
}

/// What samples are made of.
trait Item: ZeroCopySend + Default + Copy + std::fmt::Debug + 'static {}
impl Item for u32 {}
impl Item for f64 {}

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

impl<T: Item> Way<T> {
    fn new(name: &'static str, items: usize) -> Way<T> {
        Way { name, items, payload: PhantomData }
    }

    fn open<P>(&self, port: impl FnOnce(&Factory<T>) -> P) -> End<P> {
        let node = or_die(NodeBuilder::new().config(&config()).create::<ipc::Service>());
        let service = node
            .service_builder(&or_die(self.name.try_into()))
            .publish_subscribe::<[T]>()
            .subscriber_max_buffer_size(SAMPLES)
            .enable_safe_overflow(false)
            .open_or_create();
        End { port: port(&or_die(service)), _node: node }
    }

    fn sender(&self) -> End<Sends<T>> {
        let end = self.open(|service| {
            let publisher = service
                .publisher_builder()
                .initial_max_slice_len(self.items)
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

    fn receiver(&self) -> End<Takes<T>> {
        self.open(|service| or_die(service.subscriber_builder().create()))
    }
}

/// Lends memory for so many items, has them written, and publishes them.
fn send<T: Item>(end: &End<Sends<T>>, items: usize, fill: impl FnOnce(&mut [T])) {
    let mut sample = or_die(end.port.loan_slice(items));
    fill(sample.payload_mut());
    or_die(sample.send());
}

fn receive<T: Item, R>(end: &End<Takes<T>>, take: impl FnOnce(&[T]) -> R) -> R {
    loop {
        if let Some(sample) = or_die(end.port.receive()) {
            return take(sample.payload());
        }
        spin_loop();
    }
}

fn message64() {
    let way = Way::<f64>::new("there", BATCH);
    partner::fork(|| {
        let end = way.sender();
        let mut sequence = 0.0;
        loop {
            send(&end, BATCH, |numbers| sequence = payload::write_messages(numbers, sequence));
        }
    });
    let end = way.receiver();
    let mut meter = Meter::new(4096);
    let mut sequence = 0.0;
    loop {
        sequence = receive(&end, |numbers| payload::check_messages(numbers, sequence));
        if let Some(figures) = meter.tick((BATCH * 8 / payload::MESSAGE_BYTES) as u64) {
            return payload::report(figures.per_second, payload::MESSAGE_BYTES);
        }
    }
}

fn blocks(bytes: usize) {
    let way = Way::<u32>::new("there", bytes / 4);
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
    let (there, back) = (Way::<u32>::new("there", 2), Way::<u32>::new("back", 2));
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
