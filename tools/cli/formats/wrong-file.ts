/** A file that is not of its format, that has wrong rows, or that has changed while it was read. */
export class WrongFileError extends Error {
  override readonly name = 'WrongFileError'
  readonly code = 'WRONG_FILE'
}
