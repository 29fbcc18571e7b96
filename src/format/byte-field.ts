/** One row of a byte table of docs/file-format.md; a test compares the tables of the code with those of the document. */
export interface ByteField {
  readonly name: string
  readonly offset: number
  readonly bytes: number
}
