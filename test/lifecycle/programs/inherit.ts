/**
 * A child process with two channels: answers what it receives. Its first argument is a command for a
 * child of its own, which must not inherit them.
 */

import { execFileSync } from 'node:child_process';

import { Channel } from 'annulus/channel';

const receiver = Channel.inherit({ role: 'receiver', name: 'questions', messages: true });
const sender = Channel.inherit({ role: 'sender', name: 'answers', codec: 'json' });

let again = 'taken';
try {
  Channel.inherit({ role: 'receiver', name: 'questions', messages: true });
} catch (error) {
  again = (error as { code: string }).code;
}
const listing = execFileSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8' });

for await (const message of receiver) {
  await sender.write({
    heard: Buffer.from(message).toString(),
    again,
    variable: process.env['ANNULUS_CHANNELS'] ?? null,
    leaked: listing.includes('annulus-channel'),
  });
}
sender.end();
process.disconnect?.();
