/**
 * One session over RDP as a test looks at it: the client, the desktop that the target has for it, and afterwards what
 * the product kept of it: the recording, by the product's own export, and the rows of the audit trail.
 */
import { type Picture } from '../lab/rdp/picture.ts';
import { parsePng } from '../lab/rdp/png.ts';
import { startRdesktop } from '../lab/rdp/rdesktop.ts';
import type { RdpClient, RdpClientOptions } from '../lab/rdp/rdp-client.ts';
import { moveTo, type Screen } from '../lab/rdp/screen.ts';
import { type FreeRdpOptions } from '../lab/rdp/xfreerdp.ts';
import type { AuditRow } from './house.ts';
import type { Desk } from './rdp-stage.ts';

export const soon = (seconds: number): AbortSignal => AbortSignal.timeout(seconds * 1000);

export interface Visit extends AsyncDisposable {
  readonly client: RdpClient;
  /** The account's desktop at the target. */
  readonly screen: Screen;
  readonly session: string;
  /** The number of the last audit row before it. */
  readonly from: number;
  /** Ends the client and waits until the recording is sealed. */
  end(): Promise<Recorded>;
}

export interface Recorded {
  /** The audit rows of the session, in order. */
  readonly rows: readonly AuditRow[];
  /** Everything in it but pictures, as lines of text. */
  text(): Promise<string>;
  /** Its events as the product plays them, one object each. */
  events(): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** The picture at a time, milliseconds since 1970. */
  at(time: number): Promise<Picture>;
}

/** alice to an account of desk-01 with one of the clients; there when both the client and the target show the desktop. */
export async function visit(
  desk: Desk,
  account: string,
  how:
    | ({ readonly program: 'rdesktop' } & Partial<RdpClientOptions>)
    | ({ readonly program: 'xfreerdp' } & Partial<FreeRdpOptions>),
): Promise<Visit> {
  const { house } = desk;
  const from = await house.mark();
  const minted = await house.call('connection-token.mint', { user: 'alice', account, target: 'desk-01' });
  const login = { ...house.product.rdp, user: minted.user, password: minted.token };
  await using undo = new AsyncDisposableStack();
  const client = undo.use(
    how.program === 'rdesktop'
      ? await startRdesktop(desk.display, { ...login, ...how })
      : await desk.connect('', { ...login, ...how }),
  );
  await client.connected(soon(20));
  const opened = await house.event(
    (row) => row.type === 'session.opened' && row.details['selector'] === `${account}@desk-01`,
    from,
  );
  const session = String(opened.details['session']);
  const screen = await desk.xrdp.session(account, soon(20));
  const life = undo.move();
  return {
    client,
    screen,
    session,
    from,
    end: async () => {
      await life.disposeAsync();
      await house.event((row) => row.type === 'session.ended' && row.details['session'] === session, from);
      return await recorded(desk, session, from);
    },
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

async function recorded({ house }: Desk, session: string, from: number): Promise<Recorded> {
  await house.event((row) => row.type === 'recording.sealed' && JSON.stringify(row).includes(session), from);
  const { recordings } = await house.call('recording.list', {});
  const found = recordings.find((one) => one.session === session);
  if (found === undefined) throw new Error(`no recording of session ${session}`);
  const { recording } = found;
  const startedAt = Date.parse(found.startedAt);
  const play = async (format: 'text' | 'events'): Promise<string> => {
    const parts: Uint8Array[] = [];
    await house.call('recording.play', { recording, format }, (part) => void parts.push(part.bytes));
    return Buffer.concat(parts).toString();
  };
  return {
    rows: (await house.trail(from)).filter((row) => JSON.stringify(row).includes(session)),
    text: () => play('text'),
    events: async () =>
      (await play('events'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as never),
    at: async (time) => {
      const seconds = ((time - startedAt) / 1000).toFixed(3);
      const ran = await house.product.cli(['recording', 'export', recording, '--png', seconds]);
      if (ran.code !== 0) throw new Error(`no picture at ${seconds} s: ${ran.stderr}`);
      return parsePng(ran.output);
    },
  };
}

/**
 * Makes the pointer of the desktop's background look like that background, and puts it there: dumps of a screen do not
 * have the pointer, and replays do. One without any pixel would not do: xrdp does not tell its clients of it.
 */
export async function hidePointer(desk: Desk, screen: Screen): Promise<void> {
  const head = ['n_width 8', 'n_height 8', 'n_x_hot 0', 'n_y_hot 0'].map((line) => `#define ${line}\\n`).join('');
  const bits = `${head}static char n_bits[] = {\\n1,1,1,1,1,1,1,1};\\n`;
  const colours = "-fg '#204060' -bg '#204060'";
  await screen.run(['sh', '-c', `printf '${bits}' >~/.blank && xsetroot -cursor ~/.blank ~/.blank ${colours}`]);
  // a client that came back is told of the pointer when that changes
  await moveTo(desk.display, 100, 400);
  await moveTo(desk.display, 950, 500);
}
