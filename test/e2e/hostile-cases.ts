/**
 * What a target can do wrong before and after it has let somebody in, and the line that the user must see. Each is one
 * behaviour of a hostile server; the tests are in hostile-targets.test.ts.
 */
import { authMsg, encodeBanner, encodeInfoRequest } from '../../src/protocol/ssh/wire/auth.ts';
import { Writer } from '../../src/protocol/ssh/wire/writer.ts';
import { admit, authRequest, type Behaviour, freshSigner, grant, greet, type Reading, until } from './hostile-stage.ts';

const none = new Uint8Array();
/** The case that takes as long as a handshake may. */
export const endless = 'never finishes the key exchange';

export interface Case {
  readonly behave: Behaviour;
  /** In the one line that the user sees. */
  readonly line: RegExp;
  /** Whether this target may know the secret at the end. */
  readonly told?: boolean;
}

/** After a login that it lets succeed, and a program that it starts. */
export function afterStart(act: (one: Reading, recipient: number) => void): Behaviour {
  return async (socket, target) => {
    const one = await admit(socket, target);
    act(one, await grant(one));
    await one.end();
  };
}

/** After a login that it lets succeed, at the first channel. */
function atOpen(act: (one: Reading, recipient: number) => void): Behaviour {
  return async (socket, target) => {
    const one = await admit(socket, target);
    act(one, (await one.next('open')).sender);
    await one.end();
  };
}

/** Asks by keyboard-interactive. */
function asking(question: Uint8Array): Behaviour {
  return async (socket, target) => {
    const transport = await greet(socket, target);
    await until('keyboard-interactive', transport, target);
    // Who has the trusted key was offered the password as one; here it is about the question.
    target.secrets.length = 0;
    transport.send(question);
    const answer = await transport.next(new AbortController().signal);
    if (answer !== undefined) target.secrets.push(Buffer.from(answer).toString('latin1'));
  };
}

const confirmation = { kind: 'open-confirmation', sender: 7, window: 2 ** 21, maxPacket: 32_768, body: none } as const;
const packed = (text: string) => Buffer.from(text);

export const cases: Readonly<Record<string, Case>> = {
  [endless]: {
    behave: async (socket) => void socket.write('SSH-2.0-Hostile\r\n'),
    line: /did not finish the handshake in time/,
  },
  'closes at once': { behave: async (socket) => void socket.end(), line: /closed before it was established/ },
  'sends a packet without end': {
    behave: async (socket) => void socket.write(Buffer.concat([packed('SSH-2.0-H\r\n'), Buffer.alloc(64, 0xff)])),
    line: /not well-formed SSH/,
  },
  'shows another key': {
    behave: async (socket, target) => void (await greet(socket, target, await freshSigner())),
    line: /another host key than the trusted one, so nothing was sent/,
  },
  'shows the trusted key without having it': {
    behave: async (socket, target) => {
      const other = await freshSigner();
      await greet(socket, target, { ...other, publicKey: target.signer.publicKey });
    },
    line: /could not prove that it owns its host key/,
  },
  'answers the login with junk': {
    behave: async (socket, target) => {
      const transport = await greet(socket, target);
      await authRequest(transport, target);
      transport.send(Uint8Array.of(authMsg.failure, 0xff, 0xff, 0xff, 0xff, 1));
    },
    line: /not well-formed SSH/,
    told: true,
  },
  'answers the login with a message of another layer': {
    behave: async (socket, target) => {
      const transport = await greet(socket, target);
      await authRequest(transport, target);
      transport.send(Uint8Array.of(99, 0, 0, 0, 0));
    },
    line: /message 99 during authentication/,
    told: true,
  },
  'says no': {
    behave: async (socket, target) => {
      const transport = await greet(socket, target);
      await until('nothing', transport, target);
    },
    line: /the server takes nothing|offered/,
    told: true,
  },
  'wants a new password': {
    behave: async (socket, target) => {
      const transport = await greet(socket, target);
      await authRequest(transport, target);
      transport.send(new Writer().u8(authMsg.methodSpecific).text('Give me a new one: ').text('').finish());
      await authRequest(transport, target);
    },
    line: /PASSWD_CHANGEREQ/,
    told: true,
  },
  'asks for the password where it would be seen': {
    behave: asking(encodeInfoRequest({ name: '', instruction: '', prompts: [{ text: 'Password: ', echo: true }] })),
    line: /the server asks/,
  },
  'asks two hidden questions': {
    behave: asking(
      encodeInfoRequest({
        name: '',
        instruction: '',
        prompts: [
          { text: 'Password: ', echo: false },
          { text: 'Again: ', echo: false },
        ],
      }),
    ),
    line: /the server asks/,
  },
  'asks in control characters': {
    behave: asking(
      encodeInfoRequest({
        name: '',
        instruction: '',
        prompts: [{ text: '\u001b[2J\u009b31m\u202ehello', echo: true }],
      }),
    ),
    line: /the server asks .*\?\[2J\?31m\?hello/,
  },
  'asks 2147483648 questions': {
    behave: asking(
      new Writer()
        .u8(authMsg.methodSpecific)
        .text('')
        .text('')
        .text('')
        .u32(2 ** 31)
        .finish(),
    ),
    line: /not well-formed SSH: 2147483648 prompts/,
  },
  'says goodbye in control characters': {
    behave: async (socket, target) => {
      const transport = await greet(socket, target);
      await authRequest(transport, target);
      transport.send(encodeBanner('\u001b]0;owned\u0007\r\nsallyport: all is well\r\n'));
      await transport.disconnect(2, '\u001b[2J\u009b31m\u202egoodbye');
    },
    line: /the peer said goodbye: "\?\[2J\?31m\?goodbye"/,
    told: true,
  },
  'confirms a channel for packets of no bytes': {
    behave: atOpen((one, recipient) => one.send({ ...confirmation, recipient, maxPacket: 0 })),
    line: /maximum packet size 0/,
    told: true,
  },
  'confirms a channel twice': {
    behave: atOpen((one, recipient) => {
      one.send({ ...confirmation, recipient });
      one.send({ ...confirmation, recipient, sender: 8 });
    }),
    line: /target: /,
    told: true,
  },
  'confirms a channel that nobody asked for': {
    behave: atOpen((one) => one.send({ ...confirmation, recipient: 99 })),
    line: /target: an answer about a channel that nobody asked for/,
    told: true,
  },
  'sends data for a channel that nobody has': {
    behave: afterStart((one) => one.send({ kind: 'data', recipient: 99, data: packed('x') })),
    line: /target: data for a channel that is not open/,
    told: true,
  },
  'answers what nobody asked': {
    behave: afterStart((one, recipient) => one.send({ kind: 'success', recipient })),
    line: /an answer without a question/,
    told: true,
  },
  'answers a global request that nobody made': {
    behave: afterStart((one) => one.send({ kind: 'request-success', body: none })),
    line: /an answer without a question/,
    told: true,
  },
  'lies about a length': {
    behave: afterStart((one, recipient) =>
      one.transport.send(new Writer().u8(94).u32(recipient).u32(1000).raw(packed('x')).finish()),
    ),
    line: /a length that lies/,
    told: true,
  },
  'sends half a message': {
    behave: afterStart((one) => one.transport.send(Uint8Array.of(95, 0, 0))),
    line: /the peer broke the rules of the protocol: target/,
    told: true,
  },
  'leaves in the middle': {
    behave: afterStart((one) => void one.transport.disconnect(11, 'bye')),
    line: /closed the connection/,
    told: true,
  },
};
