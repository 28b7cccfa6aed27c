/**
 * The protocol of a channel in every interleaving: nobody waits for ever, and what is received is what
 * was sent. Each part that is taken away makes one of these untrue.
 */

import { describeModel } from './support/model.js';

describeModel('channel-wakeup', 'the model of how the ends of a channel sleep and wake');
describeModel('channel-bytes', 'the model of what the bytes of a channel go through');
