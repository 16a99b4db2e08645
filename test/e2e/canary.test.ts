/** The search for canaries finds what is planted, in each form and each place, and finds nothing where nothing is. */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtempDisposable, open, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { silent } from '../../src/base/log.ts';
import { clientConfig } from '../../src/db/dsn.ts';
import { startEmbedded } from '../../src/db/embedded.ts';
import { canary, drawCanary, patternsOf, searchBytes, searchIn } from '../support/canary.ts';
import { formsOf } from '../support/canary-forms.ts';
import { type Decoder, gunzip, scan, unzstd } from '../support/canary-scan.ts';

const planted = drawCanary('planted');
const other = drawCanary('other');
const raw = Buffer.from(planted.text);

function wrap(text: string, width: number, end = '\n'): string {
  return text.match(new RegExp(`.{1,${width}}`, 'g'))?.join(end) ?? '';
}

/** What programs write, made by their own means and not by the table of forms under test. */
const written: readonly (readonly [name: string, text: string | Buffer])[] = [
  ['as it is', planted.text],
  ['JSON', JSON.stringify({ password: planted.text })],
  ['JSON within JSON', JSON.stringify({ body: JSON.stringify({ password: planted.text }) })],
  ['a Buffer in JSON', JSON.stringify(raw)],
  ['a Buffer in pretty JSON', JSON.stringify(raw, null, 2)],
  ['a Buffer on a console', inspect(raw)],
  ['a Uint8Array on a console', inspect(new Uint8Array(raw))],
  ['hex', raw.toString('hex')],
  ['upper-case hex', raw.toString('hex').toUpperCase()],
  ['hex dump in lines', wrap(raw.toString('hex'), 16)],
  ['hex with colons', wrap(raw.toString('hex'), 2, ':')],
  ['base64', raw.toString('base64')],
  ['base64 behind one byte', Buffer.concat([Buffer.from('x'), raw, Buffer.from('tail')]).toString('base64')],
  ['base64 behind two bytes', Buffer.concat([Buffer.from('xy'), raw, Buffer.from('tail')]).toString('base64')],
  ['base64url behind two bytes', Buffer.concat([Buffer.from('xy'), raw, Buffer.from('tail')]).toString('base64url')],
  ['PEM', wrap(Buffer.concat([randomBytes(50), raw, randomBytes(50)]).toString('base64'), 16)],
  ['MIME with CRLF', wrap(Buffer.concat([randomBytes(51), raw, randomBytes(51)]).toString('base64'), 20, '\r\n')],
  ['HTTP Basic', `Authorization: Basic ${Buffer.from(`ana:${planted.text}`).toString('base64')}`],
  ['UTF-16LE', Buffer.from(planted.text, 'utf16le')],
  ['UTF-16BE', Buffer.from(planted.text, 'utf16le').swap16()],
  ['a URL', `/login?password=${encodeURIComponent(planted.text)}&x=1`],
  ['a query string', new URLSearchParams({ password: planted.text }).toString()],
  ['a form in lower case', encodeURIComponent(planted.text).replaceAll(/%../g, (code) => code.toLowerCase())],
];

describe('bytes', () => {
  test.each(written)('a secret written as %s is found', (_, bytes) => {
    const text = Buffer.from(bytes as string);
    const hits = searchBytes([other, planted], 'a log', Buffer.concat([randomBytes(99), text, randomBytes(99)]));
    expect(hits.map((hit) => hit.canary)).toContain('planted');
    expect(hits.map((hit) => hit.canary)).not.toContain('other');
    expect(JSON.stringify(hits)).not.toContain(planted.text.slice(-15));
  });

  test('nothing is found in noise, in another secret, or in a part of the secret', () => {
    expect(searchBytes([planted], 'noise', randomBytes(1 << 20))).toEqual([]);
    expect(searchBytes([planted], 'other', `${JSON.stringify(other.text)} ${other.text}`)).toEqual([]);
    expect(searchBytes([planted], 'part', raw.subarray(0, -1))).toEqual([]);
  });

  test('every form is found wherever the stream of bytes is cut', () => {
    const key = canary('key', randomBytes(16));
    const patterns = patternsOf([key, planted]);
    const forms = [key, planted].flatMap(({ name, bytes }) => formsOf(bytes).map((form) => ({ name, ...form })));
    fc.assert(
      fc.property(
        fc.constantFrom(...forms),
        fc.uint8Array({ maxLength: 300 }),
        fc.array(fc.nat({ max: 600 }), { maxLength: 4 }),
        (form, before, cuts) => {
          const whole = Buffer.concat([before, form.bytes, Buffer.from('~end')]);
          const search = searchIn(patterns, 'x');
          let at = 0;
          for (const cut of [...cuts.toSorted((a, b) => a - b), whole.length]) {
            search.add(whole.subarray(at, Math.max(at, cut)));
            at = Math.max(at, Math.min(cut, whole.length));
          }
          const hit = search.hits().find((found) => found.canary === form.name);
          expect(hit).toBeDefined();
        },
      ),
      { numRuns: 500 },
    );
  });

  test('a canary that chance could write is refused', () => {
    expect(() => canary('short', 'hunter2')).toThrow(/eight are the least/);
  });
});

describe('a disk', () => {
  test('a clean tree has no hits, and the count says how much was searched', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'canary-'));
    await mkdir(join(folder.path, 'a/b'), { recursive: true });
    await writeFile(join(folder.path, 'a/b/log'), randomBytes(100_000));
    await writeFile(join(folder.path, 'other'), other.text);
    const found = await scan([planted], [folder.path]);
    expect(found).toMatchObject({ hits: [], files: 2, bytes: 100_000 + other.bytes.length, unread: [] });
    await expect(scan([planted], [join(folder.path, 'not-there')])).rejects.toThrow(/ENOENT/);
  });

  test('a secret in a file, a file name, behind a link, and across two pieces of a huge sparse file is found', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'canary-'));
    await using outside = await mkdtempDisposable(join(tmpdir(), 'canary-'));
    await mkdir(join(folder.path, 'deep/er'), { recursive: true });
    await writeFile(join(folder.path, 'deep/er/log'), `x${planted.text}`);
    await writeFile(join(folder.path, `name-${raw.toString('hex')}`), '');
    await writeFile(join(outside.path, 'space'), raw);
    await symlink(outside.path, join(folder.path, 'link'));
    await using sparse = await open(join(folder.path, 'sparse'), 'w');
    const offset = (1 << 30) - 10;
    await sparse.write(raw, 0, raw.length, offset);
    const found = await scan([planted], [folder.path]);
    expect(found.hits).toEqual(
      expect.arrayContaining([
        { canary: 'planted', form: 'raw', place: join(folder.path, 'deep/er/log'), offset: 1 },
        { canary: 'planted', form: 'raw', place: join(folder.path, 'link/space'), offset: 0 },
        { canary: 'planted', form: 'raw', place: join(folder.path, 'sparse'), offset },
        expect.objectContaining({ form: 'hex', place: expect.stringMatching(/^name of /) }),
      ]),
    );
    expect(found.bytes).toBeGreaterThan(offset);
  });

  test('a secret in a compressed file is found through a decoder, and a broken file is named as unread', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'canary-'));
    const log = `line\n${planted.text}\n`.repeat(20);
    await writeFile(join(folder.path, 'log.1.gz'), gzipSync(log));
    await writeFile(join(folder.path, 'log.2.zst'), zstdCompressSync(log));
    await writeFile(join(folder.path, 'cut.gz'), gzipSync(log).subarray(0, 60));
    const sealed: Decoder = {
      name: 'sealed',
      matches: (path) => path.endsWith('.sealed'),
      decode: async function* () {
        yield raw.subarray(0, 5);
        yield raw.subarray(5);
      },
    };
    await writeFile(join(folder.path, 'x.sealed'), 'sealed');
    const without = await scan([planted], [folder.path]);
    expect(without.hits.filter((hit) => /gz$|sealed$/.test(hit.place))).toEqual([]);
    const found = await scan([planted], [folder.path], { decoders: [gunzip, unzstd, sealed] });
    expect(found.hits.map((hit) => hit.place.slice(folder.path.length + 1))).toEqual(
      expect.arrayContaining(['log.1.gz (gzip)', 'log.2.zst (zstd)', 'x.sealed (sealed)']),
    );
    expect(found.unread).toEqual([{ path: join(folder.path, 'cut.gz'), reason: expect.stringContaining('gzip') }]);
  });
});

test('a secret in a PostgreSQL cluster is found in its tables, in its WAL after the row is gone, and as bytea', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'canary-'));
  const dir = join(folder.path, 'db');
  await using database = await startEmbedded({ dir, log: silent }, new AbortController().signal);
  const client = new pg.Client(clientConfig(database.adminUrl));
  await client.connect();
  try {
    await client.query('CREATE TABLE t (name text, value text, sealed bytea)');
    const clean = await scan([planted, other], [folder.path]);
    expect(clean.hits).toEqual([]);
    expect(clean.unread).toEqual([]);
    expect(clean.files).toBeGreaterThan(500);

    await client.query('INSERT INTO t VALUES ($1, $2, $3)', ['x', planted.text, Buffer.from(other.bytes)]);
    await client.query('CHECKPOINT');
    const filled = await scan([planted, other], [folder.path]);
    const inTables = filled.hits.filter((hit) => hit.place.includes('/base/'));
    expect(new Set(inTables.map((hit) => hit.canary))).toEqual(new Set(['planted', 'other']));
    await client.query('TRUNCATE t');
    await client.query('CHECKPOINT');
    const truncated = await scan([planted, other], [folder.path]);
    const inWal = truncated.hits.filter((hit) => hit.place.includes('/pg_wal/'));
    expect(new Set(inWal.map((hit) => hit.canary))).toEqual(new Set(['planted', 'other']));
  } finally {
    await client.end();
  }
});
