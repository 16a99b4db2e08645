/** What a device may send, byte by byte: telnet, screens, and words that mean yes or no. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat } from '../../../../src/base/bytes.ts';
import {
  closedLine,
  refusalIn,
  rejectedLogin,
  saved,
  sessionsIn,
  terminalsIn,
  userIn,
  withoutSecrets,
} from '../../../../src/rotation/connectors/ios/wire/answers.ts';
import { afterEcho, endingOf, outputOf, plain } from '../../../../src/rotation/connectors/ios/wire/screen.ts';
import { fresh, receive, send, type Telnet } from '../../../../src/rotation/connectors/ios/wire/telnet.ts';

const [IAC, DONT, DO, WONT, WILL, SB, SE] = [255, 254, 253, 252, 251, 250, 240];
const bytes = (...parts: (number | string)[]): Uint8Array =>
  concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Uint8Array.of(part))));

function all(chunks: readonly Uint8Array[]): { data: string; reply: number[] } | { violation: string } {
  let telnet: Telnet = fresh;
  const data: Uint8Array[] = [];
  const reply: number[] = [];
  for (const chunk of chunks) {
    const got = receive(telnet, chunk);
    if ('violation' in got) return got;
    telnet = got.telnet;
    data.push(got.data);
    reply.push(...got.reply);
  }
  return { data: Buffer.from(concat(data)).toString('latin1'), reply };
}

describe('telnet', () => {
  test('echo and suppressed go-ahead are taken, every other option is refused (RFC 855)', () => {
    const offer = bytes(IAC, WILL, 1, IAC, WILL, 3, IAC, DO, 3, IAC, DO, 24, IAC, DO, 31, IAC, WILL, 34, 'login: ');
    expect(all([offer])).toEqual({
      data: 'login: ',
      reply: [IAC, DO, 1, IAC, DO, 3, IAC, WILL, 3, IAC, WONT, 24, IAC, WONT, 31, IAC, DONT, 34],
    });
  });

  test('what is in force already is not answered again, so that two sides never answer each other for ever', () => {
    const offer = bytes(IAC, WILL, 1, IAC, WILL, 1, IAC, WONT, 1, IAC, WONT, 1, IAC, DONT, 3, IAC, WONT, 99);
    expect(all([offer])).toEqual({ data: '', reply: [IAC, DO, 1, IAC, DONT, 1] });
  });

  test('commands, subnegotiations and fillers are taken out, and 255 twice is a byte (RFC 854)', () => {
    const stream = bytes('a', IAC, 241, 'b', IAC, SB, 24, 1, IAC, IAC, 9, IAC, SE, 'c\r', 0, 'd\r\n', 0, IAC, IAC);
    expect(all([stream])).toEqual({ data: 'abc\rd\r\n\u00ff', reply: [] });
  });

  test('a line end is CR LF, a bare CR has a NUL, and 255 goes twice', () => {
    expect([...send(bytes('x\r\n\r', 255))]).toEqual([...bytes('x\r\n\r', 0, 255, 255)]);
  });

  test('negotiations and subnegotiations without an end are violations', () => {
    const flood = concat(Array.from({ length: 300 }, () => bytes(IAC, DO, 40)));
    expect(all([flood])).toEqual({ violation: expect.stringContaining('negotiation') });
    expect(all([bytes(IAC, SB, 24, 'x'.repeat(2000))])).toEqual({
      violation: expect.stringContaining('subnegotiation'),
    });
  });

  test('whatever comes, and wherever it is split, the same is read', () => {
    const byte = fc.oneof(fc.integer({ min: 240, max: 255 }), fc.constantFrom(0, 1, 3, 10, 13), fc.nat(255));
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 200 }), fc.integer({ min: 1, max: 20 }), (stream, size) => {
        const whole = Uint8Array.from(stream);
        const chunks: Uint8Array[] = [];
        for (let at = 0; at < whole.length; at += size) chunks.push(whole.subarray(at, at + size));
        const once = all([whole]);
        expect(all(chunks)).toEqual(once);
        if ('reply' in once) expect(once.reply.length).toBeLessThanOrEqual(stream.length);
      }),
      { numRuns: 500 },
    );
  });

  test('text that is sent arrives as it was', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (sent) => {
        const wanted = Buffer.from(sent.filter((one) => one !== 0)).toString('latin1');
        expect(all([send(sent)])).toEqual({ data: wanted, reply: [] });
      }),
    );
  });
});

describe('screens', () => {
  test.each([
    ['rt1>', 'rt1', '', false],
    ['Building configuration...\n[OK]\nrt1# ', 'rt1', '', true],
    ['\nrt1(config-line)#', 'rt1', 'config-line', true],
    ['\nedge-1.lab:0#', 'edge-1.lab:0', '', true],
    ['\nrt1#\n*Mar  1 00:01:02.345: %SYS-5-CONFIG_I: Configured from console\n', 'rt1', '', true],
  ])('a prompt: %j', (screen, host, mode, privileged) => {
    expect(endingOf(screen)).toEqual({ kind: 'prompt', host, mode, privileged });
  });

  test.each([
    ['Username: ', 'username'],
    ['\nUser Access Verification\n\nPassword: ', 'password'],
    ['a\nb\n --More-- ', 'more'],
    ['Overwrite the previous NVRAM configuration?[confirm]', 'confirm'],
    ['Destination filename [startup-config]? ', 'question'],
    ['Proceed? [yes/no]: ', 'question'],
    ['Welcome to my # 1 router', 'none'],
    ['rt1#show ver', 'none'],
    ['Your Password: is\n', 'none'],
    ['', 'none'],
  ])('%j is %s', (screen, kind) => {
    expect(endingOf(screen).kind).toBe(kind);
  });

  test('where the name is known another prompt is only text; in configuration mode it may be cut short', () => {
    expect(endingOf('rt9>', 'rt1').kind).toBe('none');
    expect(endingOf('a-rather-long-name-o(config)#', 'a-rather-long-name-of-a-router').kind).toBe('prompt');
    expect(endingOf('a-rather-long-name-o#', 'a-rather-long-name-of-a-router').kind).toBe('none');
  });

  test('an answer begins after the echo, also of a line that scrolled over itself', () => {
    expect(afterEcho('show users\r\nrt1#', 'show users')).toBe('rt1#');
    expect(afterEcho('show us', 'show users')).toBeUndefined();
    expect(afterEcho('show users', 'show users')).toBeUndefined();
    expect(afterEcho('username app\b\b\b\b$ secret\r\n% Bad\r\nrt1#', 'username app')).toBe('% Bad\nrt1#');
    expect(outputOf('% Bad\n*Mar  1 00:00:01: %SYS-5-CONFIG_I: x\nrt1#')).toBe('% Bad');
  });

  test('what was overwritten is gone, and escape sequences too', () => {
    expect(plain(`one\r\n --More-- ${'\b'.repeat(10)}${' '.repeat(10)}${'\b'.repeat(10)}two\u001b[K\r\n`)).toBe(
      'one\ntwo\n',
    );
  });

  test('no screen breaks the reader, and what it calls a prompt stands in the last lines', () => {
    const piece = fc.oneof(
      fc.string(),
      fc.constantFrom('rt1#', '\r\n', '\b', '\u001b[', ' --More-- ', 'Password: ', '%SYS-5-X: '),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const text = pieces.join('');
        const ending = endingOf(plain(text), 'rt1');
        if (ending.kind === 'prompt') expect(text).toContain('rt1');
        outputOf(plain(text));
        refusalIn(text);
        sessionsIn(text);
        userIn(text, 'app');
      }),
      { numRuns: 500 },
    );
  });
});

describe('words', () => {
  test.each([
    ["      ^\n% Invalid input detected at '^' marker.", 'syntax'],
    ['% [RIP] Unknown command: username x', 'syntax'],
    ['% Ambiguous command:  "w"', 'syntax'],
    ['% Incomplete command.', 'syntax'],
    ['Command authorization failed.\n% Authorization failed.', 'permission'],
    ['% Password too short - must be at least 10 characters. Password configuration failed', 'policy'],
    ['Please specify string starting with alphanumeric', 'policy'],
    ['ERROR: Can not have both a user password and a user secret.', 'policy'],
    ['startup-config file open failed (Device or resource busy)', 'other'],
    ["Can't open configuration file /etc/frr/ripd.conf.x1.", 'other'],
    ["Configuration mode is locked by process '3' user 'x' from terminal '1'. Please try later.", 'other'],
  ])('%j is a refusal', (output, why) => {
    expect(refusalIn(output)?.why).toBe(why);
  });

  test.each([
    '',
    'Enter configuration commands, one per line.',
    '%SYS-5-CONFIG_I: Configured',
    '[OK]',
    'username x secret 9 y',
  ])('%j is none', (output) => {
    expect(refusalIn(output)).toBeUndefined();
  });

  test('only the words of a device that saved are believed', () => {
    expect(saved('Building configuration...\n[OK]')).toBe(true);
    expect(saved('Configuration saved to /etc/frr/ripd.conf')).toBe(true);
    expect(saved('1024 bytes copied in 0.3 secs')).toBe(true);
    expect(saved('')).toBe(false);
    expect(saved('Building configuration...')).toBe(false);
    expect(saved('startup-config file open failed (Device or resource busy)\n[OK]')).toBe(false);
  });

  test('refused logins and closed lines', () => {
    for (const words of ['% Login invalid', '% Bad passwords, too many failures!', '% Bad secrets', '% Access denied'])
      expect(rejectedLogin(`x\n${words}\n`), words).toBe(true);
    expect(rejectedLogin('Welcome\nrt1>')).toBe(false);
    expect(closedLine('Password required, but none set')).toBe(true);
    expect(closedLine('Vty password is not set.')).toBe(true);
  });

  test('a user is found by its whole name, over several lines', () => {
    const text =
      'username app2 privilege 3 secret 9 x\nusername app privilege 7\nusername app secret 9 y\nusername old password 7 z';
    expect(userIn(text, 'app')).toEqual({ privilege: 7, form: 'secret' });
    expect(userIn(text, 'old')).toEqual({ privilege: undefined, form: 'password' });
    expect(userIn(text, 'ap')).toBeUndefined();
    expect(userIn('username bare', 'bare')).toEqual({ privilege: undefined, form: 'none' });
    expect(userIn('username odd privilege x secret 0 y', 'odd')).toEqual({ privilege: undefined, form: 'secret' });
  });

  test('sessions of ours are those with our name and our address', () => {
    const list = `    Line       User       Host(s)              Idle       Location
   0 con 0                idle                 00:12:00
   2 vty 0     admin      idle                 00:00:09 10.0.0.5
   3 vty 1     admin      idle                 00:00:09 10.0.0.6
*  4 vty 2     admin      idle                 00:00:00 10.0.0.5
   5 vty 3     other      idle                 00:00:00 10.0.0.5`;
    expect(sessionsIn(list)).toEqual({ ours: [0] });
    expect(sessionsIn(list.replace('*', ' '))).toBeUndefined();
    expect(sessionsIn('% [RIP] Unknown command: show users')).toBeUndefined();
    expect(terminalsIn(' vty[11] connected from 127.0.0.1.\n vty[12] connected from ::1.')).toBe(2);
    expect(terminalsIn('% Unknown')).toBeUndefined();
  });

  test('a line that holds a secret, or a piece of one, is taken out', () => {
    expect(withoutSecrets('a\nusername x secret 0 Long.Secret-1\nb', ['Long.Secret-1'])).toBe('a\n[secret]\nb');
    expect(withoutSecrets('$g.Secret\nLong.Sec', ['Long.Secret-1'])).toBe('[secret]\n[secret]');
    expect(withoutSecrets('pin 1234', ['1234', ''])).toBe('[secret]');
  });
});
