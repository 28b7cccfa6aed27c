/**
 * The wait protocol of a shared pool neither deadlocks nor overtakes nor overspends, and each part
 * that is taken away makes it do so.
 */

import { describeModel } from './support/model.js';

describeModel('pool', 'the model of a shared pool');
