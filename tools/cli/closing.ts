/** Runs `work` and closes what it works on; where both fail, the failure of `work` is the one that counts. */
export async function closing<Resource extends { close(): Promise<void> }, Result>(
  resource: Resource,
  work: (resource: Resource) => Promise<Result>,
): Promise<Result> {
  let result: Result
  try {
    result = await work(resource)
  } catch (error) {
    await resource.close().catch(() => {})
    throw error
  }
  await resource.close()
  return result
}
