/**
 * Runs `work` for 0 to `count` - 1, at most `most` at once.
 *
 * After a failure no more begin. It rejects with the first failure, but only when the running ones have ended: the
 * caller may then release what they read. `Promise.all` would leave them running.
 */
export async function atOnce(
  count: number,
  most: number,
  work: (number: number) => Promise<void>,
): Promise<void> {
  let next = 0
  let failure: { readonly reason: unknown } | undefined
  const worker = async (): Promise<void> => {
    while (next < count && failure === undefined) {
      try {
        await work(next++)
      } catch (reason) {
        failure ??= { reason }
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(most, count) }, worker))
  if (failure !== undefined) throw failure.reason
}
