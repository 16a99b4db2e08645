/** The data directory: who may pass, who may look, and a user of the gates' own that is never root. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Folders, prepareFolders } from '../../src/supervisor/folders.ts';

const root = process.getuid?.() === 0;
let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'sallyport-folders-'));
  chmodSync(home, 0o755);
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const modeOf = (path: string): number => statSync(path).mode & 0o777;
const privateOf = (made: Folders): string[] => [
  dirname(made.keeperSocket),
  dirname(made.linkSocket),
  made.spool,
  made.recordings,
  made.anchors,
  made.log,
];

test('what is missing is made, and what others must not see is for its owner only', () => {
  const made = prepareFolders(join(home, 'data'));
  for (const folder of privateOf(made)) expect(modeOf(folder), folder).toBe(0o700);
});

test('folders that somebody has opened to others are closed again', () => {
  const made = prepareFolders(join(home, 'data'));
  for (const folder of privateOf(made)) chmodSync(folder, 0o777);
  prepareFolders(join(home, 'data'));
  for (const folder of privateOf(made)) expect(modeOf(folder), folder).toBe(0o700);
});

test('a data directory that cannot be made is named', () => {
  writeFileSync(join(home, 'data'), 'a file');
  expect(() => prepareFolders(join(home, 'data'))).toThrow(
    expect.objectContaining({
      code: 'supervisor.data-unusable',
      message: expect.stringContaining(join(home, 'data')) as string,
    }) as Error,
  );
});

describe.runIf(root)('started as root', () => {
  test('the gates have a user of their own, who owns the spool and the link and nothing else', () => {
    const made = prepareFolders(join(home, 'data'));
    expect(made.gateUid).toBeGreaterThan(60_000);
    const owners = Object.fromEntries(
      privateOf(made).map((folder) => [folder.slice(made.data.length + 1), statSync(folder).uid]),
    );
    expect(owners).toEqual({
      'run/keeper': 0,
      'run/link': made.gateUid,
      spool: made.gateUid,
      recordings: 0,
      anchors: 0,
      log: 0,
    });
  });

  test('others may pass through and not look', () => {
    const made = prepareFolders(join(home, 'data'));
    expect([modeOf(made.data), modeOf(join(made.data, 'run'))]).toEqual([0o711, 0o711]);
  });

  test('that user is remembered', () => {
    expect(prepareFolders(join(home, 'data')).gateUid).toBe(prepareFolders(join(home, 'data')).gateUid);
  });

  test.each(['', '0', '-1', 'root', '1000', '99999999'])('and is drawn anew when its file says %j', (words) => {
    const before = prepareFolders(join(home, 'data'));
    writeFileSync(join(before.data, 'gate.uid'), words);
    const after = prepareFolders(join(home, 'data'));
    expect(after.gateUid).toBeGreaterThan(60_000);
    expect(Number(readFileSync(join(before.data, 'gate.uid'), 'utf8'))).toBe(after.gateUid);
    expect(statSync(after.spool).uid).toBe(after.gateUid);
  });

  test('a folder above that lets nobody pass is named', () => {
    mkdirSync(join(home, 'closed'), { mode: 0o700 });
    expect(() => prepareFolders(join(home, 'closed/data'))).toThrow(
      `other users cannot pass through ${join(home, 'closed')}`,
    );
  });
});
