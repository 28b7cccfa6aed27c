/**
 * SlabUser: who has slabs of a pool registered with the kernel, as the pool knows it.
 */

/** Something that keeps slabs in memory, and lets go of them when the pool asks for it. */
export interface SlabUser {
  /**
   * Unregisters slabs, by `pool.unpinSlab()`.
   *
   * @param idleOnly - Only those it has not used since it was last asked.
   */
  letGo(idleOnly: boolean): void;
}
