/**
 * The clipboard between a client and a desktop: each way and each kind only as the grant says, what crossed is in the
 * recording with its text and in the audit trail with its hash. rdesktop copies both ways; xfreerdp only downwards from
 * this target (it offers files first, and xrdp asks for those and for nothing else).
 */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fullMachines } from '../lab/machine.ts';
import { untilSame } from '../lab/rdp/compare.ts';
import { picture, readClipboard, type Screen, writeClipboard } from '../lab/rdp/screen.ts';
import { type Desk, openDesk } from './rdp-stage.ts';
import type { AuditRow } from './house.ts';
import { soon, type Visit, visit } from './rdp-visit.ts';

const patient = { timeout: 15_000 };

describe.runIf(fullMachines)('the clipboard of a desktop', { timeout: 60_000 }, () => {
  let desk: Desk;
  beforeAll(async () => {
    desk = await openDesk({
      accounts: {
        both: { allows: ['clipboard-up', 'clipboard-down'] },
        up: { allows: ['clipboard-up'] },
        down: { allows: ['clipboard-down'] },
        none: {},
      },
    });
  }, 180_000);
  afterAll(async () => await desk?.[Symbol.asyncDispose]());

  /** rdesktop to an account, when its clipboard has been told of: the desktop is painted by then. */
  async function person(account: string, program: 'rdesktop' | 'xfreerdp' = 'rdesktop'): Promise<Visit> {
    const how =
      program === 'rdesktop'
        ? ({ program, more: ['-r', 'clipboard:CLIPBOARD'] } as const)
        : ({ program, clipboard: true } as const);
    const session = await visit(desk, account, how);
    await untilSame(
      (signal) => picture(session.screen, {}, signal),
      (signal) => session.client.picture(signal),
      soon(20),
    );
    return session;
  }

  const pasted = (screen: Screen): Promise<string> => readClipboard(screen, soon(5)).catch(() => '');
  const hash = (text: string): string => createHash('sha256').update(text, 'utf16le').digest('hex');

  test('text crosses both ways where both are allowed; it is in the recording, and its hash in the trail', async () => {
    await using session = await person('both');
    await writeClipboard(session.screen, 'from the target: ä');
    await expect.poll(() => pasted(desk.display), patient).toBe('from the target: ä');
    await writeClipboard(desk.display, 'from the client: ö');
    await expect.poll(() => pasted(session.screen), patient).toBe('from the client: ö');
    const recorded = await session.end();
    const text = await recorded.text();
    expect(text).toMatch(/clipboard to the client: text, \d+ bytes: from the target: ä/);
    expect(text).toMatch(/clipboard to the target: text, \d+ bytes: from the client: ö/);
    const told = recorded.rows.filter((row) => row.type === 'session.clipboard.text').map((row) => row.details);
    expect(told).toContainEqual(
      expect.objectContaining({ direction: 'download', sha256: hash('from the target: ä\0') }),
    );
    expect(told).toContainEqual(expect.objectContaining({ direction: 'upload', sha256: hash('from the client: ö\0') }));
    expect(JSON.stringify(await desk.house.trail(0))).not.toMatch(/from the (target|client): /);
    expect(desk.house.product.log()).not.toMatch(/from the (target|client): /);
  });

  test.each(['up', 'none'])('nothing comes down where it is not allowed: %s', async (account) => {
    await using session = await person(account);
    await writeClipboard(desk.display, 'stays here');
    if (account === 'up') await expect.poll(() => pasted(session.screen), patient).toBe('stays here');
    await writeClipboard(session.screen, 'not to come down');
    await refusal(session, account === 'up' ? 'clipboard down: text' : 'static:cliprdr');
    const recorded = await session.end();
    expect(await pasted(desk.display)).not.toBe('not to come down');
    expect(await recorded.text()).not.toContain('not to come down');
  });

  test.each(['down', 'none'])('nothing goes up where it is not allowed: %s', async (account) => {
    await using session = await person(account);
    await writeClipboard(desk.display, 'not to go up');
    await refusal(session, account === 'down' ? 'clipboard up: text' : 'static:cliprdr');
    expect(await pasted(session.screen)).not.toBe('not to go up');
    await writeClipboard(session.screen, 'the target has its own');
    if (account === 'down') await expect.poll(() => pasted(desk.display), patient).toBe('the target has its own');
    const recorded = await session.end();
    expect(await recorded.text()).not.toContain('not to go up');
    if (account === 'down') expect(await recorded.text()).toContain('the target has its own');
  });

  test('xfreerdp pastes what was copied on the target', async () => {
    await using session = await person('both', 'xfreerdp');
    await writeClipboard(session.screen, 'for another client');
    await expect.poll(() => pasted(desk.display), patient).toBe('for another client');
    const recorded = await session.end();
    expect(await recorded.text()).toContain('for another client');
  });

  /** The audit row that says so. */
  async function refusal(session: Visit, kind: string): Promise<void> {
    const like = (row: AuditRow): boolean => row.type === 'session.channel.refused' && row.details['kind'] === kind;
    await desk.house.event((row) => like(row) && row.details['session'] === session.session, session.from);
  }
});
