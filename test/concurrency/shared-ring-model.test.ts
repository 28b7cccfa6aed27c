/**
 * The protocols of a shared ring in every interleaving: each request comes to the kernel once and each
 * completion to its owner once, and nobody waits for ever. Each part that is taken away makes one of
 * these untrue.
 */

import { describeModel } from './support/model.js';

describeModel('shared-ring-submission', 'the model of how threads share a submission queue');
describeModel('shared-ring-reaping', 'the model of how threads share a completion queue');
describeModel('shared-ring-wakeup', 'the model of how threads of a shared ring sleep and wake');
describeModel('shared-ring-seats', 'the model of how an index goes from thread to thread');
