/**
 * Names of virtual channels that the gate knows: static ones (MS-RDPBCGR §2.2.1.3.4.1, at most seven letters) and dynamic
 * ones (MS-RDPEDYC §2.2.2.1). Servers compare static names without regard to case, so compare with `sameName`. Pure.
 */

export const staticNames = {
  clipboard: 'cliprdr',
  devices: 'rdpdr',
  sound: 'rdpsnd',
  dynamic: 'drdynvc',
  /** Bound inside servers to their own control channel; a client that asks for it attacks. */
  internal: 'MS_T120',
} as const;

export const dynamicNames = {
  displayControl: 'Microsoft::Windows::RDS::DisplayControl',
  /** Touch and pen (MS-RDPEI). */
  input: 'Microsoft::Windows::RDS::Input',
  audioIn: 'AUDIO_INPUT',
  audioOut: 'AUDIO_PLAYBACK_DVC',
  audioOutLossy: 'AUDIO_PLAYBACK_LOSSY_DVC',
  usb: 'URBDRC',
  cameras: 'RDCamera_Device_Enumerator',
} as const;

export function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
