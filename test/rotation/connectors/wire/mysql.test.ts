/** Accounts, rows and statements of MariaDB and MySQL: which account a login becomes, and that no name becomes SQL. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  faultOfAccount,
  hostMatches,
  matching,
  parseAccount,
  quoteAccount,
} from '../../../../src/rotation/connectors/wire/mysql-account.ts';
import {
  type AccountRow,
  parsePriv,
  parseVersion,
  pluginsShown,
} from '../../../../src/rotation/connectors/wire/mysql-row.ts';
import { alterStatement, ownStatement, withStored } from '../../../../src/rotation/connectors/wire/mysql-statement.ts';

const mariadb = { family: 'mariadb', major: 10, minor: 11 } as const;
const mysql = { family: 'mysql', major: 8, minor: 0 } as const;
const row = (user: string, host: string, plugin = 'mysql_native_password', stored = '*AA'): AccountRow => ({
  user,
  host,
  methods: [{ plugin, stored }],
  locked: false,
  expired: false,
  needs: 'nothing',
});

describe('accounts', () => {
  test.for([
    ['app', 'app', '%'],
    ['app@%', 'app', '%'],
    ['app@localhost', 'app', 'localhost'],
    ['joe@corp@10.0.0.%', 'joe@corp', '10.0.0.%'],
    ['app@', 'app', ''],
  ] as const)('%s is %s on %s', ([name, user, host]) => {
    expect(parseAccount(name)).toEqual({ user, host });
  });

  test('what could be read as anything but a name is refused', () => {
    for (const name of [
      `a'b`,
      'a"b',
      'a\\b',
      'a`b',
      'a b',
      'a\u0000',
      '',
      '@localhost',
      `a@l'h`,
      'a@',
      'a@h;',
      'ä',
      `a@${'x'.repeat(256)}`,
    ]) {
      expect(faultOfAccount(parseAccount(name)), name).toContain('handled here');
      expect(() => quoteAccount(parseAccount(name)), name).toThrow(TypeError);
    }
    for (const name of ['app', 'svc_app@10.0.0.%', 'a.b-c$d+e@db-1.example.test', 'a@192.168.0.0/255.255.0.0', 'a@::1'])
      expect(faultOfAccount(parseAccount(name)), name).toBeUndefined();
  });

  test('a quoted account is one literal, one at sign, one literal', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (user, host) => {
        if (faultOfAccount({ user, host }) !== undefined) return;
        expect(quoteAccount({ user, host })).toMatch(/^'[^'\\]+'@'[^'\\]+'$/);
      }),
    );
  });
});

describe('hosts', () => {
  const here = { host: 'app-1.example.test', address: '10.1.2.3' };
  test.for([
    ['%', true],
    ['10.1.2.3', true],
    ['10.1.2.%', true],
    ['10.1.%', true],
    ['10.1.2._', true],
    ['10.1.0.0/255.255.0.0', true],
    ['10.2.0.0/255.255.0.0', false],
    ['10.1.2.4', false],
    ['APP-1.Example.test', true],
    ['%.example.test', true],
    ['%.test.example', false],
    ['app-1xexample.test', false],
    ['localhost', false],
    ['10.1.2.999/255.0.0.0', false],
  ] as const)('%s: %s', ([pattern, expected]) => {
    expect(hostMatches(pattern, here)).toBe(expected);
  });

  test('the most exact host comes first, and a named user before the anonymous one of the same host', () => {
    const local = { host: 'localhost', address: '127.0.0.1' };
    const all = [row('app', '%'), row('', 'localhost'), row('app', '127.0.0.%'), row('app', 'local%')];
    expect(matching(all, 'app', local)).toMatchObject({ user: '', host: 'localhost' });
    expect(matching([...all, row('app', 'localhost')], 'app', local)).toMatchObject({ user: 'app', host: 'localhost' });
    expect(matching([row('app', '%'), row('app', '127.0.0.%')], 'app', local)).toMatchObject({ host: '127.0.0.%' });
    expect(matching([row('other', 'localhost'), row('app', '192.0.2.1')], 'app', local)).toBeUndefined();
  });

  test('whatever pattern a server keeps, it is compared without throwing and without delay', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 255 }),
        fc.string({ maxLength: 255 }),
        (pattern, host) => void hostMatches(pattern, { host }),
      ),
    );
    expect(hostMatches('%a'.repeat(127), { host: 'a'.repeat(255) })).toBe(true);
    expect(hostMatches(`${'%a'.repeat(127)}b`, { host: 'a'.repeat(255) })).toBe(false);
  });
});

describe('what a server says', () => {
  test.for([
    ['5.5.5-10.11.19-MariaDB-0+deb12u1-log', { family: 'mariadb', major: 10, minor: 11 }],
    ['11.4.2-MariaDB', { family: 'mariadb', major: 11, minor: 4 }],
    ['8.0.36', { family: 'mysql', major: 8, minor: 0 }],
    ['8.0.36-28 Percona', { family: 'mysql', major: 8, minor: 0 }],
    ['5.5.5', { family: 'mysql', major: 5, minor: 5 }],
    ['', undefined],
    ['eight', undefined],
    ['8.0', undefined],
  ] as const)('version %s', ([text, expected]) => {
    expect(parseVersion(text)).toEqual(expected);
  });

  const account = { user: 'app', host: '%' };
  test('rows as MariaDB writes them', () => {
    const one =
      '{"access":18446744073709551615,"plugin":"ed25519","authentication_string":"ZIg","password_last_changed":1}';
    expect(parsePriv(account, one)).toEqual({ ...row('app', '%', 'ed25519', 'ZIg') });
    const several = `{"plugin":"mysql_native_password","authentication_string":"*A","auth_or":[{"plugin":"unix_socket"},{}],
      "password_last_changed":0,"account_locked":true,"ssl_type":2}`;
    expect(parsePriv(account, several)).toEqual({
      ...account,
      methods: [
        { plugin: 'unix_socket', stored: '' },
        { plugin: 'mysql_native_password', stored: '*A' },
      ],
      locked: true,
      expired: true,
      needs: 'client-certificate',
    });
    expect(parsePriv(account, '{"access":1}')).toMatchObject({
      methods: [{ plugin: 'mysql_native_password', stored: '' }],
    });
    expect(parsePriv(account, '{"access":0,"is_role":true}')).toBe('role');
  });

  test('rows of another form are not guessed at', () => {
    const bad = [
      '',
      'null',
      '[]',
      '"x"',
      '{',
      '{"plugin":1}',
      '{"auth_or":{}}',
      '{"auth_or":[1]}',
      '{"auth_or":[]}',
      `{"a":"${'x'.repeat(70_000)}"}`,
    ];
    for (const text of bad) expect(parsePriv(account, text), text.slice(0, 20)).toBeUndefined();
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void parsePriv(account, text)));
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void [parseVersion(text), pluginsShown(text)]));
  });

  test.for([
    ["CREATE USER `app`@`%` IDENTIFIED BY PASSWORD '*AA' REQUIRE SSL", ['mysql_native_password']],
    ["CREATE USER `a`@`%` IDENTIFIED VIA ed25519 USING 'ZIg'", ['ed25519']],
    [
      "CREATE USER `a`@`%` IDENTIFIED VIA unix_socket OR mysql_native_password USING '*A' OR ed25519 USING 'x OR pam'",
      ['unix_socket', 'mysql_native_password', 'ed25519'],
    ],
    ['CREATE USER `a`@`%`', []],
    ['something else', []],
  ] as const)('%s logs in by %j', ([text, plugins]) => {
    expect(pluginsShown(text)).toEqual(plugins);
  });
});

describe('statements', () => {
  const form = (plugin: string) => (plugin === 'mysql_native_password' ? '*BB' : undefined);
  const given = (one: AccountRow): AccountRow => {
    const changed = withStored(one, form);
    if ('unsupported' in changed) throw new Error(changed.unsupported);
    return changed;
  };

  test('say the hash and nothing else of the value', () => {
    expect(alterStatement(mariadb, [given(row('app', '%')), given(row('app', 'localhost'))])).toBe(
      "ALTER USER 'app'@'%' IDENTIFIED VIA mysql_native_password USING '*BB', 'app'@'localhost' IDENTIFIED VIA mysql_native_password USING '*BB'",
    );
    expect(alterStatement(mysql, [given(row('app', '%'))])).toBe(
      "ALTER USER 'app'@'%' IDENTIFIED WITH mysql_native_password AS '*BB'",
    );
    expect(ownStatement(mariadb, '*BB')).toBe("SET PASSWORD = '*BB'");
    // MySQL would take the hash for the password.
    expect(() => ownStatement(mysql, '*BB')).toThrow('no hash');
  });

  test('keep the other ways to log in', () => {
    const both = {
      ...row('app', '%'),
      methods: [
        { plugin: 'unix_socket', stored: '' },
        { plugin: 'mysql_native_password', stored: '*AA' },
        { plugin: 'gssapi', stored: 'a@B.C' },
      ],
    };
    expect(alterStatement(mariadb, [given(both)])).toBe(
      "ALTER USER 'app'@'%' IDENTIFIED VIA unix_socket OR mysql_native_password USING '*BB' OR gssapi USING 'a@B.C'",
    );
  });

  test('are not made of what cannot be written safely or has no hash', () => {
    for (const methods of [
      [{ plugin: 'unix_socket', stored: '' }],
      [{ plugin: 'caching_sha2_password', stored: '$A$005$' }],
      [
        { plugin: 'mysql_native_password', stored: '' },
        { plugin: 'mysql_native_password', stored: '' },
      ],
      [
        { plugin: 'mysql_native_password', stored: '' },
        { plugin: 'pam', stored: `it's` },
      ],
      [
        { plugin: 'mysql_native_password', stored: '' },
        { plugin: 'x; DROP', stored: '' },
      ],
    ])
      expect(withStored({ ...row('app', '%'), methods }, form)).toHaveProperty('unsupported');
    expect(() => alterStatement(mariadb, [row('app', '%', 'pam', `'`)])).toThrow(TypeError);
    expect(() => alterStatement(mariadb, [row(`a'`, '%')])).toThrow(TypeError);
    expect(() => ownStatement(mariadb, `'`)).toThrow(TypeError);
  });
});
