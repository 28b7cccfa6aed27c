/**
 * Shared-memory channels between threads and processes.
 *
 * @packageDocumentation
 */
export { Channel } from './channel.ts';
export type {
  ArrayOf,
  BytesOptions,
  ChannelOptions,
  CommonOptions,
  ElementsOptions,
  MessagesOptions,
  NewMemoryOptions,
  ObjectsOptions,
} from './channel.ts';
export { ChannelListener } from './listener.ts';
export type { ListenOptions } from './listener.ts';
export { Connection } from './connection.ts';
export type { AnyEnd, Ends } from './connection.ts';
export type { ConnectOptions } from './connector.ts';
export type { AllowedPeers, AllowPeer } from './credentials.ts';
export type { MeetingRole } from './greeting.ts';
export type { ChildBase, ChildOptions } from './inherit.ts';
export type { InheritOptions } from './meeting.ts';
export type { ConnectionFor, KindOptions, ListenerFor, MessageOf } from './meeting.ts';
export type { ReceiverFor, RoleFor, SenderFor } from './meeting.ts';
export type { PeerCredentials } from '../sys/sockets.ts';
export type { Codec, CodecName } from './codec.ts';
export type { EndDescriptors, Role, SignalKind } from './descriptors.ts';
export { ElementReceiver } from './element-receiver.ts';
export { ElementSender } from './element-sender.ts';
export type { ElementArray, ElementArrayType, ElementType, RecordType } from './elements.ts';
export type { BlockOptions, End, EndOptions, PeerState, WaitOptions, WaitStatus } from './end.ts';
export type { ChannelHandle } from './handle.ts';
export type { MemoryOptions } from './memory.ts';
export { MessageReceiver } from './message-receiver.ts';
export type { MessageReceiverOptions } from './message-receiver.ts';
export { MessageSender } from './message-sender.ts';
export type { MessageSenderOptions } from './message-sender.ts';
export { Offer } from './offer.ts';
export type { StdioEntry } from './offer.ts';
export { openEnd } from './open.ts';
export type { AnyEndOptions, AnyReceiver, AnySender } from './open.ts';
export { Receiver } from './receiver.ts';
export type { ReceivingEnd } from './receiving.ts';
export { Sender } from './sender.ts';
export type { SenderOptions, SendingEnd, WhenFull } from './sending.ts';
export type { SliceReceiver, SliceSender } from './slices.ts';
export type { Waiting } from './spinner.ts';
export { waitAny, whenAny } from './wait-any.ts';
export { loopWaiter } from './waiter.ts';
export type { Waiter, Watch } from './waiter.ts';
export { createWriteOnce, openWriteOnce } from './write-once.ts';
export type { WriteOnceOptions } from './write-once.ts';
