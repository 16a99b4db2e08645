/** Any legal conversation through the relay: the target receives exactly what the grant allows of it, in order. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  about,
  adjust,
  confirm,
  data,
  exec,
  global,
  open,
  opened,
  pty,
  request,
  rig,
  stderr,
  unheard,
} from './messages.ts';

/** One message of a client in one channel, and whether the target should see it under the grant. */
interface Step {
  readonly payload: (target: number) => Uint8Array;
  readonly passes: (grant: ReadonlySet<string>, started: boolean) => boolean;
  readonly program?: true;
}

const always = (): boolean => true;
const never = (): boolean => false;
const ifGranted =
  (what: string) =>
  (grant: ReadonlySet<string>, started: boolean): boolean =>
    !started && grant.has(what);

const steps: readonly Step[] = [
  { payload: (n) => data(n, 'bytes'), passes: always },
  { payload: (n) => adjust(n), passes: always },
  { payload: (n) => request(n, pty), passes: always },
  { payload: (n) => request(n, { type: 'env', name: 'LANG', value: Buffer.from('C') }, false), passes: always },
  { payload: (n) => request(n, { type: 'shell' }), passes: ifGranted('shell'), program: true },
  { payload: (n) => exec(n, 'id', false), passes: ifGranted('exec'), program: true },
  { payload: (n) => exec(n, 'scp -r -t dir'), passes: ifGranted('scp-up'), program: true },
  { payload: (n) => exec(n, 'scp -f file'), passes: ifGranted('scp-down'), program: true },
  { payload: (n) => request(n, { type: 'subsystem', subsystem: 'sftp' }), passes: ifGranted('sftp'), program: true },
  { payload: (n) => request(n, { type: 'subsystem', subsystem: 'netconf' }), passes: never },
  { payload: (n) => request(n, { type: 'auth-agent-req@openssh.com' }), passes: never },
  { payload: (n) => unheard(n, 'x-unheard', false), passes: never },
  { payload: () => global('keepalive@openssh.com'), passes: always },
  { payload: () => global('tcpip-forward'), passes: never },
];

const grants = fc.subarray(['shell', 'exec', 'sftp', 'scp-up', 'scp-down']);
const script = fc.array(fc.record({ channel: fc.nat(2), step: fc.constantFrom(...steps) }), { maxLength: 40 });

test('the target receives exactly the allowed subsequence, byte for byte', () => {
  fc.assert(
    fc.property(grants, script, (allowed, conversation) => {
      const { relay, toTarget } = rig(allowed);
      const grant = new Set(allowed);
      for (const n of [0, 1, 2]) {
        relay.fromClient(open(n));
        relay.fromTarget(confirm(n, 10 + n));
      }
      toTarget.length = 0;
      const started = new Set<number>();
      const expected: Uint8Array[] = [];
      for (const { channel, step } of conversation) {
        const payload = step.payload(10 + channel);
        if (step.passes(grant, started.has(channel))) {
          expected.push(payload);
          if (step.program === true) started.add(channel);
        }
        relay.fromClient(payload);
      }
      expect(toTarget).toEqual(expected);
    }),
    { numRuns: 300 },
  );
});

test('the client gets one answer for each question, in the order that it asked', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 60 }), fc.infiniteStream(fc.boolean()), (relayed, answerNow) => {
      const { relay, toClient, toTarget } = opened();
      let asked = 0;
      const answerOne = (): void => {
        relay.fromTarget(about('success', 0));
        asked--;
      };
      for (const passes of relayed) {
        relay.fromClient(passes ? unheard(10, 'keepalive@openssh.com') : unheard(10, 'no'));
        if (passes) asked++;
        if (asked > 0 && answerNow.next().value === true) answerOne();
      }
      while (asked > 0) answerOne();
      expect(toClient).toEqual(relayed.map((passes) => about(passes ? 'success' : 'failure', 0)));
      expect(toTarget).toHaveLength(relayed.filter(Boolean).length);
    }),
    { numRuns: 300 },
  );
});

test('arbitrary bytes of either side pass, are answered, or are a violation, and nothing else is thrown', () => {
  const seeds = [
    data(10, 'x'),
    stderr(0, 'x'),
    request(10, pty),
    exec(10, 'ls'),
    global('keepalive@openssh.com'),
    confirm(0, 1),
  ];
  const changed = fc
    .tuple(fc.constantFrom(...seeds), fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 4 }), fc.nat(60))
    .map(([seed, edits, cut]) => {
      const bytes = seed.slice(0, Math.max(1, seed.length - (cut > 30 ? cut - 30 : 0)));
      for (const [at, byte] of edits) if (at < bytes.length) bytes[at] = byte;
      return bytes;
    });
  const noise = fc.oneof(changed, fc.uint8Array({ maxLength: 40 }));
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), noise), { maxLength: 8 }), (messages) => {
      const { relay } = opened();
      for (const [client, payload] of messages) {
        try {
          if (client) relay.fromClient(payload);
          else relay.fromTarget(payload);
        } catch (error) {
          expect(error).toMatchObject({ code: 'proxy.protocol' });
        }
      }
    }),
    { numRuns: 1500 },
  );
});
