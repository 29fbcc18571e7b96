/** Which manifest a job takes for the one of its writer. */
import { expect, test } from 'vitest'
import { jobFileSystem } from '../../../src/jobs/guarded-executor.js'
import type { CompactionJob } from '../../../src/jobs/job.js'
import { tableIdBytes } from '../../../src/manifest/bucket-file-entry.js'
import { DIRECTORY, manifestOf, newDisk, openTable } from '../../support/damaged-table.js'

const MOVED = { code: 'FLASHTABLE_MOVED' }

test.each([
  ['of a writer takes the epoch of its manifest alone', false, [1]],
  ['of a recovery takes the epoch before its own alone', true, [2]],
])('a job %s', async (_, ofRecovery, taken) => {
  const disk = newDisk()
  const table = await openTable(disk)
  const { tableId, epoch } = manifestOf(disk)
  const home = (await disk.stamp(DIRECTORY))!.identity
  for (const later of [-1, 0, 1, 2]) {
    const job = {
      directory: DIRECTORY,
      home,
      ofRecovery,
      tableId: tableIdBytes(tableId),
      output: { epoch: epoch + later },
    } as unknown as CompactionJob
    const path = `${DIRECTORY}/${900_000 + later}.bucket`
    const made = jobFileSystem(disk, job).open(path, 'create')
    if (later + 1 === taken[0]) await (await made).close()
    else await expect(made, `epoch ${later}`).rejects.toMatchObject(MOVED)
  }
  await table.close()
})
