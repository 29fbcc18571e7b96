import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // By default one processor is left free: of two that is half of them.
    maxWorkers: '100%',
    testTimeout: 120_000,
    hookTimeout: 60_000,
    coverage: { include: ['src/**'], reporter: ['text-summary', 'json-summary'] },
  },
})
