/**
 * Shared-memory channels between threads and processes.
 *
 * @packageDocumentation
 */
export { Channel } from './channel.ts';
export type { ChannelOptions, StdioEntry } from './channel.ts';
export type { BlockOptions, EndDescriptors, WaitOptions } from './end.ts';
export type { ChannelHandle, Role } from './handle.ts';
export { Receiver } from './receiver.ts';
export { Sender } from './sender.ts';
export { loopWaiter } from './waiter.ts';
export type { Waiter, Watch } from './waiter.ts';
