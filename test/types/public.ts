/**
 * The public types: what must compile, and under `@ts-expect-error` what must not. The compiler runs
 * this test, whenever tests are built; nothing of it is executed.
 */

import { fork, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

import { AnnulusError, MirroredRing, probe, Proactor, Region } from 'annulus';
import type { alloc, AnnulusErrorCode, Probe, Ring, SystemError } from 'annulus';
import {
  Channel,
  ChannelListener,
  createWriteOnce,
  openEnd,
  openWriteOnce,
  Receiver,
  Sender,
  waitAny,
} from 'annulus/channel';
import type {
  AnyReceiver,
  ChannelHandle,
  Codec,
  ElementReceiver,
  ElementSender,
  MessageReceiver,
  MessageSender,
  Offer,
  PeerCredentials,
  PeerState,
  Role,
  StdioEntry,
  Waiter,
} from 'annulus/channel';
import type { MirroredRingOptions, RingTransferOptions } from 'annulus/memory';
import type { Batching, Listener, PositionedFile } from 'annulus/proactor';
import { BufferPool } from 'annulus/pool';
import type { Allocation, AllocationHandle, BufferPoolHandle } from 'annulus/pool';
import type { BufferPoolStats, LeakDetection } from 'annulus/pool';
import type { PooledBytes, ProactorOptions, ProactorStats } from 'annulus/proactor';
import { BufferRing, passDescriptors, SocketMessage } from 'annulus/uring';
import type { BufferGroup, ControlMessage, decodePeerAddress } from 'annulus/uring';
import type { decodeReceivedMessage, ReceivedMessage } from 'annulus/uring';
import type { decodeEpollEvents } from 'annulus/uring';
import { decodePipe, EPOLL, FILE_INDEX_ALLOC, FixedFile } from 'annulus/uring';
import { RWF, sendMessage, SETUP, SharedRing, TIMEOUT } from 'annulus/uring';
import type { SharedRingHandle, SharedRingStats } from 'annulus/uring';
import type { CancelTarget, ChildStatus, decodeChildStatus, EpollEvent } from 'annulus/uring';
import type { CompletionCallback, CQE, FileStatus, FixedBuffer } from 'annulus/uring';
import type { OP, OpcodeName, SocketAddress } from 'annulus/uring';

/** Compiles only if the two types are the same. */
type Same<A, B> = [A, B] extends [B, A] ? true : false;
declare function same<A, B>(_: Same<A, B>): void;

declare const io: Proactor;
declare const ring: Ring;
declare const region: Region;
declare const channel: Channel;
declare const file: FixedFile;
declare const buffer: FixedBuffer;

export function memory(): void {
  same<ReturnType<typeof alloc>, Uint8Array>(true);
  using mirrored = MirroredRing.create(1);
  same<ReturnType<typeof mirrored.write>, number>(true);
  // @ts-expect-error: a callback returns how many bytes it used
  mirrored.write(() => {});
  same<typeof mirrored.bytes, Uint8Array>(true);
  same<typeof mirrored.contentOffset, number>(true);
  same<ReturnType<typeof mirrored.resize>, number>(true);
  same<ReturnType<typeof mirrored.toWritable>, Writable>(true);
  same<ReturnType<typeof mirrored.toReadable>, Readable>(true);
  const options: MirroredRingOptions = { backing: 'posix' };
  void MirroredRing.create(1, options);
  const transfer: RingTransferOptions = { length: 1, position: 0 };
  same<ReturnType<typeof mirrored.readFrom>, number>(true);
  mirrored.writeTo(1, transfer);
  // @ts-expect-error: there are two kinds of memory
  MirroredRing.create(1, { backing: 'file' });
  // @ts-expect-error: a ring is resized, its capacity is not assigned
  mirrored.capacity = 1;
  // @ts-expect-error: descriptors are numbers
  mirrored.readFrom('1');
  // @ts-expect-error: rings are made by create()
  void new MirroredRing(1);
  // @ts-expect-error: the size is a number
  Region.allocate('1');
  // @ts-expect-error: what a Region says about itself cannot be assigned
  region.bytes = new Uint8Array(1);
}

export function uring(): void {
  ring.read(1, 0, region, { position: 0 });
  ring.read(1, file, region.bytes);
  ring.readFixed(1, 0, buffer);
  // @ts-expect-error: registered memory is no ordinary memory
  ring.read(1, 0, buffer);
  // @ts-expect-error: ordinary memory is no registered memory
  ring.readFixed(1, 0, region);
  // @ts-expect-error: a registered file is no number
  ring.read(1, file.index.toString(), region);
  // @ts-expect-error: the token comes first
  ring.nop();
  const callback: CompletionCallback = (token, result, flags) => {
    same<[typeof token, typeof result, typeof flags], [number, number, number]>(true);
  };
  same<ReturnType<typeof ring.drain>, number>(true);
  ring.drain(callback);
  // @ts-expect-error: a callback has three arguments
  ring.drain((_token: number, _result: number, _flags: number, _more: number) => {});
  const name: OpcodeName = 'READ';
  same<(typeof OP)[typeof name], number>(true);
  // @ts-expect-error: no such opcode
  const none: OpcodeName = 'RAED';
  // @ts-expect-error: the numbers of the kernel do not change
  SETUP.IOPOLL = 2;
  same<typeof CQE.F_MORE, 2>(true);
  return void none;
}

export function registrations(): void {
  const { register } = ring;
  same<FixedBuffer[], ReturnType<typeof register.updateBuffers>>(true);
  same<FixedFile[], ReturnType<typeof register.updateFiles>>(true);
  register.updateFiles(0, [1, -1, null], { tags: [1, -1, -1] });
  // @ts-expect-error: memory is cleared by clearBuffers()
  register.updateBuffers(0, [null]);
  // @ts-expect-error: only a ring of ours has buffers to clone
  register.cloneBuffers(3);
  // @ts-expect-error: handles are made by a registrar
  void new FixedFile(1);
  register.restrict({ requests: ['READ'], registrations: ['REGISTER_FILES'] });
  // @ts-expect-error: registrations have the kernel's names
  register.restrict({ registrations: ['FILES'] });
  same<number, ReturnType<typeof register.cancel>>(true);
  // @ts-expect-error: a clock of the two
  register.clock(0);
  ring.messageRing(1, ring, 2, 3);
  ring.messageRing(1, 4, 2, 3, { flags: 1 });
  sendMessage(ring, 1, 2);
  // @ts-expect-error: a descriptor is sent as a registered file
  ring.messageFile(1, ring, 5);
  ring.resize({ completionEntries: 4 });
  // @ts-expect-error: flags stay as they are
  ring.resize({ flags: 0 });
}

export function requests(): void {
  ring.write(1, file, region, { flags: RWF.APPEND });
  ring.readvFixed(1, 0, buffer, [{ offset: 0, length: 1 }]);
  // @ts-expect-error: parts of registered memory are no memory
  ring.readvFixed(1, 0, buffer, [region]);
  ring.openatDirect(1, FILE_INDEX_ALLOC, '/', 0);
  // @ts-expect-error: a slot is a number: what is in it does not matter
  ring.openatDirect(1, file, '/', 0);
  // @ts-expect-error: only registered files are installed
  ring.installFd(1, 3);
  ring.splice(1, file, -1, 3, -1, 64);
  const { reader, writer } = decodePipe(region.bytes);
  same<[typeof reader, typeof writer], [number, number]>(true);
  ring.openat2(1, '/', { resolve: 8, directory: 3 });
  // @ts-expect-error: openat2 has one argument for how
  ring.openat2(1, '/', 0, 0);
  ring.getxattr(1, '/', 'user.a');
  // @ts-expect-error: a value must be given to be set
  ring.setxattr(1, '/', 'user.a');
  ring.pollUpdate(1, 2, 0, { events: EPOLL.IN | EPOLL.ET });
  ring.timeout(1, 5, { flags: TIMEOUT.ABS | TIMEOUT.REALTIME, count: 1 });
  const target: CancelTarget = { request: 'READ', fd: file, all: true };
  ring.cancelMatching(1, target);
  // @ts-expect-error: no such request
  ring.cancelMatching(1, { request: 'RAED' });
  ring.futexWaitv(1, [{ memory: region, expected: 0 }]);
  // @ts-expect-error: the kernel must be told what to expect
  ring.futexWaitv(1, [{ memory: region }]);
  same<ChildStatus, ReturnType<typeof decodeChildStatus>>(true);
  same<EpollEvent[], ReturnType<typeof decodeEpollEvents>>(true);
  // @ts-expect-error: an epoll set watches descriptors, not registered files
  ring.epollCtl(1, 3, 1, file, { events: 1, data: 0 });
}

export function sockets(): void {
  const buffers = ring.register.bufferRing({ count: 4, size: 64 });
  same<typeof buffers, BufferRing>(true);
  ring.recvMultishot(1, file, buffers, { length: 3, bundle: true });
  ring.readMultishot(1, 0, buffers);
  // @ts-expect-error: memory is no group of buffers
  ring.recvMultishot(1, 0, region);
  // @ts-expect-error: a group of buffers is no memory
  ring.recv(1, 0, buffers);
  // @ts-expect-error: a read has no flags of a socket
  ring.readSelect(1, 0, buffers, { bundle: true });
  // @ts-expect-error: rings of buffers are made by a registrar
  void new BufferRing();
  same<ReturnType<typeof buffers.received>, Uint8Array>(true);
  const group = ring.bufferGroup({ count: 4, size: 64 });
  same<typeof group, BufferGroup>(true);
  ring.provideBuffers(1, group);
  // @ts-expect-error: a ring of buffers is given to the kernel without requests
  ring.provideBuffers(1, buffers);
  // @ts-expect-error: the older kind has nothing to send from
  ring.sendSelect(1, 0, group);
  using message = new SocketMessage({ memories: [region], control: [passDescriptors([0])] });
  ring.sendmsg(1, 0, message, { flags: 1, pollFirst: true });
  // @ts-expect-error: the pieces are of a message
  ring.sendmsg(1, 0, [region]);
  same<SocketAddress | undefined, typeof message.sender>(true);
  same<ControlMessage[], typeof message.control>(true);
  ring.sendZc(1, 0, buffer, { reportUsage: true, address: { path: 'a' } });
  // @ts-expect-error: a plain send copies
  ring.send(1, 0, buffer);
  // @ts-expect-error: where to comes before how
  ring.sendTo(1, 0, region, { flags: 1 });
  // @ts-expect-error: several connections have several peers
  ring.acceptMultishot(1, 0, { address: region });
  ring.accept(1, 0, { address: region, dontWait: true });
  same<ReturnType<typeof decodePeerAddress>, SocketAddress | undefined>(true);
  same<ReceivedMessage, ReturnType<typeof decodeReceivedMessage>>(true);
}

export async function filesAndListeners(): Promise<void> {
  const opened = await io.openFile('/', 0);
  same<PositionedFile, typeof opened>(true);
  same<number, Awaited<ReturnType<typeof opened.seek>>>(true);
  // @ts-expect-error: the place is said by the method
  void opened.read(region, { position: 0 });
  // @ts-expect-error: an origin by name
  void opened.seek(0, 2);
  const listener = io.openListener({ path: '/socket', socketOptions: { reusePort: true } });
  same<Listener, typeof listener>(true);
  for await (const connection of listener) same<number, typeof connection>(true);
  // @ts-expect-error: an address or a path
  io.openListener({ backlog: 1 });
  // @ts-expect-error: a switch is no number
  io.openListener({ path: '/socket', socketOptions: { reusePort: 1 } });
  same<PromiseSettledResult<number>[], Awaited<ReturnType<typeof io.writeMany>>>(true);
  const policies: Batching[] = ['turn', 'manual', { requests: 8 }, { requests: 8, deadlineUs: 1 }];
  // @ts-expect-error: no such policy
  policies.push('never');
}

export async function proactor(): Promise<void> {
  const { signal } = new AbortController();
  same<number, Awaited<ReturnType<typeof io.read>>>(true);
  await io.read(0, new Float64Array(4), { signal, timeout: 1, position: 0 });
  await io.write(file, Buffer.from('x'));
  // @ts-expect-error: text must be encoded first
  await io.write(0, 'text');
  // @ts-expect-error: a bare ArrayBuffer has no part to name
  await io.read(0, new ArrayBuffer(8));
  // @ts-expect-error: the option's name is timeout
  await io.read(0, region, { timeoutMs: 1 });
  same<FileStatus, Awaited<ReturnType<typeof io.statx>>>(true);
  same<void, Awaited<ReturnType<typeof io.mkdir>>>(true);
  for await (const fd of io.acceptMany(3, { signal })) same<typeof fd, number>(true);
  const address: SocketAddress = { address: '::1', port: 1 };
  await io.connect(3, address);
  await io.connect(3, { path: '/a' });
  // @ts-expect-error: an internet address has a port
  await io.connect(3, { address: '::1' });
  const options: ProactorOptions = { entries: 8, maxInFlight: 1 };
  await using other = new Proactor(options);
  same<ProactorStats, typeof other.stats>(true);
  // @ts-expect-error: the ring under a proactor is its own
  other.ring.nop(1);
}

export async function channels(): Promise<void> {
  same<Channel, ReturnType<typeof Channel.create>>(true);
  // @ts-expect-error: the capacity has no default
  Channel.create();
  // @ts-expect-error: the capacity has no default
  Channel.create({});
  const view = channel.sender.claim(1);
  // @ts-expect-error: there may be no space
  view.fill(0);
  view?.fill(0);
  same<boolean, Awaited<ReturnType<Receiver['whenReadable']>>>(true);
  same<void, Awaited<ReturnType<Sender['whenWritable']>>>(true);
  const handle: ChannelHandle = channel.senderHandle;
  Sender.attach(handle);
  // @ts-expect-error: ends are made by a channel or attached
  void new Sender();
  // @ts-expect-error: a channel has two ends
  channel.stdio('both');
  same<StdioEntry[], ReturnType<typeof channel.stdio>>(true);
  const role: Role = 'sender';
  channel.release(role);
  const waiter: Waiter = { watch: () => ({ ref() {}, unref() {}, close() {} }) };
  Receiver.fromStdio(3, { waiter });
  // @ts-expect-error: a watch can be closed
  Receiver.fromStdio(3, { waiter: { watch: () => ({ ref() {}, unref() {} }) } });
}

export async function channelsOfMore(shared: SharedArrayBuffer): Promise<void> {
  const numbers = Channel.create({ capacity: 8, type: Float32Array, waiting: 'sleep' });
  same<ElementSender<Float32Array>, typeof numbers.sender>(true);
  same<Float32Array | null, ReturnType<typeof numbers.sender.claim>>(true);
  // @ts-expect-error: not those numbers
  void numbers.sender.write(new Float64Array(1));
  same<boolean, ReturnType<typeof numbers.sender.push>>(true);
  same<number | undefined, ReturnType<typeof numbers.receiver.shift>>(true);
  const big = Channel.create({ capacity: 8, type: BigInt64Array });
  same<bigint | undefined, ReturnType<typeof big.receiver.peek>>(true);
  big.sender.push(1n);
  // @ts-expect-error: not a big one
  big.sender.push(1);
  const records = Channel.over(shared, { type: { bytes: 24 } });
  same<Uint8Array, ReturnType<typeof records.receiver.content>>(true);
  const messages = Channel.create({ capacity: 8, messages: true, whenFull: 'drop' });
  same<Uint8Array | undefined, ReturnType<typeof messages.receiver.read>>(true);
  // @ts-expect-error: elements are no messages
  Channel.create({ capacity: 8, messages: true, type: Int8Array });
  const codec: Codec<number> = { encode: () => new Uint8Array(8), decode: () => 1 };
  const objects = Channel.create({ capacity: 8, codec });
  for await (const value of objects.receiver) same<number, typeof value>(true);
  same<Promise<void> | undefined, ReturnType<typeof objects.sender.write>>(true);
  // @ts-expect-error: its codec knows numbers only
  void objects.sender.write('one');
  same<PeerState, typeof objects.sender.peerState>(true);
  same<number, ReturnType<typeof objects.sender.claimOffset>>(true);
  objects.receiver.receiveOffsets((offset: number, length: number) => offset + length, 1);
  const offer: Offer = objects.sender.renewPeer();
  same<StdioEntry[], ReturnType<typeof offer.stdio>>(true);
  const ends = [numbers.receiver, numbers.receiver];
  const readiest = waitAny(ends);
  same<ElementReceiver<Float32Array> | undefined, typeof readiest>(true);
  same<MessageSender<number>, typeof objects.sender>(true);
  same<AnyReceiver, ReturnType<typeof openReceiver>>(true);
  const fd: number = createWriteOnce(8, (bytes) => bytes.fill(1));
  openWriteOnce(fd).close();
  Channel.create({ capacity: 8, waiter: io.channelWaiter });
}

function openReceiver(): AnyReceiver {
  return openEnd('receiver', [3, 4]);
}

export async function pools(): Promise<void> {
  const { signal } = new AbortController();
  const leakDetection: LeakDetection = 'sampled';
  await using pool = new BufferPool({ bufferSize: 1, maxMemory: 1, leakDetection });
  const pooled = await io.read(0, pool, { buffers: 2, position: 0, priority: 1 });
  same<PooledBytes, typeof pooled>(true);
  same<Allocation | undefined, typeof pooled.allocation>(true);
  for await (const part of io.recvMany(0, pool)) same<PooledBytes, typeof part>(true);
  await io.write(0, pooled.allocation!, { length: pooled.length });
  // @ts-expect-error: a socket has no positions
  await io.recv(0, pool, { position: 0 });
  using run = await pool.allocate(1, { signal, timeout: 1, priority: -1 });
  same<Allocation, typeof run>(true);
  same<Uint8Array, typeof run.bytes>(true);
  for (const each of run) same<Uint8Array, typeof each>(true);
  same<Allocation | undefined, ReturnType<typeof pool.tryAllocate>>(true);
  same<Allocation, ReturnType<typeof pool.allocateSync>>(true);
  // @ts-expect-error: a sleeping thread sees no abort
  pool.allocateSync(1, { signal });
  // @ts-expect-error: there may be no room
  pool.tryAllocate(1).release();
  // @ts-expect-error: a pool has a budget
  void new BufferPool({ bufferSize: 1 });
  // @ts-expect-error: no such level
  void new BufferPool({ bufferSize: 1, maxMemory: 1, leakDetection: 'paranoid' });
  // @ts-expect-error: the length of a run does not change
  run.length = 2;
  const handle: BufferPoolHandle = pool.handle;
  const moved: AllocationHandle = run.move();
  same<Allocation, ReturnType<typeof pool.adopt>>(true);
  BufferPool.attach(handle).adopt(moved).retain().release();
  // @ts-expect-error: a pool is no allocation
  pool.adopt(handle);
  same<BufferPoolStats, typeof pool.stats>(true);
}

export function sharedRings(): void {
  using shared = new SharedRing({ threads: 2, entries: 8 });
  const handle: SharedRingHandle = shared.handle;
  const part: SharedRing = SharedRing.attach(handle);
  const theirs: FixedBuffer = part.buffer(shared.bufferHandle(buffer));
  part.readFixed(1, 3, theirs);
  const promises: Proactor = Proactor.shared(part, { maxInFlight: 2 });
  same<SharedRing | undefined, typeof promises.sharedRing>(true);
  same<SharedRingStats, typeof shared.stats>(true);
  // @ts-expect-error: set-up flags are not for shared rings
  void new SharedRing({ flags: 0 });
  // @ts-expect-error: a ring of one thread cannot be shared
  Proactor.shared(ring);
}

export function errors(): void {
  const found: Probe = probe();
  same<typeof found.available, boolean>(true);
  const error = new AnnulusError('ERR_ANNULUS_CLOSED', 'closed');
  same<typeof error.code, AnnulusErrorCode>(true);
  // @ts-expect-error: codes are listed
  void new AnnulusError('ERR_SOMETHING', 'x');
  same<SystemError['errno'], number>(true);
  // @ts-expect-error: an error's code is for reading
  error.code = 'ERR_ANNULUS_SQ_FULL';
}

export async function meeting(): Promise<void> {
  using listener = await Channel.listen('@x', { capacity: 8, role: 'sender', type: Float32Array });
  const { sender, receiver, peer } = await listener.accept();
  same<typeof sender, ElementSender<Float32Array>>(true);
  same<typeof receiver, undefined>(true);
  same<typeof peer, PeerCredentials>(true);
  const duplex = await Channel.listen('@x', { capacity: 8, codec: 'json', allow: { uid: 0 } });
  for await (const connection of duplex) {
    same<typeof connection.sender, MessageSender<unknown>>(true);
    same<typeof connection.receiver, MessageReceiver<unknown>>(true);
  }
  const any = await Channel.connect('@x');
  same<typeof any.sender, Sender | undefined>(true);
  const both = await Channel.connect('@x', { role: 'duplex', messages: true, timeout: 5 });
  same<typeof both.receiver, MessageReceiver>(true);
  await Channel.connect('@x', { signal: AbortSignal.abort(), allow: ({ uid }) => uid === 0 });
  // @ts-expect-error: it has no capacity
  await Channel.listen('@x', {});
  // @ts-expect-error: no such role
  await Channel.connect('@x', { role: 'reader' });
  // @ts-expect-error: a promise is no permission
  await Channel.connect('@x', { allow: async () => true });
  // @ts-expect-error: listeners are made by Channel.listen()
  void new ChannelListener();
}

export function children(): void {
  const stdio: StdioEntry[] = ['inherit', 'pipe', 'inherit', 'ipc'];
  const options = channel.childOptions('receiver', { name: 'a', stdio });
  fork('child.js', options);
  spawn('node', ['child.js'], channel.childOptions('sender', { ...options, name: 'b' }));
  same<ReturnType<typeof takeNumbers>, ElementReceiver<Float64Array>>(true);
  const sender = Channel.inherit({ role: 'sender' });
  same<typeof sender, Sender>(true);
  // @ts-expect-error: which end?
  Channel.inherit({ name: 'a' });
}

const takeNumbers = () => Channel.inherit({ role: 'receiver', type: Float64Array });
