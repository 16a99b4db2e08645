/**
 * The emulated IOS device judged by netmiko, a client of others that was made for real ones. What our connector shows
 * against the emulator is worth as much as this.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { missingPackages } from '../lab/install.ts';
import { type EmulatedIos, startEmulatedIos } from '../lab/ios-emulator.ts';
import { runWell } from '../lab/run.ts';

describe.runIf(missingPackages(['python3-netmiko']).length === 0)('the emulated IOS device', () => {
  let ios: EmulatedIos;
  beforeAll(async () => {
    ios = await startEmulatedIos('rt1');
    ios.device.provision('admin', 15, 'Admin.Pass-1');
    ios.device.provision('reader', 1, 'Reader.Pass-1');
    ios.device.provision('enable', 1, 'Unused.Pass-1');
    ios.device.running.enableSecret = ios.device.running.users['enable']?.credential;
  });
  afterAll(async () => ios?.[Symbol.asyncDispose]());

  async function netmiko(connect: object, commands: readonly string[]): Promise<Record<string, string>> {
    const input = JSON.stringify({ connect: { host: '127.0.0.1', ...connect }, commands });
    const ran = await runWell(['python3', join(import.meta.dirname, '../peers/netmiko/configure.py')], { input });
    return JSON.parse(ran.stdout) as Record<string, string>;
  }

  test.each([
    ['cisco_ios', 'ssh'],
    ['cisco_ios_telnet', 'telnet'],
  ] as const)('netmiko (%s) logs in, becomes privileged, configures and saves', async (type, by) => {
    const connect = {
      device_type: type,
      port: ios[by],
      username: 'reader',
      password: 'Reader.Pass-1',
      secret: 'Unused.Pass-1',
    };
    const said = await netmiko(connect, [`username made-by-${by} privilege 5 secret Made.Pass-1`]);
    expect(said['prompt']).toBe('rt1#');
    expect(said['configured']).toContain('rt1(config)#');
    expect(said['saved']).toContain('[OK]');
    expect(said['shown']).toMatch(new RegExp(`^username made-by-${by} privilege 5 secret 9 \\$9\\$`, 'm'));
    expect(ios.device.startup.users[`made-by-${by}`]?.privilege).toBe(5);
  });

  test('a refused command shows netmiko the marker, and changes nothing', async () => {
    const connect = { device_type: 'cisco_ios', port: ios.ssh, username: 'admin', password: 'Admin.Pass-1' };
    const said = await netmiko(connect, ['usernam nobody', 'user nobody secert x']);
    expect(said['configured']).toContain("% Invalid input detected at '^' marker.");
    expect(ios.device.running.users['nobody']).toBeUndefined();
  });
});
