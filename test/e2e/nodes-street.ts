/**
 * Nodes that reach each other over TLS with passwords, as the product's do, but without keepers: what goes on between
 * nodes is called by the test, step by step.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { isRefusal } from '../../src/base/errors.ts';
import type { Log } from '../../src/base/log.ts';
import { silent } from '../../src/base/log.ts';
import { peerFiles, peerSettings, preparePeers } from '../../src/db/embedded/neighbours.ts';
import { type NodeState, nodeState } from '../../src/rotation/nodes/identity.ts';
import { init, invite, type Joined, join as joinBy } from '../../src/rotation/nodes/joining.ts';
import type { Neighbourhood } from '../../src/rotation/nodes/neighbourhood.ts';
import { readLetters, tend } from '../../src/rotation/nodes/tending.ts';
import { actor, never, type Node, nodesStage, type Stage } from './nodes-stage.ts';

export interface House {
  readonly node: Node;
  readonly near: Neighbourhood;
  /** What was warned of. */
  readonly warnings: string[];
  state(): Promise<NodeState>;
  /** Joins by an invitation of another one. */
  join(other: House): Promise<Joined>;
  /** One round of what goes on by itself. */
  round(): Promise<void>;
  stop(): Promise<void>;
  start(): Promise<void>;
}

export interface Street extends AsyncDisposable {
  readonly stage: Stage;
  house(name: string): House;
  /** Rounds of all of them until each is a member that hears everybody whom it knows. */
  calm(names: readonly string[]): Promise<void>;
}

/** Houses with a name and a listener each, that do not know each other yet. */
export async function nodesStreet(names: readonly string[], accounts: readonly string[]): Promise<Street> {
  const stack = new AsyncDisposableStack();
  const stage = stack.use(await nodesStage(names, accounts));
  const houses = new Map<string, House>();
  for (const name of names) houses.set(name, await openHouse(stage.node(name)));
  const house = (name: string): House => {
    const found = houses.get(name);
    if (found === undefined) throw new Error(`no house ${name}`);
    return found;
  };
  const street = {
    stage,
    house,
    calm: async (all: readonly string[]) => {
      for (const late = AbortSignal.timeout(60_000); ; await systemClock.sleep(50, never)) {
        for (const name of all) await house(name).round();
        const states = await Promise.all(all.map((name) => house(name).state()));
        if (states.every((state) => state === 'member')) return;
        if (late.aborted)
          throw new Error(`${states.join(', ')}: ${all.map((name) => house(name).warnings.at(-1)).join('; ')}`);
      }
    },
  };
  return { ...street, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function openHouse(node: Node): Promise<House> {
  const { cluster } = node;
  const folder = join(cluster.data, 'peers');
  preparePeers(folder, { ...cluster.owner, name: 'postgres' });
  const hba = join(cluster.data, 'pg_hba.conf');
  await writeFile(hba, `hostssl sallyport sallyport_repl all scram-sha-256\n${await readFile(hba, 'utf8')}`);
  const port = await freePort();
  const start = async (): Promise<void> => {
    await cluster.start(peerSettings({ address: '127.0.0.1', port }, folder));
    await node.reopen();
  };
  await cluster.stop('fast');
  await start();
  const warnings: string[] = [];
  const log: Log = { ...silent, warn: (_fields, words) => void warnings.push(words) };
  const near: Neighbourhood = {
    get db() {
      return node.db;
    },
    get admin() {
      return node.admin;
    },
    get vault() {
      return node.vault;
    },
    files: peerFiles({ folder, seen: folder, ...cluster.owner }),
    host: '127.0.0.1',
    port,
    log,
    clock: systemClock,
    sealedElsewhere: async () => false,
  };
  const named = await init(near, node.name, actor);
  if (isRefusal(named)) throw new Error(named.reason);
  return {
    node,
    near,
    warnings,
    state: async () => (await nodeState(node.db)).state,
    join: async (other) => {
      using invitation = await invite(other.near, actor);
      const joined = await joinBy(near, invitation.reveal(), actor, never);
      if (isRefusal(joined)) throw new Error(joined.reason);
      return joined;
    },
    round: async () => {
      await readLetters(near, never);
      await tend(near, never);
    },
    stop: () => cluster.stop('immediate'),
    start,
  };
}

/** Takes connections and says nothing, as a line that swallows everything. */
export async function silentServer(): Promise<{ readonly port: number } & AsyncDisposable> {
  const sockets = new Set<{ destroy(): void }>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
  });
  const port = await listening(server);
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listening(server);
  server.close();
  await once(server, 'close');
  return port;
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
