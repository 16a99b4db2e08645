/** What each request needs. The tables are the policy: a change here is a change of what a grant means. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  classifyExec,
  mayAskClient,
  mayAskTarget,
  mayOpen,
  mayReportToClient,
  needed,
} from '../../../src/proxy/ssh/policy.ts';

const commands: Readonly<Record<string, readonly string[]>> = {
  'scp-up': [
    'scp -t .',
    'scp -t -- -odd',
    'scp -v -r -p -d -t /srv/a',
    'scp -qrt x',
    'scp  -r  -t  x',
    '/usr/bin/scp -t x',
    "scp -p -t 'two words; and more'",
    'scp -r -p -d -t "/home/a b"',
    'scp -t two\\ words',
    'scp -t ~/*.txt',
  ],
  'scp-down': ['scp -f x', 'scp -pf x y', 'scp -r -f -- -x', '/bin/scp -f x', "scp -f '$(id)'", 'scp -f x -S ./evil'],
  sftp: [
    'sftp-server',
    '/usr/lib/openssh/sftp-server',
    '/usr/libexec/openssh/sftp-server',
    '/usr/libexec/sftp-server',
    '/usr/lib/ssh/sftp-server',
    '/usr/lib64/misc/sftp-server',
    '/usr/local/libexec/sftp-server',
  ],
  exec: [
    '',
    ' ',
    'id',
    'rsync --server -vlogDtpre.iLsfxCIvu . dir',
    "git-upload-pack 'x.git'",
    // a program of the user's own under a known name
    './sftp-server',
    '/home/ana/sftp-server',
    '/tmp/usr/lib/sftp-server',
    '/usr/lib/openssh/../../../tmp/sftp-server',
    '~/scp -t x',
    '/tmp/scp -t x',
    "'scp' -t x",
    'sftp-server\u00a0',
    'sftp-server -e; id',
    'sftp-server -l DEBUG',
    'exec sftp-server',
    'SCP -t x',
    // neither or both ways, no path, or an option that takes a value, which may be a program
    'scp x host:y',
    'scp -t -f x',
    'scp -t',
    'scp -t --',
    'scp -S ./evil -t x',
    'scp -i -t -S ./evil a b:c',
    'scp -oProxyCommand=evil -t x',
    'scp -t -S ./evil x',
    'scp a -t b',
    // more than one command
    'scp -t x; id',
    'scp -t x && id',
    'scp -t x | id',
    'scp -t x\nid',
    'scp -t x\rid',
    'scp -t $(id)',
    'scp -t `id`',
    'scp -t "$(id)"',
    'scp -t "`id`"',
    'scp -t x > y',
    'scp -t x < y',
    'scp -t (id)',
    'scp -t {a,b}',
    // quotes that do not end, or end elsewhere than they seem to
    "scp -t 'x",
    'scp -t "x',
    "scp -t 'x'; id '",
    "scp -t x\\'; id '",
    'scp -t "x\\"; id; "',
    "scp -t '\n' x",
    'scp -t x\\\n; id',
    'scp -t x \\',
  ],
};
const table = Object.entries(commands).flatMap(([what, lines]) => lines.map((line) => [line, what] as const));

describe('a command line', () => {
  test.each(table)('%j needs %s', (line, what) => {
    expect(classifyExec(line).subprotocol).toBe(what);
    expect(classifyExec(line).files).toBe(what === 'exec' ? undefined : what);
  });

  test('that is anything but exec starts a program of the system and has no second command', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        'scp',
        'sftp-server',
        '/usr/bin/',
        './',
        '-t',
        '-f',
        '-S',
        '--',
        ' ',
        ' ',
        ';',
        "'",
        '"',
        '\\',
        '$(',
        '\n',
        '|',
      ),
      fc.string({ maxLength: 3 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
        const line = pieces.join('');
        if (classifyExec(line).subprotocol === 'exec') return;
        expect(line).toMatch(/^[ \t]*(\/usr\/bin\/)?(scp[ \t]|sftp-server[ \t]*$)/);
        // What a shell sees outside of quotes, read a character at a time.
        let quote = '';
        for (let at = 0; at < line.length; at++) {
          const char = line[at] ?? '';
          if (quote === '' && char === '\\') at++;
          else if (quote === char) quote = '';
          else if (quote === '' && (char === "'" || char === '"')) quote = char;
          else if (quote !== "'") expect(quote === '' ? ';&|`$<>()\n' : '`$').not.toContain(char);
        }
        expect(quote).toBe('');
      }),
      { numRuns: 5000 },
    );
  });
});

describe('a channel request', () => {
  test.each<[string, string, string | undefined | false]>([
    ['shell', '', 'shell'],
    ['exec', 'id', 'exec'],
    ['exec', 'scp -t x', 'scp-up'],
    ['subsystem', 'sftp', 'sftp'],
    ['subsystem', 'SFTP', false],
    ['subsystem', 'netconf', false],
    ['subsystem', '', false],
    ['pty-req', '', undefined],
    ['env', '', undefined],
    ['window-change', '', undefined],
    ['signal', '', undefined],
    ['break', '', undefined],
    ['eow@openssh.com', '', undefined],
    ['keepalive@openssh.com', '', undefined],
    ['winadj@putty.projects.tartarus.org', '', undefined],
    ['simple@putty.projects.tartarus.org', '', undefined],
    ['auth-agent-req@openssh.com', '', false],
    ['x11-req', '', false],
    ['exit-status', '', false],
    ['', '', false],
    ['Shell', '', false],
  ])('%j %j needs %s', (name, detail, need) => {
    expect(needed(name, detail)).toBe(need);
  });
});

test('only sessions are opened, only signs of life are asked, and only ends are reported', () => {
  const names = ['session', 'direct-tcpip', 'x11', 'forwarded-tcpip', 'auth-agent@openssh.com'];
  expect(names.filter(mayOpen)).toEqual(['session']);
  const requests = [
    'keepalive@openssh.com',
    'no-more-sessions@openssh.com',
    'tcpip-forward',
    'cancel-tcpip-forward',
    'streamlocal-forward@openssh.com',
    'hostkeys-00@openssh.com',
    'hostkeys-prove-00@openssh.com',
  ];
  expect(requests.filter(mayAskTarget)).toEqual(['keepalive@openssh.com', 'no-more-sessions@openssh.com']);
  expect(requests.filter(mayAskClient)).toEqual(['keepalive@openssh.com']);
  const reports = [
    'exit-status',
    'exit-signal',
    'xon-xoff',
    'eow@openssh.com',
    'keepalive@openssh.com',
    'shell',
    'exec',
    'env',
  ];
  expect(reports.filter(mayReportToClient)).toEqual(reports.slice(0, 5));
});
