/**
 * Registrar: everything a ring registers with the kernel.
 */
import type { RegistrarOptions } from './calls.ts';
import { ProvidedRegistrations } from './provided.ts';

/** What a ring registers; reached as `ring.register`. */
export class Registrar extends ProvidedRegistrations {
  /** @internal Made by the ring. */
  // oxlint-disable-next-line no-useless-constructor -- makes the protected one of the base callable
  constructor(options: RegistrarOptions) {
    super(options);
  }

  /** @internal The ring has ended, and with it, for the kernel, its registrations. */
  override retire(): void {
    super.retire();
    this.tags.close();
  }
}
