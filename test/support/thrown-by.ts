/** The error that `act` throws; it is an error of the test where it throws none. */
export function thrownBy(act: () => unknown): Error {
  try {
    act()
  } catch (error) {
    if (error instanceof Error) return error
    throw new TypeError('what was thrown is no error', { cause: error })
  }
  throw new Error('nothing was thrown')
}
