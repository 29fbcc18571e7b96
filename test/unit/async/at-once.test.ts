import { expect, test } from 'vitest'
import { atOnce } from '../../../src/async/at-once.js'

const turn = (): Promise<void> => new Promise(resolve => void setImmediate(resolve))

test('all tasks are run, and no more of them at once than was asked for', async () => {
  const begun: number[] = []
  let running = 0
  let most = 0
  await atOnce(10, 3, async number => {
    begun.push(number)
    most = Math.max(most, ++running)
    await turn()
    running--
  })
  expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  expect(most).toBe(3)
})

test('a failure is told when those that run have ended, and nothing begins after it', async () => {
  const ended: number[] = []
  const running = atOnce(10, 3, async number => {
    if (number === 1) throw new Error('the second')
    await turn()
    await turn()
    ended.push(number)
    throw new Error('a later one')
  })
  await expect(running).rejects.toThrow('the second')
  expect(ended).toEqual([0, 2])
})

test('of no tasks none is run', async () => {
  await atOnce(0, 3, () => Promise.reject(new Error('never')))
})
