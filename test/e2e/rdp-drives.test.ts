/**
 * Folders that a client gives to its desktop as drives, with rdesktop: xfreerdp announces none to this target. Without
 * the grant there is no drive; with it names, sizes and hashes of what crossed stand in the trail; for reading only,
 * nothing on the client changes.
 */
import { createHash } from 'node:crypto';
import { mkdtempDisposable, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fullMachines } from '../lab/machine.ts';
import type { AuditRow } from './house.ts';
import { type Desk, openDesk } from './rdp-stage.ts';
import { type Visit, visit } from './rdp-visit.ts';

const patient = { timeout: 15_000 };
const sum = (bytes: string | Buffer): string => createHash('sha256').update(bytes).digest('hex');

describe.runIf(fullMachines)('drives of a client', { timeout: 60_000 }, () => {
  let desk: Desk;
  beforeAll(async () => {
    desk = await openDesk({
      accounts: { denied: {}, writer: { allows: ['drives'] }, reader: { allows: ['drives-read'] } },
    });
  }, 180_000);
  afterAll(async () => await desk?.[Symbol.asyncDispose]());

  const note = `${'a line of a file that crosses\n'.repeat(5000)}end`;

  async function given(): Promise<{ readonly folder: string } & AsyncDisposable> {
    const made = await mkdtempDisposable(join(tmpdir(), 'drive-'));
    await writeFile(join(made.path, 'note'), note);
    return { folder: made.path, [Symbol.asyncDispose]: () => made.remove() };
  }

  const with_ = (account: string, folder: string): Promise<Visit> =>
    visit(desk, account, { program: 'rdesktop', drive: { name: 'mine', folder } });
  const of = (session: Visit, type: string, more: Readonly<Record<string, unknown>> = {}): Promise<AuditRow> =>
    desk.house.event(
      ({ type: its, details }) =>
        its === type &&
        details['session'] === session.session &&
        Object.entries(more).every(([key, value]) => details[key] === value),
      session.from,
    );
  const transfers = (rows: readonly AuditRow[]): unknown[] =>
    rows.filter(({ type }) => type === 'session.file.transferred').map(({ details }) => details);

  test('are not there without the grant', async () => {
    await using drive = await given();
    await using session = await with_('denied', drive.folder);
    const { details } = await of(session, 'session.channel.refused', { kind: 'static:rdpdr' });
    expect(details['reason']).toBe('the grant does not name any kind of device');
    expect((await session.screen.run(['sh', '-c', 'ls ~/thinclient_drives 2>&1 || true'])).stdout).not.toContain(
      'mine',
    );
    const recorded = await session.end();
    expect(recorded.rows.filter(({ type }) => /file|device\.announced/.test(type))).toEqual([]);
  });

  test('are read and written with the grant; the trail has name, size and hash of both', async () => {
    await using drive = await given();
    await using session = await with_('writer', drive.folder);
    const mine = '/home/writer/thinclient_drives/mine';
    const sha256sum = (file: string): Promise<string> =>
      session.screen.run(['sha256sum', `${mine}/${file}`]).then(({ stdout }) => stdout.slice(0, 64), String);
    await expect.poll(() => sha256sum('note'), patient).toBe(sum(note));
    await session.screen.run(['sh', '-c', `seq 1 20000 >${mine}/answer`]);
    const answer = await readFile(join(drive.folder, 'answer'));
    expect(answer.toString()).toBe(`${Array.from({ length: 20_000 }, (_, i) => i + 1).join('\n')}\n`);
    await session.screen.run(['rm', `${mine}/note`]);
    await expect.poll(() => readdir(drive.folder), patient).toEqual(['answer']);
    const recorded = await session.end();
    const facts = (path: string, direction: string, content: string | Buffer): unknown =>
      expect.objectContaining({ path, direction, size: content.length, sha256: sum(content), complete: true });
    expect(transfers(recorded.rows)).toContainEqual(facts('mine:/note', 'upload', note));
    expect(transfers(recorded.rows)).toContainEqual(facts('mine:/answer', 'download', answer));
    const changes = recorded.rows.filter(({ type }) => type === 'session.file.changed').map(({ details }) => details);
    expect(changes).toContainEqual(expect.objectContaining({ what: 'deleted', path: 'mine:/note' }));
    expect(await recorded.text()).toContain(sum(answer));
  });

  test('are only read where the grant says so, and nothing on the client changes', async () => {
    await using drive = await given();
    await using session = await with_('reader', drive.folder);
    const mine = '/home/reader/thinclient_drives/mine';
    const read = (): Promise<string> => session.screen.run(['cat', `${mine}/note`]).then((ran) => ran.stdout, String);
    await expect.poll(read, patient).toBe(note);
    for (const change of ['echo x >answer', 'echo x >>note', 'rm note', 'mv note other', 'mkdir folder'])
      await expect(session.screen.run(['sh', '-c', `cd ${mine} && ${change}`])).rejects.toThrow('ended with');
    expect(await readdir(drive.folder)).toEqual(['note']);
    expect(await readFile(join(drive.folder, 'note'), 'utf8')).toBe(note);
    await of(session, 'session.channel.refused', { kind: 'rdpdr: mine:/answer' });
    const recorded = await session.end();
    expect(transfers(recorded.rows).every((one) => (one as { direction: string }).direction === 'upload')).toBe(true);
    expect(recorded.rows.filter(({ type }) => type === 'session.file.changed')).toEqual([]);
  });
});
