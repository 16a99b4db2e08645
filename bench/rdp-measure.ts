/**
 * The measurements of desktops, each made with stock xfreerdp by one door: the target itself, or the gate in front of it.
 * Every one ends when the client shows what the target has, pixel by pixel; a client that shows less is an error, never fast.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { readFile } from 'node:fs/promises';
import { differingPixels, untilSame } from '../test/lab/rdp/compare.ts';
import type { Picture } from '../test/lab/rdp/picture.ts';
import type { RdpClient } from '../test/lab/rdp/rdp-client.ts';
import { picture } from '../test/lab/rdp/screen.ts';
import { startXfreerdp } from '../test/lab/rdp/xfreerdp.ts';
import { runWell } from '../test/lab/run.ts';
import { cpuOf } from './cpu.ts';
import type { DesktopDoor, DesktopPlace } from './rdp-place.ts';

const patience = (): AbortSignal => AbortSignal.timeout(120_000);

/** Logs in once, so that there is a desktop, which stays when its client leaves. */
export async function startDesktop({ display, xrdpDoors: [door] }: DesktopPlace): Promise<void> {
  const signal = patience();
  if (door === undefined) throw new Error('there is no door');
  await using client = await startXfreerdp(display, await door.options());
  await client.connected(signal);
  await door.screen(signal);
}

/** Milliseconds from the start of the client to the moment in which it shows the target's whole, unmoving screen. */
export async function firstPicture(place: DesktopPlace, door: DesktopDoor): Promise<number> {
  const signal = patience();
  const options = await door.options();
  const target = await picture(await door.screen(signal), {}, signal);
  const start = performance.now();
  await using client = await startXfreerdp(place.display, options);
  await untilShown(client, target, signal);
  return performance.now() - start;
}

export interface Scrolled {
  /** Milliseconds until the client shows the end of it. */
  readonly ms: number;
  /** Bytes that the client received from its server meanwhile, TLS included. */
  readonly bytes: number;
  /** CPU seconds of the gate process, and of all of Sallyport: keeper and database, too. */
  readonly gateCpu?: number;
  readonly allCpu?: number;
}

/** A fixed workload: so many lines of seeded text scroll through a terminal of the desktop as fast as it takes them. */
export async function scroll(place: DesktopPlace, door: DesktopDoor, lines: number, seed: number): Promise<Scrolled> {
  const signal = patience();
  const options = await door.options();
  await using client = await startXfreerdp(place.display, options);
  const screen = await door.screen(signal);
  await untilShown(client, await picture(screen, {}, signal), signal);
  const cpu = async (): Promise<readonly [number, number]> =>
    door.gate ? [await cpuOf(place.gatePid()), await cpuOf(place.house.product.pid)] : [0, 0];
  const before = { bytes: await receivedFrom(options.port), cpu: await cpu() };
  const start = performance.now();
  await place.xrdp.scroll('svc', { seed, lines }, signal);
  // The terminal has been given the last line, and may still be drawing.
  await untilSame(
    (cut) => picture(screen, {}, cut),
    (cut) => client.picture(cut),
    signal,
  );
  const ms = performance.now() - start;
  const [gate, all] = await cpu();
  const cost = door.gate ? { gateCpu: gate - before.cpu[0], allCpu: all - before.cpu[1] } : {};
  return { ms, bytes: (await receivedFrom(options.port)) - before.bytes, ...cost };
}

async function untilShown(client: RdpClient, target: Picture, signal: AbortSignal): Promise<void> {
  await client.window(signal);
  let apart: number | undefined;
  try {
    while ((apart = differingPixels(target, await client.picture(signal))) > 0) await pause(5, undefined, { signal });
  } catch (cause) {
    throw new Error(`${apart ?? 'all'} pixels never were the target's: ${client.log().slice(-500)}`, { cause });
  }
}

/** What the kernel counts at the one client's end of its connection to a server's port; the gate's own are not meant. */
async function receivedFrom(port: number): Promise<number> {
  const { stdout } = await runWell(['ss', '-tinpHO', 'state', 'established', `dport = :${port}`]);
  const line = stdout.split('\n').find((one) => one.includes('"xfreerdp"'));
  const received = /bytes_received:(\d+)/.exec(line ?? '')?.[1];
  if (received === undefined) throw new Error(`no client is connected to port ${port}`);
  return Number(received);
}

export interface Crowd {
  readonly sessions: number;
  /** Memory of the gate process in MB (10^6 bytes): with no session, with all of them still, and the most while the screen moves. */
  readonly before: number;
  readonly idle: number;
  readonly moving: number;
  /** Of one session: what it adds to the gate. */
  readonly idleEach: number;
  readonly movingEach: number;
  /** Cores that the gate takes for all while nothing moves, and while everything does. */
  readonly idleCores: number;
  readonly movingCores: number;
}

/** So many clients at one time by one door, first before a still screen and then before one that moves. */
export async function crowd(
  place: DesktopPlace,
  door: DesktopDoor,
  sessions: number,
  seconds: number,
  tell: (text: string) => void,
): Promise<Crowd> {
  await using clients = new AsyncDisposableStack();
  const pid = place.gatePid();
  const before = await residentOf(pid);
  for (let n = 0; n < sessions; n++) {
    tell(`sessions ${n}/${sessions}`);
    const client = clients.use(await startXfreerdp(place.display, await door.options()));
    await client.connected(patience());
  }
  const idle = await watch(pid, seconds);
  const argv = ['xterm', '-geometry', '100x30+10+260', '-e', 'while :; do head -c 3000 /dev/urandom | base64; done'];
  const over = new AbortController();
  const moving = place.shadow.screen.run(argv, {}, over.signal).catch(() => {});
  const busy = await watch(pid, seconds);
  over.abort(new Error('long enough'));
  await moving;
  return {
    sessions,
    before,
    idle: idle.most,
    moving: busy.most,
    idleEach: (idle.most - before) / sessions,
    movingEach: (busy.most - before) / sessions,
    idleCores: idle.cores,
    movingCores: busy.cores,
  };
}

/** The most memory that a process has in these seconds, and how many cores it takes. */
async function watch(pid: number, seconds: number): Promise<{ readonly most: number; readonly cores: number }> {
  const [cpu, start] = [await cpuOf(pid), performance.now()];
  let most = 0;
  while (performance.now() - start < seconds * 1000) {
    most = Math.max(most, await residentOf(pid));
    await pause(200);
  }
  return { most, cores: ((await cpuOf(pid)) - cpu) / ((performance.now() - start) / 1000) };
}

async function residentOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return (Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024) / 1e6;
}
