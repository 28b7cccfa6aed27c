/**
 * The sending process of the run of many messages.
 */

import { MessageSender } from 'annulus/channel';
import { sendFramed } from './framed.js';

const [seed, count] = process.argv.slice(2).map(Number) as [number, number];
sendFramed(MessageSender.fromStdio(), seed, count);
