/** Random events of a desktop, each as a reader of the recording must find it again. */
import fc from 'fast-check';
import type { DesktopDetail } from '../../src/recording/format/desktop-events.ts';

const direction = fc.constantFrom('up' as const, 'down' as const);

export const desktopDetails: fc.Arbitrary<DesktopDetail> = fc.oneof<fc.Arbitrary<DesktopDetail>[]>(
  fc.record({
    kind: fc.constant('desktop' as const),
    width: fc.nat(65535),
    height: fc.nat(65535),
    depth: fc.constantFrom(8, 15, 16, 24, 32),
  }),
  fc.record({
    kind: fc.constantFrom('picture' as const, 'pointer' as const),
    code: fc.nat(15),
    payload: fc.uint8Array({ maxLength: 400 }),
  }),
  fc.record({
    kind: fc.constant('rdp-key' as const),
    input: fc.constantFrom('scancode' as const, 'unicode' as const),
    code: fc.nat(65535),
    down: fc.boolean(),
    extended: fc.constantFrom(0 as const, 1 as const, 2 as const),
  }),
  fc.record({ kind: fc.constant('keyboard' as const), layout: fc.nat(0xffffffff) }),
  fc.record({ kind: fc.constant('keys-masked' as const), count: fc.nat() }),
  fc.record({
    kind: fc.constant('mouse' as const),
    extended: fc.boolean(),
    flags: fc.nat(65535),
    x: fc.nat(65535),
    y: fc.nat(65535),
  }),
  fc.record({
    kind: fc.constant('clipboard' as const),
    direction,
    content: fc.constantFrom('text' as const, 'files' as const, 'other' as const),
    items: fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 5 }),
    size: fc.maxSafeNat(),
    allowed: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('channel-decision' as const),
    name: fc.string(),
    transport: fc.constantFrom('static' as const, 'dynamic' as const),
    allowed: fc.boolean(),
    reason: fc.string({ unit: 'grapheme' }),
  }),
);
