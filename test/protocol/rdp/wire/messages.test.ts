import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat, fromHex, hex, utf8 } from '../../../../src/base/bytes.ts';
import { decodeActive } from '../../../../src/protocol/rdp/wire/capabilities.ts';
import { decodeClientInfo, encodeClientInfo, infoFlag } from '../../../../src/protocol/rdp/wire/client-info.ts';
import { frameAt } from '../../../../src/protocol/rdp/wire/frame.ts';
import {
  block,
  decodeConnectInitial,
  decodeConnectResponse,
  encodeConnectInitial,
  encodeConnectResponse,
} from '../../../../src/protocol/rdp/wire/gcc.ts';
import { decodeFastPathInput, decodeSlowInput } from '../../../../src/protocol/rdp/wire/input.ts';
import {
  attachConfirm,
  attachUser,
  decodeMcs,
  disconnectUltimatum,
  erectDomain,
  joinChannel,
  joinConfirm,
  readdress,
  sendDataIndication,
  sendDataRequest,
} from '../../../../src/protocol/rdp/wire/mcs.ts';
import { farewell } from '../../../../src/protocol/rdp/wire/refusal.ts';
import {
  decodeClientCore,
  decodeClientNet,
  decodeServerBlocks,
  editClientCore,
  encodeClientNet,
  serverBlocks,
  targetBlocks,
} from '../../../../src/protocol/rdp/wire/settings.ts';
import { decodeShareData, walkShare } from '../../../../src/protocol/rdp/wire/share.ts';
import {
  decodeConnectionConfirm,
  decodeConnectionRequest,
  encodeConnectionConfirm,
  encodeConnectionRequest,
  encodeNegotiationFailure,
  tpkt,
} from '../../../../src/protocol/rdp/wire/x224.ts';
import { LittleReader } from '../../../../src/protocol/wire/little-reader.ts';
import { LittleWriter } from '../../../../src/protocol/wire/little-writer.ts';

const bytes = (digits: string): Uint8Array => fromHex(digits.replaceAll(/\s/g, '')) ?? new Uint8Array();

function good<T>(value: T | { readonly violation: string }): T {
  if (typeof value === 'object' && value !== null && 'violation' in value) throw new Error(String(value.violation));
  return value as T;
}

describe('the first two messages', () => {
  test('a request is read with the cookie of its client and the protocols that it offers', () => {
    // MS-RDPBCGR §4.1.1: mstshash=eltons, RDP_NEG_REQ for TLS left out there and added here
    const request = concat([
      bytes('03 00 00 2e 29 e0 00 00 00 00 00'),
      utf8('Cookie: mstshash=eltons1\r\n'),
      bytes('01 00 08 00 0b 00 00 00'),
    ]);
    expect(decodeConnectionRequest(request)).toEqual({
      cookie: 'Cookie: mstshash=eltons1',
      flags: 0,
      protocols: 0x0b,
    });
  });

  test('a request without a cookie, and one that does not negotiate', () => {
    expect(decodeConnectionRequest(encodeConnectionRequest(3))).toEqual({ cookie: '', flags: 0, protocols: 3 });
    expect(decodeConnectionRequest(bytes('03 00 00 0b 06 e0 00 00 00 00 00'))).toEqual({
      cookie: '',
      flags: 0,
      protocols: 0,
    });
  });

  test('an answer names the chosen protocol, or why there is none', () => {
    expect(decodeConnectionConfirm(encodeConnectionConfirm(2))).toEqual({ kind: 'selected', protocol: 2, flags: 1 });
    expect(decodeConnectionConfirm(encodeNegotiationFailure(5))).toEqual({ kind: 'failure', code: 5 });
    expect(decodeConnectionConfirm(encodeConnectionRequest(1))).toEqual({ violation: 'not a connection confirm' });
  });
});

describe('framing', () => {
  test('messages of both kinds have their own lengths', () => {
    expect(frameAt(bytes('03 00 00 0b 06'), 0)).toEqual({ kind: 'tpkt', length: 11 });
    expect(frameAt(bytes('00 85 01'), 0)).toEqual({ kind: 'fast-path', length: 0x501 });
    expect(frameAt(bytes('ff 04 05 00 00 00'), 1)).toEqual({ kind: 'fast-path', length: 5 });
  });

  test('an incomplete header waits for more', () => {
    for (const part of ['', '03', '0300 00', '00', '00 85']) expect(frameAt(bytes(part), 0)).toBeUndefined();
  });

  test('what starts like neither, or is shorter than its header, is a violation', () => {
    for (const part of ['01 05', '02 05', '03 00 00 03', '00 01', '00 80 02'])
      expect(frameAt(bytes(part), 0)).toHaveProperty('violation');
  });
});

describe('settings', () => {
  const core = new LittleWriter()
    .u32(0x00080004)
    .u16(1024)
    .u16(768)
    .u16(0xca01)
    .u16(0xaa03)
    .u32(0x409)
    .u32(2600)
    .utf16('workstation')
    .zeros(32 - 22)
    .zeros(76)
    .u16(0xca01)
    .u16(1)
    .u32(0)
    .u16(24)
    .u16(0x0f)
    .u16(0x0dff)
    .zeros(64)
    .u16(7)
    .u32(3)
    .finish();

  test('what a client wants is read from its core block', () => {
    expect(decodeClientCore(core)).toEqual({
      width: 1024,
      height: 768,
      keyboardLayout: 0x409,
      build: 2600,
      name: 'workstation',
      depth: 32,
    });
  });

  test('a target is asked without the graphics pipeline, heartbeat, autodetection and skipped joins, and told what it chose', () => {
    const edited = editClientCore(core, { selected: 2, depth: 24, width: 800, height: 600, monitors: true });
    const reader = new LittleReader(edited, 4);
    expect([reader.u16(), reader.u16()]).toEqual([800, 600]);
    expect(new LittleReader(edited, 136).u16()).toBe(24);
    expect(new LittleReader(edited, 140).u16()).toBe(0x0dff & ~(0x100 | 0x80 | 0x400 | 0x800 | 0x02));
    expect(new LittleReader(edited, 208).u32()).toBe(2);
    expect(edited.length).toBe(core.length);
  });

  test('a core block that ends early keeps its length', () => {
    const short = core.subarray(0, 132);
    expect(editClientCore(short, { selected: 2, depth: 24, width: 800, height: 600, monitors: true }).length).toBe(132);
  });

  test('channels keep their names and lose the options that ask for compression', () => {
    const sent = encodeClientNet([{ name: 'cliprdr', options: 0xc0e00000 }]);
    expect(decodeClientNet(sent)).toEqual([{ name: 'cliprdr', options: 0xc0200000 }]);
    expect(decodeClientNet(new LittleWriter().u32(32).zeros(400).finish())).toHaveProperty('violation');
  });

  test('a whole Connect-Initial goes there and back, without the blocks that open other ways', () => {
    const client = [
      { type: block.csCore, data: core },
      { type: block.csCluster, data: bytes('15 00 00 00 07 00 00 00') },
      { type: block.csMessageChannel, data: bytes('00000000') },
      { type: block.csMultitransport, data: bytes('ff000000') },
    ];
    const edit = { selected: 1, depth: 24, width: 1024, height: 768, monitors: true };
    const sent = encodeConnectInitial(targetBlocks(client, edit, [{ name: 'rdpsnd', options: 0 }]));
    expect(sent[2]).toBe(sent.length >>> 8);
    const read = good(decodeConnectInitial(sent));
    expect(read.map(({ type }) => type)).toEqual([block.csCore, block.csCluster, block.csNet]);
    expect(hex(read[1]?.data ?? new Uint8Array())).toBe('0c00000000000000');
  });

  test('the answer echoes the request and numbers channels; an odd count is padded', () => {
    for (const channels of [[], [1004], [1004, 1005], [1004, 1005, 1006]]) {
      const read = good(decodeConnectResponse(encodeConnectResponse(serverBlocks(0x0b, { io: 1003, channels }))));
      expect(decodeServerBlocks(read, channels.length)).toEqual({ io: 1003, channels });
      expect(new LittleReader(read[0]?.data ?? new Uint8Array(), 4).u32()).toBe(0x0b);
      expect((read[1]?.data.length ?? 1) % 4).toBe(0);
    }
  });

  test('a server that gives other channels than asked for, or a number twice, is refused', () => {
    const blocks = serverBlocks(1, { io: 1003, channels: [1004, 1004] });
    expect(decodeServerBlocks(blocks, 1)).toHaveProperty('violation');
    expect(decodeServerBlocks(blocks, 2)).toEqual({ violation: 'a channel number given twice' });
  });
});

describe('MCS', () => {
  test('each message is read as it was written', () => {
    expect(decodeMcs(erectDomain())).toEqual({ kind: 'erect-domain' });
    expect(decodeMcs(attachUser())).toEqual({ kind: 'attach-user' });
    expect(decodeMcs(attachConfirm(1007))).toEqual({ kind: 'attach-confirm', user: 1007 });
    expect(decodeMcs(joinChannel(1007, 1003))).toEqual({ kind: 'join', user: 1007, channel: 1003 });
    expect(decodeMcs(joinConfirm(1007, 1003))).toEqual({ kind: 'join-confirm', user: 1007, channel: 1003 });
    expect(decodeMcs(disconnectUltimatum())).toEqual({ kind: 'disconnect', reason: 3 });
  });

  test('data of every length goes there and back; xrdp writes lengths of 15 bits', () => {
    for (const length of [0, 1, 127, 128, 16383, 16384, 32767]) {
      const data = new Uint8Array(length).fill(5);
      const up = good(decodeMcs(sendDataRequest(1007, 1004, data)));
      expect(up).toMatchObject({ kind: 'data', from: 'client', user: 1007, channel: 1004 });
      expect(up.kind === 'data' && up.data.length).toBe(length);
      const down = good(decodeMcs(sendDataIndication(1003, data)));
      expect(down).toMatchObject({ kind: 'data', from: 'server', user: 1002, channel: 1003 });
    }
  });

  test('a message is readdressed where it stands', () => {
    const message = sendDataIndication(1003, bytes('0102'));
    readdress(message, 1020, 1005);
    expect(decodeMcs(message)).toMatchObject({ user: 1020, channel: 1005 });
  });

  test('a refusal inside MCS is a violation', () => {
    const refused = attachConfirm(1007);
    refused[8] = 0x0e;
    expect(decodeMcs(refused)).toEqual({ violation: 'MCS refused with 14' });
  });
});

describe('Client Info', () => {
  const zone = new Uint8Array(172).fill(1);
  const extra = new LittleWriter()
    .u16(2)
    .u16(8)
    .utf16('abc\0')
    .u16(4)
    .utf16('d\0')
    .raw(zone)
    .u32(0)
    .u32(5)
    .u16(28)
    .zeros(28)
    .u16(0)
    .u16(0)
    .finish();
  const sent = new LittleWriter()
    .u16(0x40)
    .u16(0)
    .u32(0x409)
    .u32(infoFlag.unicode | infoFlag.compression | 0x0600 | infoFlag.passwordIsPin)
    .u16(4)
    .u16(10)
    .u16(6)
    .u16(0)
    .u16(0)
    .utf16('dd\0alice\0pwd\0\0\0')
    .raw(extra)
    .finish();

  test('user, domain and password are read, the password as bytes of its own', () => {
    const info = good(decodeClientInfo(sent));
    expect(info).toMatchObject({ user: 'alice', domain: 'dd', shell: '', codePage: 0x409 });
    expect(new TextDecoder('utf-16le').decode(info.password)).toBe('pwd');
    info.password.fill(0);
    expect(good(decodeClientInfo(sent)).password[0]).toBe(0x70);
  });

  test('the target gets the injected account, no cookie for reconnection, and compression that can be read here', () => {
    const password = new LittleWriter().utf16('Gehé!m').finish();
    const made = encodeClientInfo(good(decodeClientInfo(sent)), { domain: 'CORP', user: 'svc', password, shell: '' });
    const read = good(decodeClientInfo(made));
    expect(read).toMatchObject({ user: 'svc', domain: 'CORP' });
    expect(new TextDecoder('utf-16le').decode(read.password)).toBe('Gehé!m');
    expect(read.flags & infoFlag.autologon).not.toBe(0);
    expect(read.flags & infoFlag.passwordIsPin).toBe(0);
    expect(read.flags & (infoFlag.compression | infoFlag.compressionTypes)).toBe(infoFlag.compression | 0x0200);
    expect(hex(made)).not.toContain(hex(new LittleWriter().utf16('alice').finish()));
    expect(read.extra.length).toBe(extra.length - 28 - 4);
    expect([...read.extra.subarray(-2)]).toEqual([0, 0]);
  });

  test('a name that is too long and a message that is no Client Info are violations', () => {
    const long = sent.slice();
    long[14] = 0xff;
    long[15] = 0xff;
    expect(decodeClientInfo(long)).toEqual({ violation: 'a name or password that is too long' });
    expect(decodeClientInfo(bytes('80000000'))).toEqual({ violation: 'no Client Info where one is due' });
  });
});

describe('whatever comes', () => {
  const decoders: Readonly<Record<string, (bytes: Uint8Array) => unknown>> = {
    decodeConnectionRequest,
    decodeConnectionConfirm,
    decodeConnectInitial,
    decodeConnectResponse,
    decodeClientCore,
    decodeClientNet,
    decodeMcs,
    decodeClientInfo,
    decodeActive,
    walkShare,
    decodeShareData,
    decodeFastPathInput,
    decodeSlowInput,
    frameAt: (some) => frameAt(some, 0),
  };

  test.each(Object.keys(decoders))('%s answers any bytes with a message or a violation', (name) => {
    const decode = decoders[name] ?? (() => {});
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (some) => {
        decode(some);
        decode(tpkt(concat([bytes('02f080'), some])));
      }),
      { numRuns: 300 },
    );
  });

  test('every truncation of a good message is answered', () => {
    const messages = [
      encodeConnectInitial([{ type: block.csNet, data: encodeClientNet([{ name: 'cliprdr', options: 0 }]) }]),
      encodeConnectResponse(serverBlocks(1, { io: 1003, channels: [1004] })),
      sendDataRequest(1007, 1003, new Uint8Array(300)),
      farewell(1003, 7, false),
    ];
    for (const message of messages)
      for (let length = 0; length < message.length; length++)
        for (const decode of Object.values(decoders)) decode(message.subarray(0, length));
  });
});
