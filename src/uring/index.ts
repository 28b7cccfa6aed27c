/**
 * io_uring: rings, requests, registrations, probe.
 *
 * @packageDocumentation
 */
export {
  CANCEL,
  CQE,
  ENTER,
  FEATURE,
  FSYNC,
  MSG_FLAG,
  NOTIF,
  SCM,
  SETUP,
  SO,
  SOL,
  SQ,
  SQE,
} from '../sys/abi.ts';
export { CLD, EPOLL, EPOLL_CTL, FADVISE, FALLOC, MADVISE, P, RESOLVE, RWF } from '../sys/abi.ts';
export { SPLICE, SYNC_RANGE, TIMEOUT, W, XATTR } from '../sys/abi.ts';
export { IPV6, REGISTER_NAMES, TCP } from '../sys/abi.ts';
export type { RegisterName } from '../sys/abi.ts';
export { BufferGroup, bufferIdOf, BufferRing, ProvidedBuffers } from './buffers.ts';
export type { BufferOptions, BufferRingOptions, BufferRingStatus } from './buffers.ts';
export { FixedBuffer, FixedFile } from './descriptors.ts';
export type { Fd, Memory, MemoryRange } from './descriptors.ts';
export type { CompletionCallback } from './cqueue.ts';
export { createEpoll, decodeEpollEvents } from './epoll.ts';
export type { EpollEvent } from './epoll.ts';
export {
  controlBytes,
  decodeControl,
  decodeReceivedMessage,
  encodeControl,
  passDescriptors,
  passedDescriptors,
  SocketMessage,
} from './msghdr.ts';
export type {
  ControlMessage,
  MessageLayout,
  ReceivedMessage,
  SocketMessageOptions,
} from './msghdr.ts';
export { OP, OPCODES } from './opcodes.ts';
export type { Opcode, OpcodeName } from './opcodes.ts';
export { decodePipe } from './pipes.ts';
export { probe } from './probe.ts';
export type { Probe, ProbedKernel } from './probe.ts';
export type { BufferSource, CloneOptions, TagOptions } from './register/buffers.ts';
export { CLOCK } from './register/control.ts';
export type { SyncCancelTarget } from './register/cancel.ts';
export type { CancelTarget } from './cancel-target.ts';
export type { NapiOptions, Restrictions, WorkerLimits } from './register/control.ts';
export type { RegisteredWaits, WaitOptions } from './register/memory.ts';
export type { ZeroCopyQueue, ZeroCopyReceiver } from './register/network.ts';
export type { Registrar } from './register/registrar.ts';
export { REGISTRATIONS } from './registrations.ts';
export type { Registration } from './registrations.ts';
export type {
  CommandOptions,
  FileMessageOptions,
  MessageOptions,
  NopOptions,
  RingTarget,
} from './requests/command.ts';
export { FILE_INDEX_ALLOC } from './requests/descriptor.ts';
export type { BufferPart, FileRange, Integrity } from './requests/file.ts';
export type { OpenHow, PathOptions, TwoPathOptions } from './requests/path.ts';
export type { FutexOptions, FutexWaiter } from './requests/process.ts';
export { wasCopied } from './requests/message.ts';
export type {
  MessageRange,
  VectorRange,
  ZeroCopyMessageRange,
  ZeroCopyOptions,
  ZeroCopyRange,
} from './requests/message.ts';
export type { SelectRange, SelectSocketRange } from './requests/select.ts';
export { SHUT } from './requests/socket.ts';
export type { AcceptOneOptions, AcceptOptions, SocketRange } from './requests/socket.ts';
export type { PollChange, PollOptions, TimeoutOptions } from './requests/timer.ts';
export { Ring } from './ring.ts';
export type { RingStats } from './ring.ts';
export type { SharedRingHandle, SharedRingOptions, SharedRingQueues } from './shared/handle.ts';
export type { RingOffsets } from './setup.ts';
export type { SharedSizes } from './shared/layout.ts';
export { SharedRing } from './shared/ring.ts';
export type { FixedBufferHandle, SharedRingStats, SharedWaitOptions } from './shared/ring.ts';
export { sendMessage } from './send-message.ts';
export { ringMemoryBytes } from './options.ts';
export type { RingOptions } from './options.ts';
export { ENTER_FLAGS, FEATURES, SETUP_FLAGS, SQE_FLAGS } from './flags.ts';
export type { Flag } from './flags.ts';
export type { SubmitWaitOptions } from './wait.ts';
export { decodeChildStatus } from './siginfo.ts';
export type { ChildStatus } from './siginfo.ts';
export type { UnavailableCause } from '../sys/unavailable.ts';
export {
  AF,
  decodePeerAddress,
  decodeSocketAddress,
  encodeSocketAddress,
  PEER_BYTES,
  SOCK,
} from './sockaddr.ts';
export type { SocketAddress } from './sockaddr.ts';
export { AT, decodeStatx, S_IF } from './statx.ts';
export type { FileStatus } from './statx.ts';
