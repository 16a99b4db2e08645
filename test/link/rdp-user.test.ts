/** User names of RDP clients: which forms mean whom and where, and that no name has two readings. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatRdpUser, looksLikeToken, parseRdpUser } from '../../src/link/link.ts';
import { newToken } from '../../src/identity/identity.ts';

describe('a user name', () => {
  test.each<[string, string, object]>([
    ['alice', '', { user: 'alice' }],
    ['Alice%Win-01', '', { user: 'alice', target: 'win-01' }],
    ['alice%Administrator%win-01', '', { user: 'alice', account: 'Administrator', target: 'win-01' }],
    ['alice%root%win-01,rdp-2', '', { user: 'alice', account: 'root', target: 'win-01', service: 'rdp-2' }],
    ['alice@root@win-01', '', { user: 'alice', account: 'root', target: 'win-01' }],
    ['ann@corp.example%root%win-01', '', { user: 'ann@corp.example', account: 'root', target: 'win-01' }],
    ['ann%40corp.example@win-01', '', { user: 'ann@corp.example', target: 'win-01' }],
    ['alice', 'win-01', { user: 'alice', target: 'win-01', guessed: true }],
    ['alice', 'DESKTOP-1,rdp', { user: 'alice', target: 'desktop-1', service: 'rdp', guessed: true }],
    ['alice', 'not a target', { user: 'alice' }],
    ['alice%win-01', 'OTHER', { user: 'alice', target: 'win-01' }],
  ])('%s with domain %j', (user, domain, meaning) => {
    expect(parseRdpUser(user, domain)).toEqual(meaning);
  });

  test.each(['', '%win-01', 'alice%', 'a%b%c%d', 'alice%ro\u0000ot%win-01', 'alice%win 01'])(
    '%j means nothing',
    (user) => {
      expect(parseRdpUser(user, '')).toHaveProperty('violation');
    },
  );

  test('is spelled so that it is read back', () => {
    const name = fc.stringMatching(/^[a-z0-9][a-z0-9._+@%-]{0,20}$/);
    const target = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?$/);
    fc.assert(
      fc.property(name, fc.string({ minLength: 1, maxLength: 20 }), target, (user, account, place) => {
        const printable = account.replace(/[^\x21-\x7e]/g, 'x');
        const selector = { user, account: printable, target: place };
        expect(parseRdpUser(formatRdpUser(selector), '')).toEqual(selector);
      }),
    );
  });

  test('whatever is in it, it is a selector or a violation', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 900 }), fc.string({ maxLength: 300 }), (user, domain) => {
        const parsed = parseRdpUser(user, domain);
        expect('violation' in parsed || parsed.user.length > 0).toBe(true);
      }),
    );
  });
});

const look = (text: string): boolean => looksLikeToken(new TextEncoder().encode(text));

test('a gate tells a token from a password by its look', () => {
  for (let i = 0; i < 200; i++) {
    using token = newToken();
    const text = token.revealText();
    expect(look(text)).toBe(true);
    expect(look(text.replaceAll('-', '').toUpperCase())).toBe(true);
  }
  for (const word of [
    '',
    'a long enough sentence',
    'abcd-efgh',
    'abcd-efgh-ijkm-npqr-stuv-wxyz-234o',
    'x'.repeat(5000),
  ])
    expect(look(word)).toBe(false);
});
