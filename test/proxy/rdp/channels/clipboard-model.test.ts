/**
 * Random conversations against a short model: content carries the mark of its kind and way, and the model knows which
 * marks may ever be seen on the other side. The model is the sentence "a mark passes only if its right was granted".
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concat } from '../../../../src/base/bytes.ts';
import { type ClipMessage, encodeClip } from '../../../../src/protocol/rdp/channels/wire/cliprdr.ts';
import { isViolation } from '../../../../src/protocol/wire/violation.ts';
import { clipboard } from '../../../../src/proxy/rdp/channels/clipboard.ts';
import { channelLimits, type Side } from '../../../../src/proxy/rdp/channels/filter.ts';
import { rdpPolicy } from '../../../../src/proxy/rdp/policy.ts';
import { fileList } from './messages.ts';

type Sent = Exclude<ClipMessage, { type: 'unknown' }>;
type Kind = 'text' | 'files' | 'odd';

const rights = ['clipboard-up', 'clipboard-down', 'clipboard-files-up', 'clipboard-files-down'];
const formats: Readonly<Record<Kind, { id: number; name: string }>> = {
  text: { id: 13, name: '' },
  files: { id: 0xc0bc, name: 'FileGroupDescriptorW' },
  odd: { id: 0xc200, name: 'Odd Native Data' },
};
const kinds = ['text', 'files', 'odd'] as const;
const mark = (owner: Side, kind: Kind): string => `<<${owner} ${kind}>>`;

/** The marks that may be seen outside their owner under a grant. */
function mayBeSeen(granted: readonly string[]): string[] {
  const seen: string[] = [];
  for (const [owner, way] of [
    ['client', 'up'],
    ['target', 'down'],
  ] as const) {
    const text = granted.includes(`clipboard-${way}`);
    const files = granted.includes(`clipboard-files-${way}`);
    if (text) seen.push(mark(owner, 'text'));
    if (files) seen.push(mark(owner, 'files'));
    if (text && files) seen.push(mark(owner, 'odd'));
  }
  return seen;
}

/**
 * An honest owner answers with what it was asked for, so a peer here keeps the requests it got and answers those; a
 * hostile one also answers unasked, with anything.
 */
const action = fc.record({
  side: fc.constantFrom<Side>('client', 'target'),
  what: fc.constantFrom(
    'list',
    'request',
    'answer',
    'unasked',
    'ask-file',
    'answer-file',
    'unasked-file',
    'lock',
    'caps',
  ),
  kind: fc.constantFrom(...kinds),
  number: fc.nat(3),
});

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

test('no conversation brings denied content across, and granted content does cross', () => {
  let crossed = 0;
  fc.assert(
    fc.property(fc.subarray(rights), fc.array(action, { minLength: 20, maxLength: 80 }), (granted, actions) => {
      const filter = clipboard(rdpPolicy(granted), channelLimits);
      const allowed = mayBeSeen(granted);
      const asked: Record<Side, number[]> = { client: [], target: [] };
      const askedFiles: Record<Side, number[]> = { client: [], target: [] };

      const got = (side: Side, owner: Side, bytes: Uint8Array): void => {
        const latin = String.fromCharCode(...bytes);
        for (const kind of kinds) {
          const secret = mark(owner, kind);
          if (!latin.includes(secret)) continue;
          expect(allowed, `${secret} seen under ${granted.join(' ')}`).toContain(secret);
          crossed++;
        }
        const view = new DataView(bytes.buffer, bytes.byteOffset);
        if (bytes[0] === 4) asked[side].push(view.getUint32(8, true));
        if (bytes[0] === 8) askedFiles[side].push(view.getUint32(8, true));
      };
      const send = (from: Side, message: Sent): void => {
        const step = filter.message(from, encodeClip(message, true));
        if (isViolation(step)) throw new Error(step.violation);
        for (const bytes of step.toClient) got('client', 'target', bytes);
        for (const bytes of step.toTarget) got('target', 'client', bytes);
      };
      const content = (owner: Side, kind: Kind): Uint8Array =>
        kind === 'files' ? fileList([{ name: 'a', size: 64 }]) : ascii(mark(owner, kind));

      send('target', { type: 'caps', version: 2, flags: 0x3e });
      send('client', { type: 'caps', version: 2, flags: 0x3e });
      for (const side of ['client', 'target'] as const)
        send(side, { type: 'format-list', ascii: false, formats: Object.values(formats) });
      for (const { side, what, kind, number } of actions) {
        if (what === 'list') {
          const list = kinds.slice(number % 3).map((one) => formats[one]);
          send(side, { type: 'format-list', ascii: false, formats: list });
        } else if (what === 'request') send(side, { type: 'data-request', format: formats[kind].id });
        else if (what === 'answer') {
          const id = asked[side].shift();
          const of = kinds.find((one) => formats[one].id === id);
          if (of !== undefined) send(side, { type: 'data-response', ok: true, data: content(side, of) });
        } else if (what === 'unasked' && asked[side].length === 0)
          send(side, { type: 'data-response', ok: true, data: ascii(mark(side, kind)) });
        else if (what === 'ask-file')
          send(side, {
            type: 'file-contents-request',
            streamId: number,
            index: number % 2,
            want: 'range',
            position: 0n,
            bytes: 64,
            clipDataId: kind === 'odd' ? number : undefined,
          });
        else if (what === 'answer-file' || what === 'unasked-file') {
          const streamId = what === 'answer-file' ? askedFiles[side].shift() : 40 + number;
          if (streamId !== undefined)
            send(side, { type: 'file-contents-response', ok: true, streamId, data: ascii(mark(side, 'files')) });
        } else if (what === 'lock') send(side, { type: 'lock', clipDataId: number });
        else if (what === 'caps') send(side, { type: 'caps', version: 2, flags: 0x3e });
      }
    }),
    { numRuns: 1500 },
  );
  expect(crossed).toBeGreaterThan(500);
});

test('no bytes make the filter throw, and nothing that passes is longer than what came', () => {
  const side = fc.constantFrom<Side>('client', 'target');
  const head = fc.tuple(fc.nat(12), fc.nat(7), fc.nat(80));
  fc.assert(
    fc.property(
      fc.subarray(rights),
      fc.array(fc.tuple(side, head, fc.uint8Array({ maxLength: 80 }))),
      (granted, sent) => {
        const filter = clipboard(rdpPolicy(granted), { ...channelLimits, pending: 4, locks: 2, openFiles: 2 });
        let came = 0;
        let went = 0;
        for (const [from, [code, flags, length], body] of sent) {
          const bytes = concat([Uint8Array.of(code, 0, flags, 0, length, 0, 0, 0), body]);
          const step = filter.message(from, bytes);
          if (isViolation(step)) break;
          came += bytes.length;
          for (const out of [...step.toClient, ...step.toTarget]) went += out.length;
          // short names grow to a fixed size when they are written, and a caps message to its full one
          expect(went).toBeLessThanOrEqual(came + 40 * sent.length);
        }
        filter.close();
      },
    ),
    { numRuns: 500 },
  );
});
