/** What the mysql connector leaves behind on a server: nothing that still runs after a fence, and no new value anywhere. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Login } from '../../src/rotation/connectors/connector.ts';
import type { MariadbServer } from '../lab/mariadb.ts';
import { password } from '../rotation/connectors/machine.ts';
import { boss, drawn, login, manager, roomOf, startAccounts, value } from '../rotation/connectors/mariadb.ts';
import { canary, drawCanary, searchBytes } from '../support/canary.ts';
import { scan } from '../support/canary-scan.ts';

const { candidates, change, cutOff, fence, precheck, readOnly, until, verify, work } = roomOf(() => server);

let server: MariadbServer;
beforeAll(async () => {
  server = await startAccounts();
});
afterAll(async () => server?.[Symbol.asyncDispose]());

describe('mysql, what stays behind', () => {
  test('a change that waits is ended by the server itself, and nothing was changed', async () => {
    await server.query(`ALTER USER 'app'@'%' IDENTIFIED BY 'App.Pass-5'`);
    await using _ = await readOnly();
    const answer = await change(work('app@%', manager(), { targetSeconds: 1 }), drawn());
    expect(answer).toMatchObject({ outcome: 'failed', class: 'timeout' });
    expect(await verify('app@%', password('App.Pass-5'))).toMatchObject({ outcome: 'accepted' });
  });

  test('a fence ends a change that was cut off: after it the old value stays', async () => {
    await server.query(`ALTER USER 'app'@'%' IDENTIFIED BY 'App.Pass-6'`);
    const next = drawn();
    {
      await using _ = await readOnly();
      await cutOff('rot-fenced', next);
      const left = work('app@%', manager(), { tag: 'rot-fenced' });
      expect(await fence(left)).toMatchObject({ outcome: 'confirmed' });
      expect(await fence(left)).toMatchObject({ outcome: 'confirmed' });
    }
    expect(await verify('app@%', password('App.Pass-6'))).toMatchObject({ outcome: 'accepted' });
    expect(await verify('app@%', next.login)).toMatchObject({ outcome: 'rejected' });
  });

  test('without a fence it lands later', async () => {
    const next = drawn();
    {
      await using _ = await readOnly();
      await cutOff('rot-unfenced', next);
    }
    await until(`SELECT 1 FROM DUAL WHERE IS_USED_LOCK('rot-unfenced') IS NULL`);
    expect(await verify('app@%', next.login)).toMatchObject({ outcome: 'accepted' });
  });

  test('a fence without the right to end the session says so', async () => {
    const next = drawn();
    await using _ = await readOnly();
    await cutOff('rot-other', next);
    const left = (by: Login) => work('app@%', by, { tag: 'rot-other' });
    expect(await fence(left(login('plain', 'Plain.Pass-1')))).toMatchObject({
      outcome: 'uncertain',
      class: 'permission',
    });
    expect(await fence(left(boss()))).toMatchObject({ outcome: 'confirmed' });
  });

  test('no new value is anywhere on the server: general log, slow log, binary log, statistics, data', async () => {
    const given = Array.from({ length: 7 }, () => drawCanary('new value').text);
    const [changed = '', own = '', refused = '', missing = '', forbidden = '', tried = '', modern = ''] = given;
    await server.query(`CREATE USER 'modern'@'%' IDENTIFIED VIA ed25519 USING PASSWORD('Modern.Pass-1')`);
    const control = drawCanary('planted by SQL');
    await server.query(`ALTER USER 'app'@'%' IDENTIFIED BY '${control.text}'`);
    await change(work('app@%'), value(changed));
    await change(work('app@%', login('app@%', changed)), value(own));
    await change(work('app@%', login('plain', 'Plain.Pass-1')), value(refused));
    await change(work('gone@%'), value(missing));
    await change(work('modern@%'), value(modern));
    await server.query(`INSTALL SONAME 'simple_password_check'`);
    await change(work('app@%'), value(forbidden));
    await server.query(`UNINSTALL SONAME 'simple_password_check'`);
    await candidates('app@%', [password(tried)]);
    await verify('app@%', password(tried));
    await precheck(work('app@%'));

    const canaries = given.map((text, at) => canary(`value ${at}`, text));
    const logs = await server.logs();
    const parts = Object.keys(logs).join(' ');
    for (const part of ['general.log', 'slow.log', 'binlog.000001', 'mysqlbinlog']) expect(parts).toContain(part);
    for (const [name, text] of Object.entries(logs)) expect(searchBytes(canaries, name, text), name).toEqual([]);
    // What is looked for would be seen: the hashes are there, and a value that went in by SQL is.
    for (const name of ['general.log', 'slow.log', 'binlog.000001', 'mysqlbinlog binlog.000001']) {
      const log = logs[name] ?? Buffer.alloc(0);
      expect(log.toString('latin1'), name).toMatch(/IDENTIFIED VIA mysql_native_password USING '\*[0-9A-F]{40}'/);
      expect(searchBytes([control], name, log).length, name).toBeGreaterThan(0);
    }
    const history = await server.query('SELECT * FROM performance_schema.events_statements_history_long');
    expect(history.length).toBeGreaterThan(10);
    const statistics = JSON.stringify([history, await server.query('SELECT * FROM information_schema.PROCESSLIST')]);
    expect(searchBytes(canaries, 'statistics', statistics)).toEqual([]);
    const seen = await scan(canaries, [server.folder]);
    expect(seen.hits).toEqual([]);
    expect(seen.bytes).toBeGreaterThan(8 << 20);
  });
});
