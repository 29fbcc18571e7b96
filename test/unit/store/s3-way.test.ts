import { expect, test } from 'vitest'
import { documentedForm, wayOf } from '../../../src/store/s3-way.js'

const signed = (scope: string, algorithm = 'AWS4-HMAC-SHA256'): object => ({
  protocol: 'https:',
  hostname: 'prints.s3.eu-west-1.amazonaws.com',
  path: '/t/e1/a%20b',
  headers: {
    host: 'prints.s3.eu-west-1.amazonaws.com',
    authorization: `${algorithm} Credential=ID/20261129/${scope}/aws4_request, SignedHeaders=host, Signature=00`,
  },
})

test('the way is that of the request, for any key', () => {
  const way = wayOf(signed('eu-west-1/s3'), 't/e1/a b')!
  expect(way).toMatchObject({ protocol: 'https:', region: 'eu-west-1', service: 's3', port: undefined })
  expect(way.pathOf("u/(1)'*!é~")).toBe('/u/%281%29%27%2A%21%C3%A9~')
})

test('with the bucket in the path it stays there', () => {
  const request = {
    ...signed('us-east-1/s3'),
    path: '/prefix/prints/t/e1/a%20b',
    port: 7480,
    protocol: 'http:',
  }
  expect(wayOf(request, 't/e1/a b')!.pathOf('x/y')).toBe('/prefix/prints/x/y')
})

test.each([
  ['a session of a directory bucket', signed('eu-west-1/s3express'), 't/e1/a b'],
  ['several regions', signed('s3', 'AWS4-ECDSA-P256-SHA256'), 't/e1/a b'],
  ['not signed', { ...signed('eu-west-1/s3'), headers: { host: 'x' } }, 't/e1/a b'],
  ['another key', signed('eu-west-1/s3'), 'e1/b'],
  ['half a name', signed('eu-west-1/s3'), '1/a b'],
  ['another protocol', { ...signed('eu-west-1/s3'), protocol: 'ftp:' }, 't/e1/a b'],
  ['nothing', {}, 't/e1/a b'],
])('no way is known from a request that is unlike the others: %s', (_name, request, key) => {
  expect(wayOf(request, key)).toBeUndefined()
})

test('Amazon compares versions in quotation marks, of others nothing is known', () => {
  const way = wayOf(signed('eu-west-1/s3'), 't/e1/a b')!
  expect(documentedForm(way)).toBe('quoted')
  expect(documentedForm({ ...way, hostname: 's3.cn-north-1.amazonaws.com.cn' })).toBe('quoted')
  for (const other of [
    { ...way, hostname: 's3.example.org' },
    { ...way, hostname: 's3.amazonaws.com.example.org' },
    { ...way, hostname: 'notamazonaws.com' },
    { ...way, protocol: 'http:' as const },
  ])
    expect(documentedForm(other)).toBeUndefined()
})
