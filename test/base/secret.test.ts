/** A secret cannot be shown by accident, and is gone when it is let go. */
import { Console } from 'node:console';
import { PassThrough } from 'node:stream';
import { format, inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import { openLog } from '../../src/base/log.ts';
import { Secret } from '../../src/base/secret.ts';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const shown = (secret: Secret): Record<string, string> => {
  const stream = new PassThrough();
  new Console(stream).log(secret, { deep: { secret } });
  return {
    asText: String(secret),
    joined: [secret, secret].join(' '),
    json: JSON.stringify({ secret, list: [secret] }),
    inspected: inspect({ secret }, { depth: 9, showHidden: true }),
    bare: inspect(secret, { showHidden: true }),
    formatted: format('%s %o %O %j', secret, secret, secret, secret),
    logged: String(stream.read()),
    keys: JSON.stringify([Object.entries(secret), Reflect.ownKeys(secret).map(String)]),
    copied: JSON.stringify(Object.assign({}, secret)),
    error: inspect(new Error('x', { cause: secret })),
  };
};

describe('a secret', () => {
  test('is shown nowhere: not in text, JSON, inspection or a log', () => {
    using secret = Secret.fromText('hunter2');
    for (const [how, text] of Object.entries(shown(secret))) {
      expect(text, how).not.toContain('hunter2');
      // "hunter2" as numbers, in hex and in base64
      expect(text, how).not.toMatch(/104, ?117|68 ?75 ?6e|aHVudGVy/);
    }
    expect(shown(secret)['json']).toBe('{"secret":"[secret]","list":["[secret]"]}');
  });

  test('is not in the log that is written to disk', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-secret-'));
    try {
      using secret = Secret.fromText('hunter2');
      openLog('test', 'info', join(folder, 'log')).info({ secret, nested: { secret } }, 'here');
      expect(readFileSync(join(folder, 'log'), 'utf8')).toContain('[secret]');
      expect(readFileSync(join(folder, 'log'), 'utf8')).not.toContain('hunter2');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test.each([
    ['plain bytes', utf8('hunter2')],
    ['a Buffer', Buffer.from('hunter2')],
    ['a view into more', Buffer.from('xxhunter2xx').subarray(2, 9)],
  ])('of %s takes them over, and zeroes them at the end of the block', (_, bytes) => {
    {
      using secret = new Secret(bytes);
      expect(secret.revealText()).toBe('hunter2');
      expect(secret.length).toBe(7);
    }
    expect([...bytes]).toEqual([0, 0, 0, 0, 0, 0, 0]);
  });

  test('of a view into more leaves what is around it', () => {
    const whole = Buffer.from('xxhunter2yy');
    new Secret(whole.subarray(2, 9))[Symbol.dispose]();
    expect(whole.toString()).toBe('xx\0\0\0\0\0\0\0yy');
  });

  test('cannot be used after it was let go', () => {
    const secret = Secret.fromText('x');
    secret[Symbol.dispose]();
    secret[Symbol.dispose]();
    expect(() => secret.reveal()).toThrow('disposed');
    expect(() => secret.revealText()).toThrow('disposed');
    expect(() => secret.copy()).toThrow('disposed');
    expect(() => secret.equals(Secret.fromText('x'))).toThrow('disposed');
  });

  test('has a copy with a life of its own', () => {
    const secret = new Secret(Buffer.from('hunter2'));
    using copy = secret.copy();
    secret[Symbol.dispose]();
    expect(copy.revealText()).toBe('hunter2');
  });

  test('equals another of the same bytes only', () => {
    const equal = (a: string, b: string): boolean => Secret.fromText(a).equals(Secret.fromText(b));
    expect([equal('abc', 'abc'), equal('abc', 'abd'), equal('abc', 'ab'), equal('', '')]).toEqual([
      true,
      false,
      false,
      true,
    ]);
  });

  test('that is no text is not made into some', () => {
    expect(() => new Secret(Uint8Array.of(0xff, 0xfe)).revealText()).toThrow();
  });
});
