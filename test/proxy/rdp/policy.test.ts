import { expect, test } from 'vitest';
import { isSubprotocol, subprotocolsOf } from '../../../src/access/plan/subprotocols.ts';
import { dynamicChannel, mayAnnounce, rdpPolicy, staticChannels } from '../../../src/proxy/rdp/policy.ts';

const asked = ['rdpdr', 'rdpsnd', 'cliprdr', 'drdynvc', 'rail', 'MS_T120'];
const allowed = (names: readonly string[]): string[] =>
  staticChannels(asked, rdpPolicy(names))
    .filter((channel) => channel.allowed && !channel.silent)
    .map(({ name }) => name);

test('without a word in the grant only the carrier of dynamic channels reaches the target', () => {
  expect(allowed([])).toEqual(['drdynvc']);
  expect(allowed(['shell', 'sftp'])).toEqual(['drdynvc']);
});

test.each([
  ['clipboard-up', 'cliprdr'],
  ['clipboard-down', 'cliprdr'],
  ['clipboard-files-up', 'cliprdr'],
  ['clipboard-files-down', 'cliprdr'],
  ['drives', 'rdpdr'],
  ['drives-read', 'rdpdr'],
  ['printers', 'rdpdr'],
  ['ports', 'rdpdr'],
  ['smartcards', 'rdpdr'],
  ['audio-out', 'rdpsnd'],
  ['static:rail', 'rail'],
])('%s alone adds %s and nothing else', (subprotocol, channel) => {
  expect(allowed([subprotocol]).sort()).toEqual([channel, 'drdynvc'].sort());
});

test.each(['usb', 'audio-in', 'camera', 'display-control', 'dynamic:ECHO'])('%s adds no static channel', (name) => {
  expect(allowed([name])).toEqual(['drdynvc']);
});

test('the internal channel of servers is never allowed, however it is written or granted', () => {
  const policy = rdpPolicy(['static:MS_T120', 'static:ms_t120', 'static:Ms_T120']);
  const decisions = staticChannels(['MS_T120', 'ms_t120', 'Ms_T120'], policy);
  expect(decisions.map((one) => one.allowed)).toEqual([false, false, false]);
  expect(staticChannels(['MS_T120'], policy)[0]?.why).toBe('it is internal to servers');
});

test('a name asked for twice, in any case, passes once; what is no name does not pass', () => {
  const policy = rdpPolicy(['clipboard-up', 'static:', 'static:a b', 'static:longername']);
  expect(staticChannels(['cliprdr', 'CLIPRDR', '', 'a b', 'longername'], policy).map((one) => one.allowed)).toEqual([
    true,
    false,
    false,
    false,
    false,
  ]);
});

test('the device channel takes the sound channel along, but silent', () => {
  const [, sound] = staticChannels(['rdpdr', 'rdpsnd'], rdpPolicy(['drives']));
  expect(sound).toMatchObject({ name: 'rdpsnd', allowed: true, silent: true });
  expect(staticChannels(['rdpsnd'], rdpPolicy(['drives']))[0]).toMatchObject({ allowed: false, silent: false });
  expect(staticChannels(['rdpdr', 'rdpsnd'], rdpPolicy(['drives', 'audio-out']))[1]).toMatchObject({ silent: false });
});

const dynamicNames = [
  'Microsoft::Windows::RDS::DisplayControl',
  'Microsoft::Windows::RDS::Input',
  'Microsoft::Windows::RDS::Graphics',
  'Microsoft::Windows::RDS::Video::Control::v08.01',
  'Microsoft::Windows::RDS::Video::Data::v08.01',
  'Microsoft::Windows::RDS::Geometry::v08.01',
  'Microsoft::Windows::RDS::AuthRedirection',
  'AUDIO_INPUT',
  'AUDIO_PLAYBACK_DVC',
  'AUDIO_PLAYBACK_LOSSY_DVC',
  'URBDRC',
  'PNPDR',
  'FileRedirectorChannel',
  'RDCamera_Device_Enumerator',
  'RDCamera_Device_0',
  'rdpdr',
  'cliprdr',
  'ECHO',
];
const opens = (names: readonly string[]): string[] =>
  dynamicNames.filter((name) => dynamicChannel(name, rdpPolicy(names)).allowed);
const always = 'Microsoft::Windows::RDS::DisplayControl';

test.each([
  ['usb', ['URBDRC']],
  ['audio-in', ['AUDIO_INPUT']],
  ['audio-out', ['AUDIO_PLAYBACK_DVC', 'AUDIO_PLAYBACK_LOSSY_DVC']],
  ['camera', ['RDCamera_Device_Enumerator', 'RDCamera_Device_0']],
  ['drives', ['rdpdr']],
  ['clipboard-down', ['cliprdr']],
  ['dynamic:Microsoft::Windows::RDS::Input', ['Microsoft::Windows::RDS::Input']],
  ['dynamic:ECHO', ['ECHO']],
  ['dynamic:PNPDR', ['PNPDR']],
  ['display-control', []],
])('%s alone opens only its own dynamic channels beside display control', (subprotocol, channels) => {
  expect(opens([subprotocol]).sort()).toEqual([...channels, always].sort());
});

test('what would be missing from the recording is never opened, and neither is a login past the gate', () => {
  for (const name of dynamicNames.slice(2, 7)) {
    expect(opens([`dynamic:${name}`])).toEqual([always]);
    expect(dynamicChannel(name.toUpperCase(), rdpPolicy([`dynamic:${name.toUpperCase()}`])).allowed).toBe(false);
  }
});

test('an exact name opens no way around a filter', () => {
  expect(opens(['dynamic:rdpdr', 'dynamic:cliprdr'])).toEqual([always]);
});

test('touch and pen are refused with the reason', () => {
  expect(dynamicChannel('Microsoft::Windows::RDS::Input', rdpPolicy([])).why).toContain('would not be recorded');
});

test('devices are announced by type', () => {
  const types = ['drive', 'printer', 'serial', 'parallel', 'smartcard', 'unknown'] as const;
  const announced = (name: string): string[] => types.filter((type) => mayAnnounce(rdpPolicy([name]), type));
  expect(announced('drives')).toEqual(['drive']);
  expect(announced('drives-read')).toEqual(['drive']);
  expect(announced('printers')).toEqual(['printer']);
  expect(announced('ports')).toEqual(['serial', 'parallel']);
  expect(announced('smartcards')).toEqual(['smartcard']);
  expect(types.filter((type) => mayAnnounce(rdpPolicy(subprotocolsOf.rdp), type))).not.toContain('unknown');
});

test('sub-protocols are known by their names', () => {
  expect(subprotocolsOf.rdp.every((word) => isSubprotocol(word, 'rdp'))).toBe(true);
  expect(isSubprotocol('dynamic:ECHO', 'rdp')).toBe(true);
  expect(isSubprotocol('static:rail', 'rdp')).toBe(true);
  for (const name of ['shell', 'dynamic:', 'static:a b', 'clipboard', 'other:x'])
    expect(isSubprotocol(name, 'rdp')).toBe(false);
});

test('every word that a grant can name opens something, or is open anyway', () => {
  const closed = JSON.stringify(rdpPolicy(['rdp']));
  const idle = subprotocolsOf.rdp.filter((word) => JSON.stringify(rdpPolicy(['rdp', word])) === closed);
  expect(idle).toEqual(['rdp', 'display-control']);
});
