/** What verify says of a log: counts of frames and records, and every gap between intact frames. */
import { describe, expect, test } from 'vitest'
import { check, FIRST, Log, newLog, PAGE, pathOf } from './log.js'

describe('checkLog', () => {
  test('each append is one frame, however many of them replay hands out together', async () => {
    const log = await newLog()
    for (let i = 0; i < 50; i++) await log.append(1 + (i % 2))
    expect(await check(log)).toEqual({
      problems: [],
      segments: 1,
      endSequence: 75,
      frames: 50,
      records: 75,
      tornAt: undefined,
    })
  })

  test('after damage the intact frames are counted, and the gap is reported once with its operations', async () => {
    const log = await newLog()
    for (let i = 0; i < 5; i++) {
      await log.append(2)
      await log.sync()
    }
    for (const page of [1, 2]) log.disk.flipByte(FIRST, page * PAGE + 40)
    expect(await check(log)).toMatchObject({
      problems: [
        {
          path: FIRST,
          offset: 48,
          message: 'expected the frame that begins with sequence number 2; operations to 5 are missing',
        },
      ],
      frames: 3,
      records: 6,
      endSequence: 10,
    })
  })

  test('a missing closed segment is reported with the operations that it held', async () => {
    const log = await newLog()
    await log.append(3)
    const closed = log.writer.rotate()!
    await log.append(4)
    log.disk.removeFile(FIRST)
    const { problems } = await check(log, { closed: [closed], openSegments: [2] })
    expect(problems).toEqual([
      { path: FIRST, offset: 0, message: 'the log segment is missing, with operations 0 to 2' },
    ])
  })

  test('a torn tail is reported as such and is no problem', async () => {
    const log = await newLog()
    await log.append(3)
    await log.append(3)
    log.disk.flipByte(FIRST, 120)
    const { problems, tornAt, frames } = await check(log)
    expect({ problems, tornAt, frames }).toEqual({
      problems: [],
      tornAt: { path: FIRST, offset: 64 },
      frames: 1,
    })
  })

  test('an open segment that somebody has overwritten is reported as torn from its first byte', async () => {
    const log = await newLog({ nextSequence: 100 })
    await log.append(3)
    log.disk.writeFile(pathOf(2), new Uint8Array(PAGE).fill(0xee))
    const { problems, tornAt } = await check(log, { firstSequence: 100 })
    expect({ problems, tornAt }).toEqual({ problems: [], tornAt: { path: pathOf(2), offset: 0 } })
  })

  test('a spare under its new number is not taken for an overwritten segment', async () => {
    const older = await newLog()
    await older.append(3)
    await older.writer.close()
    const disk = older.disk.clone()
    disk.writeFile(pathOf(3), disk.readFile(FIRST))
    disk.removeFile(FIRST)
    const log = new Log(disk, { epoch: 2, nextNumber: 2, nextSequence: 3 })
    await log.append(3)
    const checked = await check(log, { epoch: 2, firstSequence: 3, nextSequence: 3 })
    expect(checked).toMatchObject({ problems: [], tornAt: undefined, frames: 1 })
  })

  test('a defect of the operations is a problem of their segment', async () => {
    const log = await newLog()
    await log.append(3)
    const { problems } = await check(log, { defectOf: rows => `${rows.count} rows` })
    expect(problems).toEqual([{ path: FIRST, offset: undefined, message: '3 rows' }])
  })
})
