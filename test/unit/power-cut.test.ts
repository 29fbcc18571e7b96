import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { changeBoot } from '../power-cut/boot.js'
import { callOf, makeCall, TABLE_OPTIONS, type Call } from '../power-cut/calls.js'
import { checkAsFound, checkRecovery } from '../power-cut/check.js'
import { BrokenPromise, History } from '../power-cut/history.js'
import { differences, Model } from '../power-cut/model.js'
import { CutFailure, lostText, totalsText } from '../power-cut/report.js'
import { FileSystemLost, run, Unavailable, whyNotHere } from '../power-cut/system.js'
import { Random } from '../support/random.js'
import { thrownBy } from '../support/thrown-by.js'

const SEED = 11

function modelOf(calls: Iterable<Call>): Model {
  const model = new Model()
  for (const call of calls) model.apply(call)
  return model
}

function callsTo(end: number): Call[] {
  return Array.from({ length: end }, (_, number) => callOf(SEED, number))
}

const record = (key: number, call: number, index = 0) => ({ key, call, index })

describe('the calls', () => {
  test('are the same for the same seed, others for another, and of all types', () => {
    expect(callsTo(200)).toEqual(callsTo(200))
    expect(callOf(SEED, 3)).not.toEqual(callOf(SEED + 1, 3))
    const types = new Set(callsTo(20_000).map(({ type }) => type))
    expect([...types].sort()).toEqual([
      'batch',
      'clear',
      'clearKeys',
      'del',
      'delRecord',
      'delWhere',
      'put',
      'putColumns',
    ])
  })

  test('delete records that earlier calls have put', () => {
    const model = new Model()
    let effective = 0
    for (const call of callsTo(3000)) {
      const before = model.digest
      model.apply(call)
      if (call.type === 'delRecord' && model.digest !== before) effective++
    }
    expect(effective).toBeGreaterThan(5)
  })
})

describe('the model', () => {
  test('keeps the records of a key in their order', () => {
    const [a, b] = [record(1, 0), record(1, 1)]
    const [ab, ba] = [
      [a, b],
      [b, a],
    ].map(records => new Model([[1, records]]))
    expect(ab!.digest).not.toBe(ba!.digest)
    expect(differences(ab!, ba!, 5)).toEqual(['key 1 has [0.0 1.0], expected [1.0 0.0]'])
    expect(differences(ab!, ab!.copy(), 5)).toEqual([])
  })

  test('deletes by key, record and field, and everything', () => {
    const puts: Call = { type: 'putColumns', records: [record(1, 0, 0), record(1, 0, 1), record(2, 0, 2)] }
    const last: Call = { type: 'put', record: record(2, 1) }
    const left = (call: Call) =>
      modelOf([puts, last, call]).keys.flatMap(key => modelOf([puts, last, call]).recordsOf(key))
    expect(left({ type: 'del', key: 1 })).toEqual([record(2, 0, 2), record(2, 1)])
    expect(left({ type: 'delRecord', record: record(1, 0, 0) })).toHaveLength(3)
    expect(left({ type: 'delWhere', call: 0 })).toEqual([record(2, 1)])
    expect(left({ type: 'clear' })).toEqual([])
    expect(modelOf([puts, { type: 'clear' }]).digest).toBe(new Model().digest)
  })

  test('holds what a table holds after the same calls', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'flashtable-power-cut-test-'))
    try {
      const table = await FlashTable.open(directory, TABLE_OPTIONS)
      for (const call of callsTo(400)) await makeCall(table, call)
      await table.close()
      const history = new History(SEED)
      const found = await checkAsFound(directory, history, { made: 400, durable: 400 })
      expect(found).toMatchObject({ made: 400, lost: 0 })
      await checkRecovery(directory, history, new Random(1))
      expect(history.next).toBe(440)
    } finally {
      await rm(directory, { recursive: true })
    }
  })
})

describe('what is found after a cut', () => {
  const found = (end: number) => modelOf(callsTo(end))

  test('may lack calls that were not acknowledged as durable, from the end of the history', () => {
    expect(new History(SEED).settle(found(70), { made: 100, durable: 60 })).toEqual({
      made: 100,
      lost: 30,
      spared: 10,
    })
    expect(new History(SEED).settle(found(0), { made: 100, durable: 0 }).lost).toBe(100)
    expect(new History(SEED).settle(found(100), { made: 100, durable: 100 }).lost).toBe(0)
  })

  test('breaks a promise where a durable call is lost', () => {
    const settle = () => new History(SEED).settle(found(70), { made: 100, durable: 72 })
    expect(settle).toThrow(new BrokenPromise('calls 70 to 71 were acknowledged as durable and are lost'))
  })

  test('breaks a promise where a call is there in part, or one in the middle is missing', () => {
    const number = callsTo(100).findIndex(({ type }) => type === 'batch')
    const batch = callOf(SEED, number) as Call & { type: 'batch' }
    const part = modelOf([...callsTo(number), { ...batch, operations: batch.operations.slice(1) }])
    const hole = modelOf(callsTo(100).filter((_, call) => call !== number))
    for (const model of [part, hole]) {
      const settle = () => new History(SEED).settle(model, { made: 100, durable: 0 })
      expect(settle).toThrow(/is no prefix of the history; against calls 0 to \d+:\n {2}key \d+ has \[/)
    }
  })

  test('breaks a promise where a call that a cut had taken comes back', () => {
    const history = new History(SEED)
    history.settle(found(70), { made: 100, durable: 60 })
    expect(history.next).toBe(100)
    expect(() => history.settle(found(80), { made: 100, durable: 0 })).toThrow(BrokenPromise)
    const next = modelOf([...callsTo(70), callOf(SEED, 100)])
    expect(history.settle(next, { made: 120, durable: 101 })).toEqual({ made: 20, lost: 19, spared: 0 })
  })
})

describe('where it cannot work', () => {
  test('it says what it needs', () => {
    expect(whyNotHere('linux', 0)).toBeUndefined()
    expect(whyNotHere('linux', 1000)).toMatch(/needs root/)
    expect(whyNotHere('darwin', 0)).toMatch(/needs Linux/)
  })

  test('it names the package of a command that is missing', () => {
    vi.stubEnv('PATH', '/nowhere')
    try {
      expect(thrownBy(() => run('xfs_io', '-V'))).toEqual(
        new Unavailable('xfs_io is missing (Debian: apt-get install xfsprogs)'),
      )
    } finally {
      vi.unstubAllEnvs()
    }
  })

  test('it tells what a command that failed has said', () => {
    expect(() => run('ls', '/nowhere')).toThrow(/^ls: .*\/nowhere/)
  })
})

describe('a boot', () => {
  let directory = ''
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'flashtable-power-cut-test-'))
  })
  afterEach(() => rm(directory, { recursive: true }))

  test('ends the lock of this process, torn or whole, and touches no other file', async () => {
    await writeFile(join(directory, 'LOCK'), '{"bootId":"this-boot","pi\xff', 'latin1')
    await writeFile(join(directory, '000001.wal'), 'this-boot')
    changeBoot(directory, 'this-boot')
    const lock = await readFile(join(directory, 'LOCK'), 'latin1')
    expect(lock).toBe('{"bootId":"00000000-0000-4000-8000-000000000000","pi\xff')
    expect(await readFile(join(directory, '000001.wal'), 'utf8')).toBe('this-boot')
    changeBoot(join(directory, 'missing'), 'this-boot')
  })
})

describe('the report', () => {
  test('of a failure has the command that shows it again', () => {
    const place = { name: 'xfs', seed: 12, cut: 3, table: '/tmp/table' } as const
    expect(new CutFailure(place, new BrokenPromise('calls 1 to 2 are lost')).message).toBe(
      [
        'xfs, cut 3: calls 1 to 2 are lost',
        'again: npm run test:power-cut -- --file-system xfs --seed 12 --cuts 3',
        '  (the same choices; the moment of the cut differs: more --cuts may be needed)',
        'the table as the cut has left it: /tmp/table',
      ].join('\n'),
    )
  })

  test('of a failure that is no broken promise has its place in the code', () => {
    const place = { name: 'xfs', seed: 12, cut: 3, table: undefined } as const
    expect(new CutFailure(place, new TypeError('bug')).message).toMatch(/^xfs, cut 3: TypeError: bug\n +at /)
  })

  test('of a file system that is lost blames no table', () => {
    expect(lostText('btrfs', 15, new FileSystemLost('mount: File exists'))).toBe(
      'btrfs: cannot be mounted any more after cut 15, which says nothing of the table (mount: File exists)',
    )
  })

  test('of a success counts what has happened', () => {
    const counts = { cuts: 50, tables: 4, open: 40, calls: 12_345, lost: 1000, losing: 30, inPart: 20 }
    expect(totalsText('ext4', { ...counts, merged: 25 })).toBe(
      'ext4: no promise was broken; cuts: 50 (of an open table: 40); tables: 4; ' +
        'calls made: 12,345, lost: 1,000, none of them acknowledged as durable; ' +
        'cuts that took calls: 30 (and spared others that were not durable either: 20); ' +
        'merged files found: 25 times',
    )
  })
})
